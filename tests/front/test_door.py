"""What the front door lets through, changes and refuses: a real nginx with the real templates (S0.1, S0.12)."""

from __future__ import annotations

import json
import os
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from front import door as doors
from front import render
from front.door import DOMAIN, Door
from front.upstream import Upstream

pytestmark = [pytest.mark.skipif(not doors.NGINX, reason=doors.NO_NGINX), pytest.mark.xdist_group("front-door")]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    server = Upstream().start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def door(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The door with short patience for slow clients; all else as on a host."""
    short = {
        "client_header_timeout 15s": "client_header_timeout 1s",
        "client_body_timeout 60s": "client_body_timeout 1s",
    }
    with doors.running(tmp_path_factory.mktemp("door"), upstream.port, short, ai_max_upload_mib=256) as up:
        yield up


FORGED = {
    "X-Forwarded-For": "10.9.8.7",
    "X-Forwarded-Proto": "gopher",
    "X-Forwarded-Host": "evil.test",
    "X-Real-IP": "10.9.8.7",
    "Forwarded": "for=10.9.8.7",
    "X-Email": "boss@example.com",
    "X-Forwarded-User": "root",
    "X-Forwarded-Email": "boss@example.com",
    "X-Auth-Request-Email": "boss@example.com",
    "Remote-User": "root",
    "X-Original-URL": "/admin",
    "X-Rewrite-URL": "/admin",
    "X-HTTP-Method-Override": "DELETE",
    "True-Client-IP": "10.9.8.7",
    "CF-Connecting-IP": "10.9.8.7",
    "X-SSL-Client-Verify": "SUCCESS",
    "X_Forwarded_For": "10.9.8.7",
    "Proxy": "http://evil.test",
}


@pytest.mark.parametrize(
    "target", ["/health", "/v1/models", "/v1/chat/completions", "/api/tags", "/generate", "/other"]
)
def test_forged_headers_are_replaced(door: Door, target: str) -> None:
    """On every kind of location: what a caller claims about itself does not reach the gateway."""
    told = door.ask("GET", target, headers={**FORGED, "Authorization": "Bearer key"}).json()
    seen = [(name.lower(), value) for name, value in told["headers"]]
    named = dict(seen)
    assert len(named) == len(seen), "a header came twice"
    assert named["x-forwarded-for"] == named["x-real-ip"] == "127.0.0.1"
    assert (named["x-forwarded-proto"], named["x-forwarded-host"], named["host"]) == ("https", DOMAIN, DOMAIN)
    overwritten = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip"}
    assert {name.lower() for name in FORGED} & named.keys() == overwritten
    assert named["authorization"] == "Bearer key"
    assert told["version"] == "1.1"


def test_a_path_reaches_the_gateway_as_it_was_sent(door: Door) -> None:
    """Routing is the gateway's: nginx cleans nothing up on the way."""
    for target in ("//v1/models", "/x/../v1/models", "/v1/models/a%2Fb", "/v1/models?x=1&y=%20"):
        assert door.ask("GET", target).json()["target"] == target


def test_a_request_id_is_kept_when_it_is_one(door: Door) -> None:
    def upstream_id(given: str) -> str:
        headers = door.ask("GET", "/health", headers={"X-Request-ID": given}).json()["headers"]
        return str(next(value for name, value in headers if name.lower() == "x-request-id"))

    assert upstream_id("caller-1.2_3") == "caller-1.2_3"
    for forged in ('x" y', "a" * 65, "a b"):
        made = upstream_id(forged)
        assert len(made) == 32
        assert set(made) <= set("0123456789abcdef")


def test_the_log_names_requests_and_keeps_secrets(door: Door) -> None:
    secret = "sk-canary-in-query"
    headers = {"X-Request-ID": "log-test", "Authorization": f"Bearer {secret}", "Cookie": secret}
    door.ask("GET", f"/health?key={secret}", headers={**headers, "Referer": f"https://x.test/?key={secret}"})
    line = door.logged("log-test")
    assert (line["method"], line["path"], line["status"], line["client"]) == ("GET", "/health", 200, "127.0.0.1")
    assert secret not in (door.folder / "ai-access.log").read_text()


def test_hsts_and_no_version_on_every_answer(door: Door) -> None:
    for answer in (
        door.ask("GET", "/health"),
        door.ask("POST", "/generate", headers={"Content-Length": str(64 * MIB)}),
    ):
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        assert answer.headers["server"] == "nginx"


def test_a_backends_answer_does_not_steer_nginx(door: Door) -> None:
    answer = door.ask("GET", "/steer")
    assert answer.body == b"mine"
    assert answer.headers["strict-transport-security"] == "max-age=63072000"


def test_a_large_upload_streams_in_bounded_memory_and_no_disk(door: Door, upstream: Upstream) -> None:
    """200 MiB reach the gateway while they are sent, held up by its pace; nothing of them lies on the disk."""
    size = 200 * MIB
    upstream.received = 0
    upstream.read_uploads(False)
    piece = os.urandom(MIB)
    with door.connect() as sock:
        sock.settimeout(0.5)
        sock.sendall(f"POST /transcribe HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {size}\r\n\r\n".encode())
        sent = 0
        try:
            while sent < size:
                sent += sock.send(piece)
        except TimeoutError:
            pass
        # The gateway takes nothing, so nginx takes no more either: back-pressure.
        assert sent < 64 * MIB
        assert door.memory_mib() < 200
        upstream.read_uploads(True)
        sock.settimeout(60)
        while sent < size:
            sent += sock.send(piece[: size - sent])
        head = sock.recv(65536)
    assert head.startswith(b"HTTP/1.1 200")
    assert upstream.received == size
    assert door.memory_mib() < 200
    assert list((door.folder / "client_body").rglob("*")) == [door.folder / "client_body"] or not [
        path for path in (door.folder / "client_body").rglob("*") if path.is_file()
    ]


def test_a_refusal_comes_before_the_upload_ends(door: Door) -> None:
    """401 or 429 of the gateway reach a caller who has sent almost nothing of a large file yet."""
    with door.connect() as sock:
        head = f"POST /transcribe?refuse=1 HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {100 * MIB}\r\n\r\n"
        sock.sendall(head.encode() + b"x" * 1000)
        assert sock.recv(65536).startswith(b"HTTP/1.1 401")


def test_events_arrive_one_by_one(door: Door, upstream: Upstream) -> None:
    """Each byte of a stream is there before the next is made; nothing is collected and nothing compressed."""
    with door.connect() as sock:
        sock.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: {DOMAIN}\r\nAccept-Encoding: gzip\r\n\r\n".encode())
        sock.settimeout(20)
        upstream.go(b"d")
        got = sock.recv(65536)
        while not got.endswith(b"d\r\n"):
            got += sock.recv(65536)
        assert b"content-encoding" not in got.lower()
        for letter in b"ata: 1\n\n":
            upstream.go(bytes([letter]))
            piece = sock.recv(65536)
            assert piece == b"1\r\n" + bytes([letter]) + b"\r\n"
        upstream.go(None)
        assert sock.recv(65536) == b"0\r\n\r\n"


def test_a_client_that_leaves_stops_the_work_behind(door: Door, upstream: Upstream) -> None:
    upstream.left.clear()
    with door.connect() as sock:
        sock.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode())
        upstream.go(b"x")
        assert sock.recv(1)
    assert upstream.left.wait(10)


