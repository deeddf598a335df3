"""The kit as a whole, over real sockets: what every service owes its callers (S0.12, S1.9, S1.10, S2.7)."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
import requests

KEY = "test-key-0123456789"
DEMO = Path(__file__).with_name("demo_service.py")


@dataclass
class Service:
    process: subprocess.Popen[bytes]
    port: int
    log_file: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"}

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log_file.read_text().split("\n")[:-1]]

    def event(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The event wanted; it is written after the answer has gone out, so it may take a moment."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for event in self.events():
                if wanted(event):
                    return event
            time.sleep(0.02)
        raise AssertionError("no such event was logged")

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            return _read_all(connection)


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def _start(directory: Path, log: IO[bytes], **env: str) -> tuple[subprocess.Popen[bytes], int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    key_file = directory / "keys"
    key_file.write_text(f"# a comment\n{KEY}\n\nother-key\n")
    process = subprocess.Popen(
        [sys.executable, str(DEMO)],
        env={**os.environ, "PORT": str(port), "API_KEYS_FILE": str(key_file), **env},
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return process, port
        time.sleep(0.05)
    raise AssertionError("the demo service did not start")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("demo")
    log_file = directory / "log"
    with log_file.open("wb") as log:
        process, port = _start(directory, log)
        yield Service(process, port, log_file)
        process.terminate()
        process.wait(20)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/health"])
def test_probes_are_open(service: Service, path: str) -> None:
    assert requests.get(service.url + path, timeout=10).status_code == 200


@pytest.mark.parametrize("path", ["/items", "/docs", "/metrics", "/docs/assets/swagger-ui.css", "/nowhere"])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", "Basic !!!", f"Token {KEY}", f"Bearer {KEY}x"])
def test_everything_else_needs_a_key(service: Service, path: str, header: str | None) -> None:
    answer = requests.get(service.url + path, headers={"Authorization": header} if header else {}, timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == ("invalid_api_key" if header else "missing_api_key")


def test_two_authorization_headers_are_none(service: Service) -> None:
    answer = service.raw(
        f"GET /docs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        f"Authorization: Bearer {KEY}\r\nConnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 401")


def test_a_browser_is_asked_and_let_in_with_basic(service: Service) -> None:
    asked = requests.get(service.url + "/docs", headers={"Accept": "text/html"}, timeout=10)
    assert "Basic" in asked.headers["WWW-Authenticate"]
    basic = base64.b64encode(f"me:{KEY}".encode()).decode()
    page = requests.get(service.url + "/docs", headers={"Authorization": f"Basic {basic}"}, timeout=10)
    assert page.status_code == 200
    assert "/docs/assets/swagger-ui-bundle.js" in page.text


def test_the_key_is_checked_before_the_body_is_read(service: Service) -> None:
    """A caller without a key gets its 401 although only a byte of the announced body was sent."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(b"POST /items HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nx")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer


def test_a_refused_upload_still_gets_its_answer(service: Service) -> None:
    """Closed in the middle of an upload, the connection would be reset and the 401 lost on the way."""
    for _ in range(5):
        answer = requests.post(service.url + "/items", data=b"x" * 8_000_000, timeout=20)
        assert answer.status_code == 401
        assert answer.json()["code"] == "missing_api_key"


@pytest.mark.parametrize("name", ["swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"])
def test_swagger_assets_are_local(service: Service, name: str) -> None:
    answer = requests.get(f"{service.url}/docs/assets/{name}", headers=service.auth, timeout=10)
    assert answer.status_code == 200
    assert len(answer.content) > 1000


def test_only_known_assets(service: Service) -> None:
    for name in ("nope.js", "../core.py", "%2e%2e/core.py"):
        answer = requests.get(f"{service.url}/docs/assets/{name}", headers=service.auth, timeout=10)
        assert answer.status_code == 404


def test_openai_shape_on_v1(service: Service) -> None:
    answer = requests.get(service.url + "/v1/busy", headers=service.auth, timeout=10)
    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "3"
    assert answer.json() == {
        "error": {
            "message": "The queue is full. Try again.",
            "type": "rate_limit_error",
            "param": None,
            "code": "queue_full",
        }
    }


def test_problem_details_elsewhere(service: Service) -> None:
    answer = requests.get(service.url + "/busy", headers=service.auth | {"X-Request-ID": "abc-1"}, timeout=10)
    assert answer.headers["X-Request-ID"] == "abc-1"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json() == {
        "type": "urn:ai-services:error:queue_full",
        "title": "Too Many Requests",
        "status": 429,
        "detail": "The queue is full. Try again.",
        "code": "queue_full",
        "request_id": "abc-1",
    }


def test_ollama_clients_find_their_error_member(service: Service) -> None:
    answer = requests.get(service.url + "/api/busy", headers=service.auth, timeout=10)
    assert answer.json()["error"] == "The queue is full. Try again."


@pytest.mark.parametrize(
    ("body", "param"),
    [({"count": 1}, "name"), ({"name": "a", "count": 0}, "count"), ({"name": "a", "count": "x"}, "count")],
)
def test_a_wrong_field_is_named(service: Service, body: dict[str, object], param: str) -> None:
    for path in ("/items", "/v1/items"):
        answer = requests.post(service.url + path, json=body, headers=service.auth, timeout=10)
        assert answer.status_code == 400
        problem = answer.json()
        assert problem.get("param", problem.get("error", {}).get("param")) == param


def test_a_bug_is_a_500_that_tells_nothing(service: Service) -> None:
    answer = requests.get(service.url + "/bug", headers=service.auth, timeout=10)
    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert answer.headers["X-Request-ID"] in answer.json()["detail"]
    assert service.event(lambda event: "secret detail" in str(event.get("exception")))["level"] == "error"


