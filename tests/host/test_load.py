"""The load generator sees what it is there to see: against a small server that fails on purpose."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from host.load import Chat, Get, Load, Plan, Upload
from host.load_requests import Kind

pytestmark = pytest.mark.long

EVENT = b'data: {"choices":[{"delta":{"content":"Paris"}}]}\n\n'
Handler = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """Answers as the test says."""

    protocol_version = "HTTP/1.1"
    play: ClassVar[Any]
    connections: ClassVar[set[tuple[str, int]]]

    def handle_any(self) -> None:
        type(self).connections.add(self.client_address)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        type(self).play(self)

    do_GET = do_POST = handle_any  # noqa: N815 - the base class looks for these names

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-ID", "the-id")
        self.end_headers()
        self.wfile.write(body)

    def stream(self, *pieces: bytes, end: bool = True) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if end:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


class Server:
    def __init__(self) -> None:
        class Played(Request):
            connections: ClassVar[set[tuple[str, int]]] = set()

        self.handler = Played
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def plays(self, play: Handler) -> None:
        self.handler.play = staticmethod(play)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def wav(tmp_path: Path) -> str:
    path = tmp_path / "said.wav"
    path.write_bytes(b"RIFF")
    return str(path)


def load(server: Server, *kinds: Kind, count: int = 4) -> Load:
    with Load(Plan(server.url, kinds, key="k", rest_s=0.01, timeout_s=10)) as running:
        running.until_each(count, 60)
    return running


def right(request: Request) -> None:
    assert request.headers["Authorization"] == "Bearer k"
    if request.path == "/v1/models":
        request.answer(b"{}")
    elif request.path == "/transcribe":
        request.answer(b'{"text": "The new computer."}')
    else:
        request.stream(b": waiting, place 1\n\n", EVENT, b"data: [DONE]\n\n")


def test_a_server_that_works(server: Server, wav: str) -> None:
    """Also: half of the requests come on fresh connections, the others on one that is kept."""
    server.plays(right)
    result = load(server, Get(), Upload(wav, "computer"), Chat("m")).result
    result.assert_no_failure(least=4)
    assert set(result.kinds) == {"get", "transcription", "chat"}
    assert "| chat | " in result.table()
    total = sum(figures.count for figures in result.kinds.values())
    assert 3 + total // 3 < len(server.handler.connections) < total
    assert json.loads(json.dumps(result.as_dict()))["kinds"]["get"]["count"] >= 4


def test_an_error_status(server: Server) -> None:
    server.plays(lambda request: request.answer(b"no", 500))
    result = load(server, Get()).result
    with pytest.raises(AssertionError, match=r"get, kept connection, after .* status 500: no \(request the-id\)"):
        result.assert_no_failure()
    assert result.kinds["get"].errors == result.kinds["get"].count


@pytest.mark.parametrize(
    ("play", "what", "cut"),
    [
        (lambda request: request.stream(EVENT, end=False), "cut", True),
        (lambda request: request.stream(EVENT), "without .DONE.", True),
        (lambda request: request.stream(b"data: [DONE]\n\n"), "holds no text", False),
        (lambda request: request.stream(b'data: {"error":{"message":"lost"}}\n\n'), "lost", False),
    ],
)
def test_a_stream_that_is_not_whole(server: Server, play: Handler, what: str, cut: bool) -> None:
    server.plays(play)
    result = load(server, Chat("m")).result
    with pytest.raises(AssertionError, match=what):
        result.assert_no_failure()
    assert (result.kinds["chat"].cut > 0) == cut


def test_ollamas_streams(server: Server) -> None:
    chat = Chat("m", path="/api/chat", form="ollama")
    server.plays(lambda request: request.stream(b'{"message":{"content":"a"}}\n', b'{"done":true}\n'))
    load(server, chat).result.assert_no_failure()
    server.plays(lambda request: request.stream(b'{"message":{"content":"a"}}\n'))
    with pytest.raises(AssertionError, match="without done"):
        load(server, chat).result.assert_no_failure()


def test_a_broken_connection(server: Server) -> None:
    def reset(request: Request) -> None:
        request.close_connection = True

    server.plays(reset)
    with pytest.raises(AssertionError, match="closed connection without response"):
        load(server, Get()).result.assert_no_failure()


def test_a_wrong_text(server: Server, wav: str) -> None:
    server.plays(lambda request: request.answer(b'{"text": "thank you"}'))
    with pytest.raises(AssertionError, match="'thank you' holds no 'computer'"):
        load(server, Upload(wav, "computer")).result.assert_no_failure()


def test_an_api_with_tasks(server: Server, wav: str) -> None:
    asked = 0

    def tasks(request: Request) -> None:
        nonlocal asked
        if request.command == "POST":
            request.answer(b'{"task_id": "abc", "status": "pending"}')
            return
        asked += 1
        assert request.path == "/status?task_id=abc"
        status = b"finished" if asked % 2 == 0 else b"pending"
        request.answer(b'{"status": "%s", "transcript": "the computer"}' % status)

    server.plays(tasks)
    kind = Upload(wav, "computer", "/api/v1/transcribe", text="transcript", then="/status?task_id={task_id}")
    load(server, kind, count=2).result.assert_no_failure()


def test_the_longest_wait_is_told(server: Server) -> None:
    began_at = time.monotonic()

    def slow(request: Request) -> None:
        time.sleep(1 if time.monotonic() - began_at < 1 else 0)
        request.answer(b"{}")

    server.plays(slow)
    result = load(server, Get(), count=6).result
    result.assert_no_failure()
    assert result.longest_s >= 1
    assert result.kinds["get"].percentile_s(50) < 1
    assert result.kinds["get"].longest_at


def test_names_are_found_where_the_plan_says(server: Server) -> None:
    server.plays(right)
    url = server.url.replace("127.0.0.1", "ai.lab.test")
    with Load(Plan(url, (Get(),), key="k", resolve={"ai.lab.test": "127.0.0.1"})) as running:
        running.until_each(2, 60)
    running.result.assert_no_failure()


def test_the_last_requests_are_awaited(server: Server) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def waits(request: Request) -> None:
        asked.set()
        go_on.wait(20)
        request.answer(b"{}")

    server.plays(waits)
    with Load(Plan(server.url, (Get(),))) as running:
        assert asked.wait(20)
        threading.Timer(0.5, go_on.set).start()
    running.result.assert_no_failure()
    assert running.result.kinds["get"].count == 1


def test_a_load_that_asked_nothing_proves_nothing(server: Server) -> None:
    server.plays(right)
    with Load(Plan(server.url, (Get(),), key="k", max_requests=0)) as running:
        pass
    with pytest.raises(AssertionError, match="fewer than 1 requests"):
        running.result.assert_no_failure()
