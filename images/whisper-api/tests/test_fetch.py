"""POST /transcribe/url, and the fetcher behind it: public addresses only, checked at every step."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from support import speech
from support.whisper import WhisperServer, whisper_server

from service_kit.errors import ServiceError
from whisper_api.fetch import MAX_REDIRECTS, Fetcher, Resolver
from whisper_api.settings import WhisperSettings

from .conftest import Sounds

OPEN = "127.0.0.2"  # the one address that the tests' settings allow
CLOSED = "127.0.0.1"


class Web(http.server.ThreadingHTTPServer):
    """A web server with a few tricks. `visits`: who was asked for what, as (host address, path)."""

    daemon_threads = True

    def __init__(self, address: str, files: dict[str, bytes]) -> None:
        super().__init__((address, 0), _Pages)
        self.address = address
        self.files = files
        self.visits: list[str] = []
        self.goto = ""
        self.release = threading.Event()

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.server_port}"


class _Pages(http.server.BaseHTTPRequestHandler):
    server: Web
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.visits.append(self.path)
        self.close_connection = True
        if self.path.startswith("/go"):
            self._head(302, {"Location": self.server.goto, "Content-Length": "0"})
        elif self.path == "/loop":
            self._head(307, {"Location": "/loop", "Content-Length": "0"})
        elif self.path == "/endless":
            self._head(200, {"Content-Type": "audio/wav"})
            while not self.server.release.is_set():
                try:
                    self.wfile.write(bytes(65536))
                except OSError:
                    return
        elif self.path == "/slow":
            self._head(200, {"Content-Type": "audio/wav", "Content-Length": "1000000"})
            self.server.release.wait(60)
        elif self.path == "/large":
            self._head(200, {"Content-Length": "99999999"})
        elif self.path == "/gzip":
            self._head(200, {"Content-Encoding": "gzip", "Content-Length": "0"})
        elif self.path == "/broken":
            self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
        elif self.path in self.server.files:
            content = self.server.files[self.path]
            self._head(200, {"Content-Length": str(len(content)), "Content-Type": "text/plain"})
            self.wfile.write(content)
        else:
            self._head(404, {"Content-Length": "0"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def web(sounds: Sounds, sentence: speech.Speech) -> Iterator[Web]:
    """A server on the allowed address."""
    with _serving(Web(OPEN, {"/speech": sounds.spoken(sentence, "mp3").read_bytes()})) as serving:
        yield serving


@pytest.fixture
def inside() -> Iterator[Web]:
    """A server that must never be visited."""
    with _serving(Web(CLOSED, {"/secret": b"secret"})) as serving:
        yield serving
        assert serving.visits == []


class _serving:  # noqa: N801  (a context manager)
    def __init__(self, web: Web) -> None:
        self._web = web
        self._thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Web:
        self._thread.start()
        return self._web

    def __exit__(self, *_: object) -> None:
        self._web.release.set()
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


def _settings(**more: Any) -> WhisperSettings:
    return WhisperSettings(url_allow_private_networks=(ip_network(f"{OPEN}/32"),), max_upload_mib=1, **more)


def _fetch(url: str, tmp_path: Path, resolver: Resolver | None = None, **more: Any) -> int:
    settings = _settings(**more)
    fetcher = Fetcher(settings, resolver) if resolver else Fetcher(settings)
    return asyncio.run(fetcher.fetch(url, tmp_path / "file"))


def _names(**answers: list[str]) -> tuple[Resolver, list[str]]:
    """A resolver that knows `name_test` as name.test; each answer is given once, the last one for good."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        known = answers[host.replace(".", "_")]
        return [known.pop(0) if len(known) > 1 else known[0]]

    return resolve, asked


def test_a_public_file_is_fetched(web: Web, tmp_path: Path) -> None:
    assert _fetch(f"{web.url}/speech", tmp_path) == len(web.files["/speech"])
    assert (tmp_path / "file").read_bytes() == web.files["/speech"]
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_redirect_to_a_permitted_place_is_followed(web: Web, tmp_path: Path) -> None:
    web.goto = "/speech"
    assert _fetch(f"{web.url}/go", tmp_path) == len(web.files["/speech"])
    assert web.visits == ["/go", "/speech"]


def test_a_name_is_resolved_once_and_that_answer_is_connected_to(web: Web, tmp_path: Path) -> None:
    """An answer that changes between the check and the connection changes nothing: there is no second question."""
    resolver, asked = _names(good_test=[OPEN, CLOSED])
    assert _fetch(f"http://good.test:{web.server_port}/speech", tmp_path, resolver) > 0
    assert asked == ["good.test"]


