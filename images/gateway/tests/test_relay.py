"""What passes through the gateway passes as it came, at once, and stops when somebody leaves (B.2, B.7, S0.1)."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from dialects.harness import AUTH, INTERNAL_KEY, KEY, Connection
from dialects.house import CHAT, EVENT, WAIT_S, House, post, read_until


async def test_json_arrives_byte_for_byte(house: House) -> None:
    body = b'{"model": "gemma3:270m",  "messages": [], "unknown": 1.10, "stream":false}'
    answer = b'{"a" :  1}'
    seen: list[bytes] = []

    async def backend(connection: Connection) -> None:
        seen.append(await connection.read_request())
        await connection.answer(answer)

    async with house.llm.playing(backend), post(house, "/v1/chat/completions", data=body) as response:
        assert response.status == 200
        assert await response.read() == answer
    assert seen == [body]


async def test_only_allowed_headers_cross(house: House) -> None:
    """No key, cookie or forged address reaches a backend; no cookie or connection detail reaches the client."""
    heads: list[dict[str, str]] = []

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        heads.append(connection.headers)
        await connection.write(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\nset-cookie: a=b\r\n"
            b"x-private: 1\r\nconnection: keep-alive, x-private\r\nserver: s\r\naccess-control-allow-origin: *\r\n"
            b"x-kept: yes\r\nx-control: a\x01b\r\n\r\n{}"
        )

    sent = {
        "Cookie": "session=1",
        "X-Forwarded-For": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X-Email": "root@example.com",
        "X-Request-ID": "from-the-client",
        "Accept-Language": "fr",
    }
    async with house.llm.playing(backend), post(house, "/v1/chat/completions", json=CHAT, headers=sent) as response:
        received = response.headers
        assert response.status == 200
    (head,) = heads
    assert head["authorization"] == f"Bearer {INTERNAL_KEY}"
    assert head["x-forwarded-for"] == "127.0.0.1"
    assert head["x-request-id"] == "from-the-client"
    assert head["accept-language"] == "fr"
    assert head["host"] == f"127.0.0.1:{house.llm.port}"
    assert not {"cookie", "forwarded", "x-real-ip", "x-email"} & set(head)
    assert KEY not in str(head)
    assert received["x-kept"] == "yes"
    assert received["x-request-id"] == "from-the-client"
    assert not {"set-cookie", "x-control", "x-private", "server", "access-control-allow-origin"} & {
        name.lower() for name in received
    }


async def test_events_are_not_held_back(house: House) -> None:
    """The first event reaches the client before the backend writes the second."""
    go_on = asyncio.Event()

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        await connection.start_chunked("text/event-stream")
        await connection.chunk(EVENT)
        await go_on.wait()
        await connection.chunk(b"data: [DONE]\n\n")
        await connection.end_chunked()

    async with (
        house.llm.playing(backend),
        post(house, "/v1/chat/completions", json=CHAT | {"stream": True}) as response,
    ):
        assert response.headers["x-accel-buffering"] == "no"
        assert await read_until(response, b"\n\n") == EVENT
        go_on.set()
        assert await response.read() == b"data: [DONE]\n\n"


async def test_records_are_translated_as_they_come(house: House) -> None:
    """B.7: the first record of a translated stream reaches the client before the backend writes its second event."""
    go_on = asyncio.Event()

    async def backend(connection: Connection) -> None:
        asked = json.loads(await connection.read_request())
        assert asked["stream"] is True
        await connection.start_chunked("text/event-stream")
        await connection.chunk(EVENT)
        await go_on.wait()
        await connection.chunk(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n')
        await connection.end_chunked()

    async with house.llm.playing(backend), post(house, "/api/chat", json=CHAT) as response:
        assert response.content_type == "application/x-ndjson"
        first = json.loads(await read_until(response, b"\n"))
        assert first["message"] == {"role": "assistant", "content": "a"}
        assert first["done"] is False
        go_on.set()
        last = json.loads(await response.read())
        assert last["done"] is True
        assert last["done_reason"] == "stop"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
@pytest.mark.parametrize("when", ["before the first byte", "in the middle"])
async def test_a_client_that_leaves_stops_the_work(house: House, path: str, when: str) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def backend(connection: Connection) -> None:
        await connection.read_request()
        if when == "in the middle":
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
        arrived.set()
        await connection.until_gone()
        gone.set()

    async with house.llm.playing(backend):
        session = aiohttp.ClientSession(headers=AUTH)
        request = asyncio.create_task(session.post(f"{house.url}{path}", json=CHAT | {"stream": True}))
        async with asyncio.timeout(WAIT_S):
            await arrived.wait()
            if when == "in the middle":
                await read_until(await request, b"\n")
        request.cancel()
        await session.close()
        async with asyncio.timeout(WAIT_S):
            await gone.wait()


async def test_many_that_leave_leave_nothing_behind(house: House) -> None:
    """Fifty at once leave before the first byte: every one's work stops, and the gateway counts none in flight."""
    arrived = gone = 0
    all_arrived, all_gone = asyncio.Event(), asyncio.Event()

    async def backend(connection: Connection) -> None:
        nonlocal arrived, gone
        await connection.read_request()
        arrived += 1
        if arrived == 50:
            all_arrived.set()
        await connection.until_gone()
        gone += 1
        if gone == 50:
            all_gone.set()

    async with house.llm.playing(backend):
        session = aiohttp.ClientSession(headers=AUTH, connector=aiohttp.TCPConnector(limit=0))
        asked = [asyncio.create_task(session.post(f"{house.url}/api/chat", json=CHAT)) for _ in range(50)]
        async with asyncio.timeout(WAIT_S):
            await all_arrived.wait()
        for task in asked:
            task.cancel()
        await session.close()
        async with asyncio.timeout(WAIT_S):
            await all_gone.wait()
    async with aiohttp.ClientSession(headers=AUTH) as session, session.get(f"{house.url}/metrics") as response:
        metrics = await response.text()
    assert 'ai_gateway_backend_in_flight{backend="llm"} 0.0' in metrics


async def test_a_client_that_does_not_read_slows_the_backend(house: House) -> None:
    """An answer nobody reads is not collected in the gateway: the backend is made to wait."""
    written = 0
    stuck = asyncio.Event()

    async def backend(connection: Connection) -> None:
        nonlocal written
        await connection.read_request()
        await connection.start_chunked("application/octet-stream")
        piece = b"x" * 65536
        while not stuck.is_set():
            try:
                async with asyncio.timeout(1):
                    await connection.chunk(piece)
                    written += len(piece)
            except TimeoutError:
                stuck.set()

    before = house.gateway.peak_rss_mib()
    async with house.llm.playing(backend):
        _reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port, limit=1024)
        body = json.dumps(CHAT).encode()
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        async with asyncio.timeout(60):
            await stuck.wait()
        writer.transport.abort()
    assert written < 64 * 2**20
    assert house.gateway.peak_rss_mib() - before < 16
