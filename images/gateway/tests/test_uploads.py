"""Audio passes through piece by piece, is never held, and has limits (S0.2, B.2)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from dialects.harness import AUTH, INTERNAL_KEY, KEY, Connection
from dialects.house import House, post

MIB = 2**20
WAIT_S = 20
ROUTES = ("/transcribe", "/v1/audio/transcriptions", "/transcribe/url")
TEXT = b'{"text":"hello","language":"en","duration":1.0,"processing_time":0.1}'


async def echo_length(connection: Connection) -> None:
    body = await connection.read_request()
    await connection.answer(json.dumps({"bytes": len(body)}).encode())


@pytest.mark.parametrize("path", ROUTES)
async def test_every_byte_arrives(house: House, path: str) -> None:
    """S0.2: counted and chunked bodies alike, and the answer comes back as it is."""
    seen: list[tuple[dict[str, str], bytes]] = []

    async def backend(connection: Connection) -> None:
        body = await connection.read_request()
        seen.append((connection.headers, body))
        await connection.answer(TEXT)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(10):
            yield bytes([number]) * 10_000

    whole = b"".join([piece async for piece in pieces()])
    for data in (whole, pieces()):
        async with (
            house.speech.playing(backend),
            post(house, path, data=data, headers={"Content-Type": "multipart/form-data; boundary=b"}) as response,
        ):
            assert response.status == 200
            assert await response.read() == TEXT
    assert [body for _, body in seen] == [whole, whole]
    assert seen[0][0]["content-length"] == "100000"
    assert seen[1][0]["transfer-encoding"] == "chunked"
    assert "content-length" not in seen[1][0]
    assert {head["content-type"] for head, _ in seen} == {"multipart/form-data; boundary=b"}
    assert {head["authorization"] for head, _ in seen} == {f"Bearer {INTERNAL_KEY}"}


async def test_the_backend_reads_while_the_client_still_sends(house: House) -> None:
    """The first piece reaches the backend before the client sends the last."""
    first_arrived = asyncio.Event()

    async def backend(connection: Connection) -> None:
        await connection.read_head()
        assert await connection.read_chunk() == b"first"
        first_arrived.set()
        assert await connection.read_chunk() == b"last"
        assert await connection.read_chunk() == b""
        await connection.answer(TEXT)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        async with asyncio.timeout(WAIT_S):
            await first_arrived.wait()
        yield b"last"

    async with house.speech.playing(backend), post(house, "/transcribe", data=pieces()) as response:
        assert response.status == 200


async def test_two_hundred_mebibytes_are_not_held(house: House) -> None:
    before = house.gateway.peak_rss_mib()
    size = 200 * MIB
    received = 0

    async def backend(connection: Connection) -> None:
        nonlocal received
        await connection.read_head()
        while received < size:
            received += len(await connection.reader.read(MIB))
        await connection.answer(TEXT)

    async def pieces() -> AsyncIterator[bytes]:
        piece = b"\x00" * MIB
        for _ in range(200):
            yield piece

    async with (
        house.speech.playing(backend),
        post(house, "/transcribe", data=pieces(), headers={"Content-Length": str(size)}) as response,
    ):
        assert response.status == 200
    assert received == size
    assert house.gateway.peak_rss_mib() - before < 16


async def test_a_slow_backend_slows_the_client(house: House) -> None:
    """A backend that does not read makes the client wait: what it cannot take stays with the client."""
    sent = 0
    go_on = asyncio.Event()

    async def backend(connection: Connection) -> None:
        await connection.read_head()
        await go_on.wait()
        while await connection.read_chunk():
            pass
        await connection.answer(TEXT)

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            yield b"\x00" * MIB
            sent += MIB

    before = house.gateway.peak_rss_mib()
    async with house.speech.playing(backend), aiohttp.ClientSession(headers=AUTH) as session:
        request = asyncio.create_task(session.post(f"{house.url}/transcribe", data=pieces()))
        held = -1
        while held != sent or not sent:
            held = sent
            await asyncio.sleep(0.3)  # no event tells that nothing happens
        assert held < 40 * MIB
        go_on.set()
        async with await request as response:
            assert response.status == 200
    assert house.gateway.peak_rss_mib() - before < 16


async def test_a_client_that_leaves_within_its_upload_breaks_it(house: House) -> None:
    """The backend sees a broken request, never a short one that looks whole."""
    started, gone = asyncio.Event(), asyncio.Event()
    rest: list[bytes] = []

    async def backend(connection: Connection) -> None:
        await connection.read_head()
        assert await connection.read_chunk() == b"first"
        started.set()
        try:
            rest.append(await connection.reader.read())
        except ConnectionError:
            rest.append(b"")
        gone.set()

    _reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    async with house.speech.playing(backend), asyncio.timeout(WAIT_S):
        writer.write(
            f"POST /transcribe HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            "transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n".encode()
        )
        await started.wait()
        writer.transport.abort()
        await gone.wait()
    assert rest == [b""], "the end of the body was made up"


async def test_a_client_that_leaves_after_its_upload_stops_the_work(house: House) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        arrived.set()
        await connection.until_gone()
        gone.set()

    async with house.speech.playing(backend), asyncio.timeout(WAIT_S):
        session = aiohttp.ClientSession(headers=AUTH)
        request = asyncio.create_task(session.post(f"{house.url}/transcribe", data=b"x" * 1000))
        await arrived.wait()
        request.cancel()
        await session.close()
        await gone.wait()


class TestLimits:
    async def test_announced_too_large(self, impatient_house: House) -> None:
        """Refused before a byte is taken, and before a backend is asked: none runs here."""
        async with post(impatient_house, "/transcribe", data=b"x" * (32 * MIB + 1)) as response:
            assert response.status == 413
            assert (await response.json())["code"] == "body_too_large"

    @pytest.mark.parametrize("path", ["/transcribe", "/v1/audio/transcriptions"])
    async def test_grows_too_large(self, impatient_house: House, path: str) -> None:
        rest: list[bytes] = []

        async def backend(connection: Connection) -> None:
            await connection.read_head()
            rest.append((await connection.reader.read())[-5:])

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield b"x" * MIB

        async with (
            impatient_house.speech.playing(backend),
            post(impatient_house, path, data=pieces()) as response,
        ):
            assert response.status == 413
            assert "32 MiB" in await response.text()
        assert rest != [b"0\r\n\r\n"], "the cut body was ended as if it were whole"

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_json_too_large(self, house: House, chunked: bool) -> None:
        body = b'{"prompt":"' + b"x" * MIB + b'"}'

        async def pieces() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 65536):
                yield body[start : start + 65536]

        for path in ("/v1/chat/completions", "/api/generate"):
            async with post(house, path, data=pieces() if chunked else body) as response:
                assert response.status == 413

    async def test_the_client_stops_sending(self, impatient_house: House) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_head()
            await connection.until_gone()

        reader, writer = await asyncio.open_connection("127.0.0.1", impatient_house.gateway.port)
        async with impatient_house.speech.playing(backend), asyncio.timeout(WAIT_S):
            writer.write(
                f"POST /transcribe HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
                "content-length: 1000\r\n\r\nabc".encode()
            )
            answer = await reader.readuntil(b"}")
        assert b"408 Request Timeout" in answer
        writer.close()

    async def test_the_backend_stops_taking(self, impatient_house: House) -> None:
        answered = asyncio.Event()

        async def backend(connection: Connection) -> None:
            await connection.read_head()
            await answered.wait()

        async with (
            impatient_house.speech.playing(backend),
            post(impatient_house, "/transcribe", data=b"x" * 31 * MIB) as response,
        ):
            assert response.status == 504
            assert "phase send" in (await response.json())["detail"]
            answered.set()


async def test_an_answer_before_the_upload_is_through_gets_across(house: House) -> None:
    """Queue full: the backend answers 429 at once; the client gets that answer, not a reset connection."""

    async def backend(connection: Connection) -> None:
        await connection.read_head()
        await connection.write(
            b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"
        )
        await connection.until_gone()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * MIB

    async with house.speech.playing(backend), post(house, "/transcribe", data=pieces()) as response:
        assert response.status == 429
        assert response.headers["retry-after"] == "7"


async def test_backend_down(house: House) -> None:
    async with post(house, "/transcribe", data=b"x" * 5 * MIB) as response:
        assert response.status == 503
        assert response.headers["retry-after"]
        assert "'whisper-api'" in (await response.json())["detail"]


async def test_expect_100_continue(house: House) -> None:
    """The body is asked for only once a backend is there to take it; with a wrong key never."""
    head = (
        "POST /transcribe HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 5\r\n"
        "expect: 100-continue\r\n\r\n"
    )
    async with house.speech.playing(echo_length), asyncio.timeout(WAIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
        writer.write(head.format(KEY).encode())
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"12345")
        assert b'{"bytes": 5}' in await reader.readuntil(b"}")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
        writer.write(head.format("wrong").encode())
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"100 Continue" not in answer
        writer.close()


async def test_a_wrong_key_is_told_after_a_large_body(house: House) -> None:
    """A client that first sends all of its 20 MiB and then reads finds the 401, not a reset connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    async with asyncio.timeout(WAIT_S):
        writer.write(
            b"POST /transcribe HTTP/1.1\r\nhost: x\r\nauthorization: Bearer wrong\r\ncontent-length: 20971520\r\n\r\n"
        )
        for _ in range(20):
            writer.write(b"x" * MIB)
            await writer.drain()
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer
    writer.close()