@pytest.mark.promise("S3.1")
def test_a_name_that_is_rebound_is_refused_at_the_next_step(web: Web, inside: Web, tmp_path: Path) -> None:
    resolver, asked = _names(turn_test=[OPEN, CLOSED])
    web.goto = f"http://turn.test:{inside.server_port}/secret"
    with pytest.raises(ServiceError, match="not public"):
        _fetch(f"http://turn.test:{web.server_port}/go", tmp_path, resolver)
    assert asked == ["turn.test", "turn.test"]


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/secret",
        "http://localhost:{port}/secret",
        "//127.0.0.1:{port}/secret",
        "http://[::ffff:127.0.0.1]:{port}/secret",
        "http://2130706433:{port}/secret",
        "http://0x7f.1:{port}/secret",
        "http://0177.0.0.1:{port}/secret",
        "http://127.1:{port}/secret",
        "http://0.0.0.0:{port}/secret",
        "http://[::]:{port}/secret",
        "http://①②⑦.⓪.⓪.①:{port}/secret",
        "http://127。0。0。1:{port}/secret",
        "http://user@127.0.0.1:{port}/secret",
        "file:///etc/passwd",
        "ftp://127.0.0.1/secret",
        "gopher://127.0.0.1:{port}/secret",
    ],
)
def test_a_redirect_inside_is_refused(web: Web, inside: Web, tmp_path: Path, target: str) -> None:
    web.goto = target.format(port=inside.server_port).encode().decode("latin-1")
    with pytest.raises(ServiceError) as raised:
        _fetch(f"{web.url}/go", tmp_path)
    assert raised.value.status == 400
    assert raised.value.code in {"url_not_allowed", "url_unreachable"}
    assert not (tmp_path / "file").exists()


@pytest.mark.promise("S3.1")
def test_one_private_answer_among_public_ones_is_refused(tmp_path: Path) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return [OPEN, "10.0.0.1"]

    with pytest.raises(ServiceError, match="not public"):
        _fetch("http://mixed.test/", tmp_path, resolve)


@pytest.mark.parametrize(
    ("path", "code", "more"),
    [
        ("/loop", "url_unreachable", {}),
        ("/nothing-here", "url_status", {}),
        ("/endless", "file_too_large", {}),
        ("/large", "file_too_large", {}),
        ("/slow", "url_unreachable", {"fetch_timeout_s": 0.3}),
        ("/gzip", "url_unreachable", {}),
        ("/broken", "url_unreachable", {}),
    ],
)
def test_what_a_server_can_do_wrong(web: Web, tmp_path: Path, path: str, code: str, more: dict[str, Any]) -> None:
    with pytest.raises(ServiceError) as raised:
        _fetch(web.url + path, tmp_path, **more)
    assert raised.value.code == code
    assert raised.value.status in {400, 413}
    assert web.address not in raised.value.sentence
    assert len(web.visits) <= MAX_REDIRECTS + 1


def test_a_name_that_does_not_exist_and_a_port_where_nobody_is(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="cannot be resolved"):
        _fetch("http://does-not-exist.invalid/", tmp_path)
    with pytest.raises(ServiceError, match="cannot be reached"):
        _fetch(f"http://{OPEN}:3/", tmp_path)


REFUSED_URLS = [
    "http://127.0.0.1/",
    "http://localhost/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://[::1]/",
    "http://[fe80::1]/",
    "http://[fd00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[2002:7f00:1::]/",
    "http://[64:ff9b::7f00:1]/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "file:///etc/passwd",
    "ftp://example.com/a",
    "data:audio/wav;base64,UklGRg==",
    "concat:/etc/passwd",
    "//example.com/a",
    "example.com/a",
    "http:///nothing",
    "http://user:secret@example.com/",
    "http://example.com:22/",
    "http://example.com:99999/",
    "http://exa mple.com/",
    "http://example.com\\@127.0.0.1/",
    "http://[::1/",
    "http://" + "a" * 5000 + "/",
]


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("url", REFUSED_URLS, ids=lambda url: url[:40])
def test_an_address_that_is_not_public_is_refused(server: WhisperServer, url: str) -> None:
    answer = server.post("/transcribe/url", json={"url": url})
    assert answer.status_code == 400
    assert answer.json()["code"] in {"url_not_allowed", "url_unreachable"}
    assert answer.json()["param"] == "url"


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{}", "application/json", "missing_url"),
        (b'{"url": 7}', "application/json", "invalid_url"),
        (b"[]", "application/json", "invalid_json"),
        (b"{", "application/json", "invalid_json"),
        (b"[" * 100_000, "application/json", "invalid_json"),
        (b"language=en", "application/x-www-form-urlencoded", "missing_url"),
        (b"hello", "text/plain", "unsupported_media_type"),
        (b"x" * 200_000, "application/json", "body_too_large"),
        (b"&".join(b"a=1" for _ in range(100)), "application/x-www-form-urlencoded", "malformed_form"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_body_that_names_no_url_is_refused(server: WhisperServer, body: bytes, content_type: str, code: str) -> None:
    answer = server.post("/transcribe/url", data=body, headers={"Content-Type": content_type})
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == code


@pytest.mark.promise("S0.1")
def test_a_url_is_transcribed_and_not_logged(web: Web, tmp_path: Path, sentence: speech.Speech) -> None:
    url = f"{web.url}/speech?token=do-not-log"
    web.files["/speech?token=do-not-log"] = web.files["/speech"]
    with whisper_server(tmp_path, URL_ALLOW_PRIVATE_NETWORKS=f"{OPEN}/32, 10.9.0.0/16") as server:
        for answer in (
            server.post("/transcribe/url", json={"url": url, "language": "en"}),
            server.post("/transcribe/url", data={"url": url}),
            server.post("/transcribe/url", files={"url": (None, url)}),
        ):
            assert answer.status_code == 200
            assert speech.word_error_rate(sentence.text, answer.json()["text"]) <= 0.15
        assert server.post("/transcribe/url", json={"url": f"http://{CLOSED}/"}).status_code == 400
        refused = server.post("/transcribe/url", json={"url": url, "language": "pt"})
        assert (refused.status_code, refused.json()["param"]) == (400, "language")
        assert "do-not-log" not in server.log
        assert OPEN not in server.log
        assert not server.recordings()
