"""A stand-in for the Hugging Face hub, which this machine cannot reach: the part of its HTTP API that downloads use.

What it does is what the hub does, as far as the official client reads it: `test_hub_standin.py` drives it with that
client. Large files are redirected to another path (the CDN) with X-Linked-Etag (sha256) and X-Linked-Size; ranges
are answered with 206; unknown repositories with 401, or 404 to who has a token; gated files with 401 and GatedRepo.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REVISION = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_a_token_of_nobody"
# The hub keeps larger files as LFS objects, with a sha256 of their own.
LARGE = 1024


@dataclass
class Repository:
    """Files by name. `gated` ones are for holders of TOKEN."""

    files: dict[str, bytes]
    gated: bool = False
    tags: list[str] = field(default_factory=lambda: ["license:mit"])


@dataclass
class Hub:
    """The stand-in's state: what it has, what it was asked, and how it misbehaves next."""

    repositories: dict[str, Repository]
    url: str = ""
    cdn: str = ""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    # after so many bytes of a large file the connection is cut; then, `down_after_cut`, only 503
    cut_after: int | None = None
    down_after_cut: bool = False
    down: bool = False
    # after so many bytes of a large file nothing more comes, until `go_on`
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    # bytes that arrive in the place of the right ones
    spoil: bool = False

    def ranges(self, name: str) -> list[str | None]:
        """The Range headers with which the content of `name` was asked for."""
        return [asked for path, asked in self.asked if path.startswith("/cdn/") and path.endswith(name)]


def blob_id(content: bytes) -> str:
    """Git's name for a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def running(repositories: dict[str, Repository], port: int = 0) -> Iterator[Hub]:
    """A hub on loopback, on a free port if none is given."""
    hub = Hub(repositories)

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    # another host, as far as clients can tell: what is meant for the hub (a token) must not go there
    hub.cdn = f"http://localhost:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        hub, address = self.state, urlsplit(self.path)
        path = unquote(address.path)
        hub.asked.append((path, self.headers.get("Range")))
        if hub.down:
            self._error(503, "Service Unavailable")
        elif path == "/api/models":
            wanted = parse_qs(address.query).get("search", [""])[0].lower()
            self._json([{"id": name} for name in hub.repositories if wanted in name.lower()])
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/[^/]+)?", path):
            if repository := self._open(found[1], content=False):
                self._json(_info(found[1], repository))
        elif found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/[^/]+", path):
            if repository := self._open(found[1], content=False):
                self._json(_tree(_info(found[1], repository)["siblings"]))
        elif found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._resolve(found[1], found[3], head)
        elif found := re.fullmatch(r"/cdn/([^/]+/[^/]+)/(.+)", path):
            if self.headers.get("Authorization"):
                self._error(400, "a token was sent to the CDN")
            else:
                self._content(hub.repositories[found[1]].files[found[2]], head)
        else:
            self._error(404, "Not Found")

    def _open(self, name: str, *, content: bool) -> Repository | None:
        trusted = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        repository = self.state.repositories.get(name)
        if repository is None:
            self._error(404 if trusted else 401, "Repository not found", "RepoNotFound")
        elif repository.gated and not trusted and content:
            self._error(401, f"Access to model {name} is restricted.", "GatedRepo")
            return None
        return repository

    def _resolve(self, name: str, file: str, head: bool) -> None:
        repository = self._open(name, content=True)
        if repository is None:
            return
        content = repository.files.get(file)
        if content is None:
            self._error(404, "Entry not found", "EntryNotFound")
        elif len(content) < LARGE:
            self._content(content, head, {"X-Repo-Commit": REVISION, "ETag": f'"{blob_id(content)}"'})
        else:
            self.send_response(302)
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("Location", f"{self.state.cdn}/cdn/{name}/{file}")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _content(self, content: bytes, head: bool, headers: dict[str, str] | None = None) -> None:
        size, first = len(content), 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if asked and int(asked[1]) >= size:
            self._error(416, "Requested Range Not Satisfiable")
            return
        if asked:
            first = int(asked[1])
        body = content[first:]
        if self.state.spoil:
            body = bytes(byte ^ 1 for byte in body)
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if head:
            return
        stall = self.state.stall_after
        if stall is not None and size >= LARGE:
            self.wfile.write(body[:stall])
            body = body[stall:]
            self.state.stalled.set()
            self.state.go_on.wait()
        cut = self.state.cut_after
        if cut is not None and size >= LARGE:
            self.state.cut_after = None
            self.state.down = self.state.down_after_cut
            self.wfile.write(body[:cut])
            self.close_connection = True
            return
        self.wfile.write(body)

    def _json(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status: int, message: str, code: str | None = None) -> None:
        self.send_response(status)
        self.send_header("X-Error-Message", message)
        if code:
            self.send_header("X-Error-Code", code)
        body = b"" if self.command == "HEAD" else json.dumps({"error": message}).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _info(name: str, repository: Repository) -> dict[str, Any]:
    siblings = []
    for file, content in repository.files.items():
        entry: dict[str, Any] = {"rfilename": file, "size": len(content), "blobId": blob_id(content)}
        if len(content) >= LARGE:
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        siblings.append(entry)
    return {
        "_id": "1",
        "id": name,
        "modelId": name,
        "sha": REVISION,
        "private": False,
        "gated": "manual" if repository.gated else False,
        "tags": repository.tags,
        "siblings": siblings,
    }


def _tree(siblings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same files as the hub lists a folder."""
    entries = []
    for file in siblings:
        entry = {"type": "file", "path": file["rfilename"], "size": file["size"], "oid": file["blobId"]}
        if large := file.get("lfs"):
            entry["lfs"] = {"oid": large["sha256"], "size": large["size"], "pointerSize": large["pointerSize"]}
        entries.append(entry)
    return entries
