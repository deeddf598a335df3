"""A paused backend behind the real nginx and the real gateway: nginx's clocks let callers wait, too."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from dialects.harness import ADMIN_KEY, GatewayProcess, gateway

from front import door as doors
from front.door import DOMAIN, Answer, Door
from front.upstream import Upstream

pytestmark = [pytest.mark.skipif(not doors.NGINX, reason=doors.NO_NGINX), pytest.mark.xdist_group("front-pause")]
KEY = {"Authorization": "Bearer test-key-of-a-caller"}
ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
MIB = 1024 * 1024
# nginx gives a client these; a wait must be able to last longer
CLIENT_TIMES = {"client_body_timeout 60s": "client_body_timeout 1s", "send_timeout 60s": "send_timeout 1s"}


@dataclass(frozen=True)
class Front:
    door: Door
    gateway: GatewayProcess
    backend: Upstream

    def admin(self, path: str, **members: Any) -> dict[str, Any]:
        """On the host itself."""
        url = f"{self.gateway.url}/api/admin/backends{path}"
        answer = requests.request("POST" if members else "GET", url, json=members or None, headers=ADMIN, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def until_waiting(self, name: str, count: int) -> None:
        deadline = time.monotonic() + 30
        while {row["name"]: row["waiting"] for row in self.admin("")["backends"]}[name] != count:
            assert time.monotonic() < deadline, self.admin("")
            time.sleep(0.05)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    backend = Upstream("backend").start()
    url = f"http://127.0.0.1:{backend.port}"
    backends = [
        {"name": "speech", "kind": "whisper", "url": url, "models": ["tiny.en"]},
        {"name": "llm", "kind": "openai", "url": url, "models": ["m"]},
    ]
    with (
        gateway(folder, backends, MAX_UPLOAD_MIB="256") as running,
        doors.running(folder / "nginx", running.port, CLIENT_TIMES, ai_max_upload_mib=256) as door,
    ):
        yield Front(door, running, backend)
    backend.stop()


@pytest.fixture
def paused(front: Front) -> Iterator[Callable[[str], None]]:
    """Pauses a backend by name; all are resumed at the end."""
    names: list[str] = []

    def pause(name: str) -> None:
        names.append(name)
        front.admin(f"/{name}/pause", owner="test", why="test", lease_s=100)

    yield pause
    for name in names:
        front.admin(f"/{name}/resume", owner="test")


def in_background(work: Callable[[], Answer]) -> Callable[[], Answer]:
    """Start `work`; the result waits for its end."""
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()

    def ended() -> Answer:
        thread.join(60)
        return answers[0]

    return ended


def slowly(size: int) -> Iterator[bytes]:
    for _ in range(size // 1000):
        yield bytes(1000)
        time.sleep(0.3)


@pytest.mark.long
@pytest.mark.parametrize("slow", [False, True])
def test_an_upload_waits_longer_than_nginx_gives_a_client(
    front: Front, paused: Callable[[str], None], slow: bool
) -> None:
    """nginx' clock counts a client that does not send, not one that is not read."""
    front.backend.received = 0
    size = 10_000 if slow else 64 * MIB
    headers = {**KEY, "Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(size)}
    paused("speech")
    answered = in_background(
        lambda: front.door.ask("POST", "/transcribe", slowly(size) if slow else bytes(size), headers)
    )
    front.until_waiting("speech", 1)
    time.sleep(4)
    front.admin("/speech/resume", owner="test")
    answer = answered()
    assert (answer.status, answer.json()) == (200, {"received": size})
    assert answer.headers["x-queue-position"] == "1"


def test_comments_pass_at_once_and_then_the_answer(front: Front, paused: Callable[[str], None]) -> None:
    paused("llm")
    connection = http.client.HTTPSConnection("127.0.0.1", front.door.https_port, timeout=30)
    connection.sock = front.door.connect()
    body = json.dumps({"model": "m", "prompt": "x", "stream": True})
    connection.request("POST", "/v1/completions", body=body, headers={**KEY, "Host": DOMAIN})
    answer = connection.getresponse()
    assert answer.readline() == b": waiting, place 1\n"
    assert answer.readline() == b"\n"
    front.backend.go(b"data: 1\n\n")
    front.backend.go(None)
    front.admin("/llm/resume", owner="test")
    assert answer.read() == b"data: 1\n\n"
    connection.close()


@pytest.mark.parametrize("name", ["speech", "llm"])
def test_who_leaves_gives_the_place_up(front: Front, paused: Callable[[str], None], name: str) -> None:
    path, size = ("/transcribe", 64 * MIB) if name == "speech" else ("/v1/completions", 2)
    paused(name)
    head = f"POST {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nAuthorization: {KEY['Authorization']}\r\nContent-Length: {size}"
    with front.door.connect() as sock:
        sock.sendall(f"{head}\r\n\r\n{{}}".encode())
        front.until_waiting(name, 1)
    front.until_waiting(name, 0)


@pytest.mark.parametrize("path", ["/api/admin", "/api/admin/backends", "/api/admin/backends/llm/pause"])
def test_from_outside_there_is_no_admin(front: Front, path: str) -> None:
    """Not even with the right key, and however the path is written."""
    for target in (path, path.replace("admin", "%61dmin"), f"/x/..{path}", f"/{path}"):
        for method in ("GET", "POST"):
            answer = front.door.ask(method, target, body=b"{}" if method == "POST" else None, headers=ADMIN)
            assert answer.status == 404, target


def test_a_body_on_its_way_counts_from_its_head_on(front: Front) -> None:
    """Who drains a gateway waits for it: collected by nginx, it would arrive where nobody listens any more (B.2)."""
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}).encode()
    connection = http.client.HTTPSConnection("127.0.0.1", front.door.https_port, timeout=30)
    connection.sock = front.door.connect()
    connection.putrequest("POST", "/v1/chat/completions", skip_host=True)
    for name, value in {"Host": DOMAIN, **KEY, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body[:10])
    deadline = time.monotonic() + 10
    while front.admin("")["in_flight"] != 1:
        assert time.monotonic() < deadline, "nginx keeps a request to itself until its body is whole"
        time.sleep(0.05)
    connection.send(body[10:])
    assert connection.getresponse().status == 200
    connection.close()


def test_who_has_no_key_hears_so_before_sending_a_body(front: Front) -> None:
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 1000000\r\n\r\n{{"
    with front.door.connect() as sock:
        sock.sendall(head.encode())
        assert b" 401 " in sock.recv(65536)
