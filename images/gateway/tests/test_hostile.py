"""Requests made to confuse: each is refused with a 4xx, and the door stays open for others (S0.12)."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from dialects.harness import AUTH, KEY, Connection
from dialects.house import House, post

WAIT_S = 30
KEYED = f"host: x\r\nauthorization: Bearer {KEY}\r\n".encode()
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\n" + KEYED


async def say(house: House, data: bytes) -> bytes:
    """What the gateway answers to raw bytes, until it closes or a second of silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    received = b""
    with contextlib.suppress(ConnectionError, TimeoutError):
        writer.write(data)
        await writer.drain()
        while True:
            async with asyncio.timeout(WAIT_S if not received else 0.3):
                piece = await reader.read(65536)
            if not piece:
                break
            received += piece
    writer.close()
    return received


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "path",
    [
        "//v1/models",
        "/v1//models",
        "/./v1/models",
        "/v1/../v1/models",
        "/%2e%2e/v1/models",
        "/x/%2e%2e/v1/models",
        "/V1/models",
        "/v1/models/",
        "/v1/models/%2e%2e/%2e%2e/api/tags",
        "/v1/models;x=1",
        "/api/tags%00",
        "/api/tags%0d%0aX-A:b",
        "/api/tags%20",
        "/%5capi/tags",
        "/api/..%5cblobs",
        "/api",
        "/api/",
        "/api/v1/jobs",
        "/admin",
        "/metrics/x",
        "/healthz/../api/tags",
        "/health/../api/tags",
        "/health%2f..%2fapi%2ftags",
    ],
)
async def test_paths_are_compared_as_they_are(house: House, path: str) -> None:
    """No cleaning up, no second decoding: a path that is no row of the table is no route. No backend runs here."""
    assert status(await say(house, f"GET {path} HTTP/1.1\r\n".encode() + KEYED + b"\r\n")) == 404


async def test_a_path_is_decoded_once(house: House) -> None:
    """An encoded slash is a slash, because a model's name may hold one; an encoded percent sign stays what it is."""
    for path, expected in (("/v1%2fmodels", 200), ("/v1%252fmodels", 404), ("/v1/models/x%252fy", 404)):
        assert status(await say(house, f"GET {path} HTTP/1.1\r\n".encode() + KEYED + b"\r\n")) == expected
        assert status(await say(house, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())) == 401


@pytest.mark.parametrize("path", ["//health", "/health/", "/health%2f", "/healthz/x", "/%2fhealth", "/HEALTH"])
async def test_no_spelling_of_a_probe_opens_the_door(house: House, path: str) -> None:
    assert status(await say(house, f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())) == 401


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET http://evil.example/v1/models HTTP/1.1", {200, 400}),
        (b"GET http://evil.example/healthz@/api/tags HTTP/1.1", {400, 404}),
        (b"OPTIONS * HTTP/1.1", {400, 404}),
        (b"CONNECT evil.example:443 HTTP/1.1", {400, 404, 405}),
        (b"TRACE /v1/models HTTP/1.1", {400, 405}),
        (b"PROPFIND /v1/models HTTP/1.1", {400, 405}),
        (b"get /v1/models HTTP/1.1", {400, 405}),
        (b"POST /v1/models HTTP/1.1", {405}),
        (b"GET /v1/models HTTP/9.9", {400, 505}),
        (b"GET /v1/models", {200, 400}),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", {400}),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n", {400, 405, 505}),
    ],
)
async def test_request_lines(house: House, request_line: bytes, expected: set[int]) -> None:
    assert status(await say(house, request_line + b"\r\n" + KEYED + b"\r\n")) in expected


SMUGGLED = b"0\r\n\r\nGET /api/tags HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "framing",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5, 5\r\n",
        b"content-length: +5\r\n",
        b"content-length: -5\r\n",
        b"content-length: 0x5\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"transfer-encoding : chunked\r\n",
        b"content-length : 5\r\n",
        b" content-length: 5\r\n",
    ],
)
async def test_ambiguous_framing_is_refused(house: House, framing: bytes) -> None:
    """One request in, at most one answer out: nothing of a body is ever taken for a request."""
    reached: list[bytes] = []

    async def backend(connection: Connection) -> None:
        reached.append(await connection.read_request())
        await connection.answer(b"{}")

    async with house.llm.playing(backend), house.speech.playing(backend):
        for head in (CHAT, b"POST /transcribe HTTP/1.1\r\n" + KEYED):
            answer = await say(house, head + framing + b"\r\n" + SMUGGLED)
            assert answer.count(b"HTTP/1.1 ") == 1
            assert status(answer) in {400, 431, 501}
    assert reached == []


async def test_two_keys_are_none(house: House) -> None:
    """Which of two Authorization headers counts would be anybody's guess."""
    wrong = b"authorization: Bearer wrong\r\n"
    for head in (KEYED + wrong, b"host: x\r\n" + wrong + KEYED.split(b"\r\n", 1)[1]):
        assert status(await say(house, b"GET /v1/models HTTP/1.1\r\n" + head + b"\r\n")) == 401


