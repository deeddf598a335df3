"""S0.12, S2.7: the front door of a running stack. Who may come in, and what an answer tells of the house."""

from __future__ import annotations

import base64
import socket
from urllib.parse import urlsplit

import pytest
import requests
from support.stack import Stack

from gateway.routing import TABLE, Route

PROBES = ("/health", "/healthz", "/readyz")
# Beside the table: what every service of ours answers (service_kit), and nobody without a key may read.
OF_EVERY_SERVICE = ("/metrics",)
GUARDED = [(route.method, route.path) for route in TABLE if not route.open] + [
    ("GET", path) for path in OF_EVERY_SERVICE
]


def _concrete(path: str) -> str:
    prefix, brace, _ = path.partition("{")
    return prefix + "x" if brace else path


def _ask(stack: Stack, method: str, path: str, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.request(method, stack.url + _concrete(path), headers=headers, allow_redirects=False, timeout=60)


def _raw(stack: Stack, request: bytes) -> bytes:
    """Send bytes, return everything until the other side closes or has answered a whole head and its body."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=30) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.promise("S2.7")
@pytest.mark.parametrize(("method", "path"), GUARDED)
class TestEveryRoute:
    """Taken from the routing table itself, so that no new route can be forgotten."""

    @staticmethod
    def _refused(answer: requests.Response, path: str) -> None:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        if path.startswith("/v1/"):
            assert answer.json()["error"]["message"]
        else:
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == 401

    def test_without_a_key(self, stack: Stack, method: str, path: str) -> None:
        self._refused(_ask(stack, method, path), path)

    def test_with_a_wrong_key(self, stack: Stack, method: str, path: str) -> None:
        self._refused(_ask(stack, method, path, {"Authorization": f"Bearer {stack.key[:-1]}"}), path)

    def test_with_the_right_key(self, stack: Stack, method: str, path: str) -> None:
        assert _ask(stack, method, path, stack.auth).status_code not in {401, 500, 502, 503, 504}


@pytest.mark.promise("S2.7")
@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic Og==", "Basic {wrong}", "Bearer {key}x", "Bearer x{key}", "Token {key}", "{key}"],
)
def test_what_only_looks_like_the_key(stack: Stack, authorization: str) -> None:
    wrong = base64.b64encode(b"any:thing").decode()
    presented = authorization.format(key=stack.key, wrong=wrong)
    assert _ask(stack, "GET", "/v1/models", {"Authorization": presented}).status_code == 401


@pytest.mark.promise("S2.7")
def test_the_key_counts_in_a_header_only(stack: Stack) -> None:
    """An address is logged along its way; a key in it must not be of use."""
    for name in ("key", "api_key", "token", "access_token"):
        assert requests.get(f"{stack.url}/v1/models", params={name: stack.key}, timeout=30).status_code == 401


@pytest.mark.promise("S2.7")
@pytest.mark.parametrize(
    "path",
    ["/health/../v1/models", "/healthz/../metrics", "//v1/models", "/health%2f..%2fv1/models", "/healthz/v1/models"],
)
def test_no_path_leads_round_the_key(stack: Stack, path: str) -> None:
    """requests would tidy such a path up; it goes out as it stands."""
    answer = _raw(stack, f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ", 2)[1] == b"401"


@pytest.mark.promise("S2.7")
def test_the_key_is_asked_for_before_the_body_is_read(stack: Stack) -> None:
    """A gigabyte is announced and never sent: whoever waits for it does not answer."""
    head = b"POST /transcribe HTTP/1.1\r\nHost: a\r\nContent-Length: 1073741824\r\nConnection: close\r\n"
    answer = _raw(stack, head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"401"


@pytest.mark.promise("S0.12")
@pytest.mark.parametrize("path", PROBES)
def test_probes_need_no_key(stack: Stack, path: str) -> None:
    assert _ask(stack, "GET", path).status_code == 200


@pytest.mark.promise("S0.1")
def test_health_tells_of_every_component(stack: Stack) -> None:
    told = _ask(stack, "GET", "/health").json()
    assert told["status"] == "ok"
    assert told["service"] == "ai-services"
    assert {"whisper-api", "llm"} <= told["components"].keys()
    assert all(component["status"] == "ok" for component in told["components"].values())
    # open to everybody, so it must not tell the secret
    assert stack.key not in _ask(stack, "GET", "/health").text


@pytest.mark.promise("S0.12")
@pytest.mark.parametrize("path", ["/health", "/v1/models", "/docs", "/nowhere", "/api/tags"])
@pytest.mark.parametrize("with_key", [True, False])
def test_headers_of_every_answer(stack: Stack, path: str, with_key: bool) -> None:
    headers = _ask(stack, "GET", path, stack.auth if with_key else None).headers
    assert headers["X-Request-ID"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "Server" not in headers
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.promise("S0.1")
def test_docs_in_a_browser(stack: Stack) -> None:
    """Raw HTTP with a browser's kind of login; the page needs nothing from elsewhere, so it works offline."""
    login = base64.b64encode(f"anybody:{stack.key}".encode()).decode()
    answer = _raw(
        stack, f"GET /docs HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"text/html" in head
    assert b"swagger" in body.lower()
    assert b'src="http' not in body
    assert b'href="http' not in body


@pytest.mark.promise("S0.1")
def test_docs_name_every_route(stack: Stack) -> None:
    described = requests.get(f"{stack.url}/openapi.json", headers=stack.auth, timeout=30).json()["paths"]

    def public(route: Route) -> bool:
        return route.path not in {"/docs", "/openapi.json", "/"}

    missing = {(r.method.lower(), r.path) for r in TABLE if public(r)} - {
        (m, p) for p, ms in described.items() for m in ms
    }
    assert not missing


@pytest.mark.promise("S0.12")
def test_only_the_front_door_is_open(stack: Stack) -> None:
    """Components behind it listen on loopback only, and want a key of their own: the public one opens none of them."""
    for row in stack.status()["components"]:
        if row["name"] == "gateway":
            continue
        address = f"http://127.0.0.1:{row['port']}"
        path = "/v1/models" if row["name"] == "llm" else "/queue/status"
        assert requests.get(address + path, timeout=30).status_code == 401
        assert requests.get(address + path, headers=stack.auth, timeout=30).status_code == 401


@pytest.mark.promise("S0.12")
def test_everything_listens_on_loopback(stack: Stack) -> None:
    listening = [
        connection.laddr.ip
        for process in stack.processes()
        for connection in process.net_connections(kind="inet")
        if connection.status == "LISTEN"
    ]
    assert listening
    assert set(listening) <= {"127.0.0.1", "::1"}


@pytest.mark.promise("S0.12")
def test_no_secret_in_the_process_list(stack: Stack) -> None:
    """Command lines are open to every user of the machine, environments to root's tools and to crash reports."""
    internal = (stack.home / "secrets" / "internal.key").read_text().split()[0]
    for process in stack.processes():
        words = [*process.cmdline(), *process.environ().values()]
        assert not any(stack.key in word or internal in word for word in words)


@pytest.mark.promise("S0.12")
def test_secrets_are_for_their_owner_only(stack: Stack) -> None:
    named = stack.status()["api_key_file"]
    assert urlsplit(named).scheme == ""
    files = list((stack.home / "secrets").iterdir())
    assert len(files) >= 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
