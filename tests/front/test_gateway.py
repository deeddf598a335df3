"""The real gateway behind the real nginx: what they do together (S0.1)."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from front import door as doors
from front.door import DOMAIN, Door
from front.upstream import Upstream

pytestmark = [pytest.mark.skipif(not doors.NGINX, reason=doors.NO_NGINX), pytest.mark.xdist_group("front-gateway")]
KEY = {"Authorization": "Bearer front-door-key"}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def backend() -> Iterator[Upstream]:
    server = Upstream("backend").start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def door(backend: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("gateway")
    url = f"http://127.0.0.1:{backend.port}"
    backends = [
        {"name": "speech", "kind": "whisper", "url": url, "models": ["tiny.en"]},
        {"name": "llm", "kind": "openai", "url": url, "models": ["m"]},
    ]
    (folder / "backends.json").write_text(json.dumps({"backends": backends}))
    (folder / "keys").write_text("front-door-key\n")
    port = doors.free_port()
    environment = {
        **os.environ,
        "PORT": str(port),
        "BACKENDS_FILE": str(folder / "backends.json"),
        "API_KEYS_FILE": str(folder / "keys"),
        "MAX_UPLOAD_MIB": "256",
    }
    with (folder / "gateway.log").open("wb") as log:
        gateway = subprocess.Popen([sys.executable, "-m", "gateway"], env=environment, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert gateway.poll() is None, (folder / "gateway.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with doors.running(folder / "nginx", port, ai_max_upload_mib=256) as up:
            yield up
    finally:
        gateway.terminate()
        gateway.wait(30)


def test_who_has_no_key_learns_it_before_the_upload_is_sent(door: Door) -> None:
    """A gigabyte without a key costs neither disk nor time: the gateway's 401 is there after a few bytes."""
    with door.connect() as sock:
        head = f"POST /transcribe HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {200 * MIB}\r\n\r\n"
        sock.sendall(head.encode() + b"x" * 1000)
        assert sock.recv(65536).startswith(b"HTTP/1.1 401")


def test_an_upload_passes_both(door: Door, backend: Upstream) -> None:
    backend.received = 0
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=x"}
    answer = door.ask("POST", "/transcribe", body=bytes(32 * MIB), headers=headers)
    assert (answer.status, answer.json()) == (200, {"received": 32 * MIB})


def test_a_stream_passes_both_piece_by_piece(door: Door, backend: Upstream) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", door.https_port, timeout=30)
    connection.sock = door.connect()
    body = json.dumps({"model": "m", "prompt": "x", "stream": True})
    connection.request("POST", "/v1/completions", body=body, headers={**KEY, "Host": DOMAIN})
    backend.go(b"data: 1\n\n")
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    for number in (1, 2, 3):
        assert answer.readline() == f"data: {number}\n".encode()
        assert answer.readline() == b"\n"
        backend.go(f"data: {number + 1}\n\n".encode())
    backend.go(None)
    assert answer.read() == b"data: 4\n\n"
    connection.close()


def test_one_request_id_from_the_door_to_the_answer(door: Door) -> None:
    answer = door.ask("GET", "/v1/models", headers=KEY)
    assert answer.status == 200
    assert door.logged(answer.headers["x-request-id"])["path"] == "/v1/models"
    assert door.ask("GET", "/v1/models", headers={**KEY, "X-Request-ID": "mine"}).headers["x-request-id"] == "mine"


@pytest.mark.parametrize("target", ["/v1/chat/completions", "/api/chat", "/transcribe"])
def test_too_large_says_the_same_whoever_says_it(door: Door, target: str) -> None:
    """nginx refuses first; its answer has the members of the gateway's own."""
    limit_mib = 256 if target == "/transcribe" else 32
    head = f"POST {target} HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: {KEY['Authorization']}\r\nConnection: close\r\n"
    said = door.raw(f"{head}Content-Length: {limit_mib * MIB + 1}\r\n\r\n".encode(), one=True)
    told = json.loads(said.partition(b"\r\n\r\n")[2])
    assert said.startswith(b"HTTP/1.1 413")
    assert (told["error"] if target.startswith("/v1/") else told)["code"] == "body_too_large"


def test_a_request_for_another_protocol_keeps_its_body(door: Door) -> None:
    """curl --http2 and Java offer h2c with a POST: it is answered as the HTTP/1.1 request that it is."""
    offer = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    answer = door.ask("POST", "/v1/chat/completions", body=b'{"model": "m"}', headers={**KEY, **offer})
    assert answer.json()["body_bytes"] == len(b'{"model": "m"}')
