"""The stand-in behind HTTPS: `PYTHONPATH=tests python -m terraform.proxmox --help` starts one by hand."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from typing_extensions import override

from terraform.proxmox.access import Account
from terraform.proxmox.faults import Dropped
from terraform.proxmox.node import Node, Request
from terraform.proxmox.refusals import Refused

_PREFIX: Final = "/api2/json"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "pve-api-daemon/3.0"
    sys_version = ""
    node: Node

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `Node.seen` tells what was asked."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        address = urlsplit(self.path)
        path = unquote(address.path.removeprefix(_PREFIX)).rstrip("/")
        self.node.seen.append(f"{self.command} {path}")
        try:
            self.node.faults.meet(self.command, path)
            data = self._data(path, dict(parse_qsl(address.query)), body)
        except Dropped:
            self.close_connection = True
            self.connection.close()
        except Refused as no:
            answer: dict[str, Any] = {"data": None, "message": f"{no.message}\n"}
            if no.errors:
                answer["errors"] = no.errors
            self._send(no.status, no.message, None if no.bare else answer)
        else:
            self._send(200, "OK", {"data": data})

    def _data(self, path: str, query: dict[str, Any], body: bytes) -> Any:
        if self.command == "POST" and path == "/access/ticket":
            given = dict(parse_qsl(body.decode()))
            return self.node.doors.ticket(given.get("username", ""), given.get("password", ""))
        account = self.node.doors.who(self.command, dict(self.headers.items()))
        if body and self.command not in {"POST", "PUT"}:
            raise Refused(f"Unexpected content for method '{self.command}'", status=501)
        return self.node.handle(self.command, path, self._request(account, query, body))

    def _request(self, account: Account, query: dict[str, Any], body: bytes) -> Request:
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            fields, filename, data = _parts(kind, body)
            return Request(account, {}, query | fields, filename, data)
        given: dict[str, Any] = dict(query)
        for name, value in parse_qsl(body.decode(), keep_blank_values=True):
            given[name] = [*_listed(given[name]), value] if name in given else value
        return Request(account, {}, given)

    def _send(self, status: int, reason: str, answer: dict[str, Any] | None) -> None:
        payload = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status, reason.splitlines()[0])
        if answer is not None:
            self.send_header("Content-Type", "application/json;charset=UTF-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _parts(kind: str, body: bytes) -> tuple[dict[str, str], str, bytes]:
    """The fields of a form, and the file in it."""
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    fields: dict[str, str] = {}
    filename, data = "", b""
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename():
            filename, data = str(part.get_filename()), content
        else:
            fields[str(part.get_param("name", header="content-disposition"))] = content.decode()
    return fields, filename, data


@contextlib.contextmanager
def serving(node: Node, certificate: Path, key: Path, address: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Answer for a node until the end of the block. Yields the endpoint, as `https://127.0.0.1:PORT/`."""
    server = ThreadingHTTPServer((address, port), type("Handler", (_Handler,), {"node": node}))
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://{address}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