def test_a_forged_request_id_is_replaced(service: Service) -> None:
    answer = requests.get(service.url + "/health", headers={"X-Request-ID": 'a"b c'}, timeout=10)
    assert answer.headers["X-Request-ID"].isalnum()


def test_logs_are_json_and_hold_no_secret(service: Service) -> None:
    marked = {"X-Request-ID": "logged-well"}
    requests.get(service.url + "/slow?seconds=0&token=canary-query", headers=service.auth | marked, timeout=10)
    requests.get(service.url + "/slow", headers={"Authorization": "Bearer canary-header"} | marked, timeout=10)
    service.event(lambda event: event.get("request_id") == "logged-well" and event["status"] == 401)
    line = service.event(lambda event: event.get("request_id") == "logged-well" and event["status"] == 200)
    assert line["route"] == "/slow"
    assert {"time", "level", "service", "request_id", "duration_ms"} <= line.keys()
    text = service.log_file.read_text()
    assert "canary" not in text
    assert KEY not in text


def test_probes_that_succeed_do_not_fill_the_log(service: Service) -> None:
    marked = {"X-Request-ID": "quiet-probe"}
    assert requests.get(service.url + "/healthz", headers=marked, timeout=10).status_code == 200
    assert requests.post(service.url + "/healthz", headers=marked, timeout=10).status_code == 405
    service.event(lambda event: event.get("request_id") == "quiet-probe" and event["status"] == 405)
    assert not any(event.get("request_id") == "quiet-probe" and event["status"] == 200 for event in service.events())


def test_metrics_have_bounded_labels(service: Service) -> None:
    for number in range(3):
        requests.get(f"{service.url}/random-{number}", headers=service.auth, timeout=10)
    requests.post(service.url + "/items", json={"name": "a", "count": 1}, headers=service.auth, timeout=10)
    text = requests.get(service.url + "/metrics", headers=service.auth, timeout=10).text
    assert "random-" not in text
    assert 'ai_http_requests_total{method="GET",route="unmatched",service="demo",status="404"}' in text
    assert 'ai_http_request_seconds_count{route="/items",service="demo"}' in text


def test_a_head_without_end_is_refused(service: Service) -> None:
    assert service.raw(b"GET / HTTP/1.1\r\nX-Long: " + b"a" * 100_000).startswith(b"HTTP/1.1 431")
    many = b"".join(b"X-%d: 1\r\n" % number for number in range(200))
    assert service.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + many + b"\r\n").startswith(b"HTTP/1.1 431")


def test_trailers_do_not_join_the_head(service: Service) -> None:
    """A key sent after the body is no key."""
    answer = service.raw(
        b"POST /items HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTrailer: Authorization\r\n\r\n"
        b"2\r\n{}\r\n0\r\nAuthorization: Bearer " + KEY.encode() + b"\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 401")


def test_an_offer_to_upgrade_costs_no_body(service: Service) -> None:
    body = b'{"name": "a", "count": 1}'
    answer = service.raw(
        b"POST /items HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + KEY.encode() + b"\r\nUpgrade: h2c\r\n"
        b"Connection: Upgrade, HTTP2-Settings, close\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(body.replace(b" ", b""))
    assert service.raw(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_pipelined_and_kept_alive_requests_each_get_an_answer(service: Service) -> None:
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert service.raw(one * 3 + last).count(b"HTTP/1.1 200") == 4


def test_not_ready_says_why(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process, port = _start(tmp_path, log, READY="0")
    try:
        answer = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10)
        assert answer.status_code == 503
        assert answer.json()["checks"]["engine"]["detail"] == "model is loading"
        assert requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10).status_code == 200
    finally:
        process.terminate()
        process.wait(20)


def test_shutdown_lets_a_running_request_finish(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process, port = _start(tmp_path, log)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"GET /slow?seconds=1.5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        connection.sendall(head.encode())
        while "ai_http_requests_in_flight" not in (metrics := _metrics(port)) or 'demo"} 2.0' not in metrics:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert _read_all(connection).startswith(b"HTTP/1.1 200")
    process.wait(20)


def test_who_still_waits_when_the_grace_is_over_is_told_to_come_again(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        process, port = _start(tmp_path, log, SHUTDOWN_GRACE_S="1")
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        head = f"GET /slow?seconds=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\r\n"
        connection.sendall(head.encode())
        while 'demo"} 2.0' not in _metrics(port):
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        answer = _read_all(connection)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nretry-after: 5\r\n" in answer
    assert b'"code":"shutting_down"' in answer
    assert process.wait(20) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()


def _metrics(port: int) -> str:
    return requests.get(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {KEY}"}, timeout=10).text


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"PORT": "seventy"}, "PORT: "),
        ({"PORT": "70000"}, "PORT: "),
        ({"AUTH": "maybe"}, "AUTH: "),
        ({"SHUTDOWN_GRACE_S": "-1"}, "SHUTDOWN_GRACE_S: "),
        ({"LOG_LEVEL_CONSOLE": "LOUD"}, "LOG_LEVEL_CONSOLE: "),
        ({"API_KEYS_FILE": "/nowhere/keys"}, "/nowhere/keys"),
        ({"API_KEYS_FILE": "/dev/null"}, "no API key is set"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(env: dict[str, str], sentence: str) -> None:
    done = subprocess.run(
        [sys.executable, str(DEMO)], env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in {1, 2}
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_port_in_use_ends_the_service(service: Service, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(KEY)
    done = subprocess.run(
        [sys.executable, str(DEMO)],
        env={**os.environ, "PORT": str(service.port), "API_KEYS_FILE": str(keys)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "address already in use" in done.stdout