async def test_websocket_passes_both_ways(door: Door) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"https://127.0.0.1:{door.https_port}/ws", headers={"Host": DOMAIN}, ssl=door.tls, server_hostname=DOMAIN
        ) as ws,
    ):
        for word in ("one", "two"):
            await ws.send_str(word)
            assert await ws.receive_str(timeout=10) == f"gateway: {word}"


def test_no_other_protocol_is_tunnelled(door: Door) -> None:
    """An offer of h2c, passed on, would be a way past every rule of the front door."""
    told = door.ask("GET", "/health", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c",
                                               "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}).json()  # fmt: skip
    named = {name.lower(): value for name, value in told["headers"]}
    assert "upgrade" not in named
    assert named["connection"] == "close"


def test_http2_is_offered(door: Door) -> None:
    with door.connect(alpn=("h2", "http/1.1")) as sock:
        assert sock.selected_alpn_protocol() == "h2"
        # preface and an empty SETTINGS frame; the answer begins with the server's SETTINGS
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        assert sock.recv(9)[3] == 4


# -- refused ----------------------------------------------------------------------------------------------------------


def test_unknown_names_get_no_handshake(door: Door) -> None:
    with pytest.raises(ssl.SSLError):
        door.connect("other.test").close()
    with socket.create_connection(("127.0.0.1", door.https_port), timeout=10) as raw:
        blind = ssl.create_default_context()
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        with pytest.raises(ssl.SSLError):
            blind.wrap_socket(raw)


def test_another_host_within_our_connection_is_refused(door: Door) -> None:
    answer = door.raw(b"GET /health HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ")[1] == b"421"


def test_port_80_leads_to_https_and_knows_nobody_else(door: Door) -> None:
    ours = door.raw(f"POST /generate?a=1 HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n".encode(), tls=False)
    assert ours.startswith(b"HTTP/1.1 308 ")
    assert f"Location: https://{DOMAIN}:{door.https_port}/generate?a=1\r\n".encode() in ours
    for stranger in (b"Host: other.test\r\n", b"Host: 127.0.0.1\r\n"):
        assert door.raw(b"GET / HTTP/1.1\r\n" + stranger + b"\r\n", tls=False) == b""


@pytest.mark.parametrize("slow", [b"GET /health HTTP/1.1\r\nHost: ai.l", b"POST /v1/chat/completions HTTP/1.1\r\nHost: "
                                  + DOMAIN.encode() + b"\r\nContent-Length: 100\r\n\r\n{",
                                  b"POST /transcribe HTTP/1.1\r\nHost: " + DOMAIN.encode()
                                  + b"\r\nContent-Length: 100\r\n\r\nx"],
                         ids=["head", "json body", "upload"])  # fmt: skip
def test_slow_clients_are_cut(door: Door, slow: bytes) -> None:
    """Who does not go on sending loses the connection (after 15 s and 60 s on a host, 1 s here)."""
    began = time.monotonic()
    answer = door.raw(slow)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert 0.5 < time.monotonic() - began < 15


def test_headers_are_bounded(door: Door) -> None:
    assert door.ask("GET", "/health", headers={"X-Big": "x" * 12000}).status == 200
    refused = door.ask("GET", "/health", headers={"X-Big": "x" * 20000})
    assert (refused.status, refused.json()["code"]) == (431, "headers_too_large")
    head = (
        f"GET /health HTTP/1.1\r\nHost: {DOMAIN}\r\n" + "".join(f"X-{n}: {'x' * 8000}\r\n" for n in range(20)) + "\r\n"
    )
    assert door.raw(head.encode()).split(b" ")[1] == b"431"


@pytest.mark.parametrize(
    ("target", "limit_mib"),
    [("/v1/chat/completions", 32), ("/api/chat", 32), ("/transcribe/url", 32), ("/transcribe", 256),
     ("/v1/audio/transcriptions", 256)],
)  # fmt: skip
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_over_the_limit_get_413_in_the_routes_shape(
    door: Door, target: str, limit_mib: int, chunked: bool
) -> None:
    head = f"POST {target} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n"
    if chunked:
        # one chunk that is announced too large: nginx need not read it to refuse it
        request = f"{head}Transfer-Encoding: chunked\r\n\r\n{limit_mib * MIB + 1:x}\r\n".encode() + b"x" * 1000
    else:
        request = f"{head}Content-Length: {limit_mib * MIB + 1}\r\n\r\n".encode()
    answer = door.raw(request, one=True)
    headers, _, body = answer.partition(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 413")

    told = json.loads(body)
    if target.startswith("/v1/"):
        assert (told["error"]["code"], told["error"]["type"]) == ("body_too_large", "invalid_request_error")
    else:
        assert b"application/problem+json" in headers
        assert (told["status"], told["code"]) == (413, "body_too_large")
        assert ("error" in told) == target.startswith("/api/")
    assert b"32 MiB" in body
    assert b"256 MiB" in body


def test_a_gateway_that_is_down_is_502_with_retry_after(tmp_path: Path) -> None:
    with doors.running(tmp_path, doors.free_port()) as door:
        for target, shape in (("/v1/models", "openai"), ("/api/tags", "ollama"), ("/health", "problem")):
            answer = door.ask("GET", target, headers={"X-Request-ID": "down"})
            assert answer.status == 502
            assert int(answer.headers["retry-after"]) > 0
            assert answer.headers["x-request-id"] == "down"
            told = answer.json()
            code = told["error"]["code"] if shape == "openai" else told["code"]
            assert code == "gateway_down"
            assert answer.headers["content-type"] == (
                "application/json" if shape == "openai" else "application/problem+json"
            )
            if shape != "openai":
                assert told["request_id"] == "down"


def test_a_gateway_that_says_nothing_is_504(tmp_path: Path) -> None:
    """A listener that never answers; nginx's own patience is 965 s on a host, 1 s here."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        short = {"proxy_read_timeout 1565s": "proxy_read_timeout 1s"}
        with doors.running(tmp_path, mute.getsockname()[1], short) as door:
            answer = door.ask("POST", "/v1/chat/completions", body=b"{}")
    assert (answer.status, answer.json()["error"]["code"]) == (504, "gateway_timeout")


def test_one_address_cannot_take_all(tmp_path: Path, upstream: Upstream) -> None:
    limits: dict[str, Any] = {"ai_max_connections_per_address": 2, "ai_max_requests_per_s_per_address": 5}
    with doors.running(tmp_path, upstream.port, **limits) as door:
        answers = [door.ask("GET", "/v1/models") for _ in range(30)]
        refused = [each for each in answers if each.status != 200]
        assert 0 < len(refused) < 20
        assert {each.status for each in refused} == {429}
        assert refused[0].json()["error"]["type"] == "rate_limit_error"
        assert refused[0].headers["retry-after"] == "1"


def test_addresses_outside_the_allowed_networks_are_told_so(tmp_path: Path, upstream: Upstream) -> None:
    with doors.running(
        tmp_path, upstream.port, {"allow 127.0.0.0/8;\n": ""}, ai_allowed_networks=["192.0.2.0/24"]
    ) as door:
        answer = door.ask("POST", "/api/chat", body=b"{}")
    assert (answer.status, answer.json()["code"]) == (403, "address_not_allowed")
    assert "ai_allowed_networks" in answer.json()["error"]


def test_plain_http_is_what_it_says(tmp_path: Path, upstream: Upstream) -> None:
    with doors.running(tmp_path, upstream.port, ai_tls="off", ai_domain=None) as door:
        answer = door.raw(b"GET /health HTTP/1.1\r\nHost: 192.168.1.5\r\nConnection: close\r\n\r\n", tls=False)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"strict-transport-security" not in answer.lower()


def test_what_is_rendered_is_what_the_role_installs() -> None:
    """The parts that the role brings are the templates that there are."""
    parts = yaml.safe_load((render.ROLE / "vars/main.yml").read_text())["nginx_parts"]
    templates = {path.name.removesuffix(".conf.j2") for path in render.TEMPLATES.glob("*.conf.j2")}
    assert sorted(render.PARTS) == sorted(parts)
    assert templates == {*parts, "site"}
