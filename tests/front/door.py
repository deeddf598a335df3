"""A real nginx with the real templates, on free ports, before an upstream of the test's own."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from front import render
from front.certificates import Signed, signed, write

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin") or ""
NO_NGINX = "no nginx here: Debian's and Ubuntu's package `nginx` brings one"
DOMAIN = "ai.lab.test"


@dataclass
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Door:
    """The front door: where it listens, its files, and ways to ask it."""

    def __init__(
        self, folder: Path, http_port: int, https_port: int, authority: Signed, process: subprocess.Popen[bytes]
    ):
        self.folder, self.http_port, self.https_port = folder, http_port, https_port
        self.ports: tuple[int, int] = (0, 0)
        self.process = process
        self.tls = ssl.create_default_context(cadata=authority.pem.decode())

    def connect(self, name: str = DOMAIN, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLSocket:
        """A TLS connection that asks for `name`."""
        self.tls.set_alpn_protocols(list(alpn))
        raw = socket.create_connection(("127.0.0.1", self.https_port), timeout=30)
        try:
            return self.tls.wrap_socket(raw, server_hostname=name)
        except BaseException:
            raw.close()
            raise

    def ask(self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """One request over TLS; `body` as http.client takes it."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.https_port, timeout=60, context=self.tls)
        connection.sock = self.connect()
        try:
            connection.request(method, target, body=body, headers={"Host": DOMAIN, **(headers or {})})
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def raw(self, request: bytes, tls: bool = True, *, one: bool = False) -> bytes:
        """Everything that comes back for these bytes until the connection ends, or until `one` answer is whole.

        After a refusal nginx lingers: it ends the connection only seconds later, when nothing more comes.
        """
        with self.connect() if tls else socket.create_connection(("127.0.0.1", self.http_port), timeout=30) as sock:
            sock.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := sock.recv(65536):
                    answer += piece
                    if one and _is_whole(answer):
                        break
            return answer

    def point_at(self, second: bool) -> None:
        """Let the second gateway be asked first, or the first one again; nginx is told nothing."""
        place = self.folder / "switch" / str(self.ports[1])
        place.parent.mkdir(exist_ok=True)
        place.touch() if second else place.unlink(missing_ok=True)

    def reload(self) -> None:
        """`nginx -t`, reload, and wait until new workers alone take connections."""
        subprocess.run([NGINX, "-t", "-q", "-c", str(self.folder / "nginx.conf")], check=True)
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 30
        while not (now := self.workers()) or now & before:
            assert time.monotonic() < deadline, "no new workers after a reload"
            time.sleep(0.02)

    def workers(self) -> set[int]:
        """Process ids of nginx's workers that take connections."""
        found = set()
        for task in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"shutting down" not in Path(f"/proc/{task}/cmdline").read_bytes():
                    found.add(int(task))
        return found

    def logged(self, request_id: str) -> dict[str, Any]:
        """The access log's one line of this request. nginx writes it after the answer: it may still be on its way."""
        within = time.monotonic() + 30
        while time.monotonic() < within:
            lines = [json.loads(line) for line in (self.folder / "ai-access.log").read_text().splitlines(keepends=True)
                     if line.endswith("\n")]  # fmt: skip
            of_request: list[dict[str, Any]] = [line for line in lines if line["request_id"] == request_id]
            if of_request:
                [only] = of_request
                return only
            time.sleep(0.01)
        raise AssertionError(f"the access log has no line of request {request_id}")

    def memory_mib(self) -> float:
        """Resident memory of all workers."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers())
        return pages * os.sysconf("SC_PAGESIZE") / 1048576


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(
    folder: Path, upstream_port: int, replacing: dict[str, str] | None = None, second_port: int = 0, **options: Any
) -> Iterator[Door]:
    """nginx before `upstream_port` (and `second_port`); `options` are variables of the templates.

    `replacing` shortens times in files.
    """
    http_port, https_port = free_port(), free_port()
    ports = (upstream_port, second_port or free_port())
    conf = render.tree(
        folder,
        render.filters().nginx_features(render.version_text(NGINX)),
        **{
            "nginx_http_port": http_port,
            "nginx_https_port": https_port,
            "nginx_ipv6": False,
            "nginx_gateway_ports": list(ports),
            **options,
        },
    )
    for path in folder.glob("*.conf"):
        text = path.read_text()
        for old, new in (replacing or {}).items():
            text = text.replace(old, new)
        path.write_text(text)
    authority = signed("Root")
    write(folder, "own", (signed(DOMAIN, authority, names=(DOMAIN,)), authority))
    write(folder, "nobody", (signed("unknown.invalid", names=("unknown.invalid",)),))
    process = subprocess.Popen([NGINX, "-c", str(conf), "-g", "daemon off;"])
    try:
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", http_port), timeout=1):
                break
            assert process.poll() is None, (folder / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        door = Door(folder, http_port, https_port, authority, process)
        door.ports = ports
        yield door
    finally:
        process.terminate()
        process.wait(20)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
    return bool(end) and length is not None and len(body) >= int(length[1])
