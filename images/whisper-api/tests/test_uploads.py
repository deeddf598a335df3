"""The form itself: too large, broken, stalled, of another kind, without its fields."""

from __future__ import annotations

import socket

import pytest
from support import speech
from support.whisper import KEY, WhisperServer

from .conftest import Sounds
from .test_bad_files import strict_server  # noqa: F401  (a fixture)

HEAD = (
    "POST /transcribe HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
    "Content-Type: multipart/form-data; boundary=b\r\n{more}\r\n"
)
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'


def _send(server: WhisperServer, more: str, *chunks: bytes) -> bytes:
    """Send a head and some of a body, never all of it; returns the answer."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as connection:
        connection.sendall(HEAD.format(key=KEY, more=more).encode())
        for chunk in chunks:
            connection.sendall(chunk)
        with connection.makefile("rb") as answer:
            head = b"".join(iter(answer.readline, b"\r\n"))
            length = next(line for line in head.splitlines() if line.startswith(b"content-length:"))
            return head + answer.read(int(length.split()[1]))


@pytest.mark.promise("S3.1")
def test_an_announced_length_over_the_limit_is_refused_unread(strict_server: WhisperServer) -> None:  # noqa: F811  # a fixture
    answer = _send(strict_server, "Content-Length: 500000000\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"file_too_large" in answer


@pytest.mark.promise("S3.1")
def test_a_body_of_unknown_length_is_cut_at_the_limit(strict_server: WhisperServer) -> None:  # noqa: F811  # a fixture
    piece = bytes(65536)
    chunks = [b"%x\r\n%s\r\n" % (len(part), part) for part in (PART, *[piece] * 17)]
    answer = _send(strict_server, "Transfer-Encoding: chunked\r\n", *chunks)
    assert answer.startswith(b"HTTP/1.1 413 ")
    strict_server.wait_until(lambda: not strict_server.recordings())


@pytest.mark.promise("S3.1")
def test_an_upload_that_stalls_loses_its_place(strict_server: WhisperServer) -> None:  # noqa: F811  # a fixture
    answer = _send(strict_server, "Content-Length: 100000\r\n", PART)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"upload_stalled" in answer
    assert strict_server.queue()["queue_size"] == 0


@pytest.mark.promise("S3.1")
def test_an_upload_that_is_given_up_leaves_nothing(strict_server: WhisperServer) -> None:  # noqa: F811  # a fixture
    with socket.create_connection(("127.0.0.1", strict_server.port), 20) as connection:
        connection.sendall(HEAD.format(key=KEY, more="Content-Length: 100000\r\n").encode() + PART + b"some")
        strict_server.wait_until(lambda: strict_server.queue()["preparing"] == 1)
        assert len(strict_server.recordings()) == 1
    strict_server.wait_until(lambda: strict_server.queue()["preparing"] == 0)
    assert not strict_server.recordings()


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code"),
    [
        ("application/json", b"{}", 415, "unsupported_media_type"),
        ("audio/wav", b"RIFF", 415, "unsupported_media_type"),
        ("", b"", 415, "unsupported_media_type"),
        ("multipart/form-data", b"--b--", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", b"", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", b"hello", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", PART + b"cut off", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: y\r\n\r\nz\r\n--b--\r\n", 400, "malformed_form"),
        ("multipart/form-data; boundary=b", b"--b\r\nX: " + b"y" * 9000, 400, "malformed_form"),
        ("multipart/form-data; boundary=b", PART + b"a\r\n" + PART + b"b\r\n--b--\r\n", 400, "too_many_files"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n--b--\r\n',
            400,
            "missing_file",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + b"y" * 70000 + b"\r\n--b--\r\n",
            400,
            "field_too_long",
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="p"\r\n\r\n\r\n' * 70 + b"--b--\r\n",
            400,
            "malformed_form",
        ),
    ],
)
def test_a_form_that_cannot_be_read_is_refused(
    server: WhisperServer, content_type: str, body: bytes, status: int, code: str
) -> None:
    answer = server.post("/transcribe", data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_path_as_file_name_is_only_a_name(server: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    with sounds.spoken(sentence).open("rb") as stream:
        answer = server.post("/transcribe", files={"file": ("../../../../tmp/whisper-was-here", stream)})
    assert answer.status_code == 200
    assert not any(path.name == "whisper-was-here" for path in server.temp_dir.rglob("*"))


@pytest.mark.parametrize("path", ["/transcribe", "/transcribe/url", "/queue/status", "/", "/docs", "/openapi.json"])
@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc="])
def test_every_route_but_the_probes_needs_a_key(server: WhisperServer, path: str, authorization: str) -> None:
    answer = server.post(path, data=b"x", headers={"Authorization": authorization})
    assert answer.status_code == 401