async def test_huge_heads(house: House) -> None:
    for head in (
        b"x: " + b"a" * 200_000 + b"\r\n",
        b"".join(b"x-%d: a\r\n" % number for number in range(5000)),
    ):
        assert status(await say(house, b"GET /v1/models HTTP/1.1\r\n" + KEYED + head + b"\r\n")) in {400, 431}
    assert status(await say(house, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n" + KEYED + b"\r\n")) in {
        400,
        404,
        414,
        431,
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b"\xff\xfe{\x00}\x00", "invalid_json"),
        (b"[" * 100_000, "invalid"),
        (b'{"a":' * 100_000, "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b'"text"', "invalid_request"),
        (b'{"model": 5}', "invalid_request"),
        (b'{"model": ["gemma3:270m"]}', "invalid_request"),
        (b'{"model": {"a": 1}}', "invalid_request"),
        (b'{"model": "gemma3:270m"} trailing', "invalid_json"),
        (b'{"model": "\xff\xfe"}', "invalid_json"),
        (b'{"model": "\\ud800"}', "invalid_json"),
        (b'{"model": NaN}', "invalid_json"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/generate"])
async def test_bodies_that_are_no_requests(house: House, path: str, body: bytes, code: str) -> None:
    async with post(house, path, data=body) as response:
        answer = await response.json(content_type=None)
    assert response.status == 400
    error = answer["error"] if path.startswith("/v1/") else answer
    assert error["code"].startswith(code)


@pytest.mark.parametrize(
    "members",
    [
        '"messages": "text"',
        '"messages": [1]',
        '"messages": [{"content": "no role"}]',
        '"messages": [{"role": "user", "images": "one"}]',
        '"messages": [{"role": "user", "content": "x"}], "options": []',
        '"messages": [{"role": "user", "content": "x"}], "options": {"stop": 5}',
        '"messages": [{"role": "user", "content": "x"}], "options": {"top_k": 1.5}',
        '"messages": [{"role": "user", "content": "x"}], "options": {"num_predict": 1e400}',
        '"messages": [{"role": "user", "content": "x"}], "options": {"seed": true}',
        '"messages": [{"role": "user", "content": "x"}], "format": "xml"',
        '"messages": [{"role": "user", "content": "x"}], "think": "hard"',
        '"messages": [{"role": "user", "content": "x"}], "keep_alive": "soon"',
        '"messages": [], "keep_alive": {}',
        '"messages": [{"role": "user", "content": "x"}], "stream": "yes"',
        '"messages": [{"role": "user", "content": "\\ud800"}]',
        '"messages": [{"role": "user", "content": "x"}], "tools": [{"a":' + "[" * 5000 + "]" * 5000 + "}]",
    ],
)
async def test_chats_of_the_wrong_shape(house: House, members: str) -> None:
    """Named as 400, in words that Ollama's client can read, before any backend is asked: none runs here."""
    async with post(house, "/api/chat", data=f"{{{members}}}".encode()) as response:
        answer = await response.json(content_type=None)
    assert response.status == 400, answer
    assert answer["error"]


async def test_a_chunked_body_without_end(house: House) -> None:
    """Counted as it comes: 413 long before memory is at stake."""
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    answer = await say(house, CHAT + b"transfer-encoding: chunked\r\n\r\n" + chunk * 40)
    assert status(answer) == 413


async def test_a_compressed_json_body(house: House) -> None:
    """A bomb has no way in."""
    answer = await say(house, CHAT + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n\x1f\x8b")
    assert status(answer) == 415


async def test_trailers_do_not_become_headers(house: House) -> None:
    heads: list[dict[str, str]] = []

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        heads.append(connection.headers)
        await connection.answer(b"{}")

    async with house.llm.playing(backend):
        answer = await say(
            house,
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer "
            + KEY.encode()
            + b"\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\naccept-language: xx\r\n\r\n",
        )
    assert status(answer) == 200
    assert all("accept-language" not in head for head in heads)


async def test_a_query_cannot_change_the_route(house: House) -> None:
    lines: list[bytes] = []

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        lines.append(connection.head.split(b"\r\n")[0])
        await connection.answer(b"{}")

    async with house.llm.playing(backend):
        answer = await say(
            house,
            b"POST /v1/chat/completions?a=/../x&b=%0d%0aX:y#z HTTP/1.1\r\n" + KEYED + b"content-length: 2\r\n\r\n{}",
        )
    assert status(answer) in {200, 400}
    assert all(line.startswith(b"POST /v1/chat/completions") and line.endswith(b" HTTP/1.1") for line in lines)


async def test_websockets_are_refused(house: House) -> None:
    upgrade = (
        b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
        b"sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    for head in (KEYED, b"host: x\r\n"):
        answer = await say(house, b"GET /v1/chat/completions HTTP/1.1\r\n" + head + upgrade + b"\r\n")
        assert status(answer) in {400, 401, 403, 405}


async def test_still_serving(house: House) -> None:
    """After all of the above, in whatever order: the same process answers."""
    async with aiohttp.ClientSession(headers=AUTH) as session, session.get(f"{house.url}/v1/models") as response:
        assert response.status == 200
    assert house.gateway.process.poll() is None
