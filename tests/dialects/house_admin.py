"""An administrator of a House: pauses its backends, and sees who waits; and those who wait, and the backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from dialects.harness import ADMIN_KEY, KEY, Connection
from dialects.house import CHAT, EVENT, WAIT_S, House, post

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
TEXT = b'{"text":"hello"}'
DONE = b"data: [DONE]\n\n"
# Longer than any test; one that wants a lease to end says so.
LEASE_S = 60.0


async def ask(
    house: House, method: str, path: str, json: object = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and document of an admin route."""
    async with (
        aiohttp.ClientSession(headers=ADMIN if headers is None else headers) as session,
        session.request(method, f"{house.url}/api/admin/backends{path}", json=json) as response,
    ):
        return response.status, await response.json()


async def pause(house: House, name: str, owner: str = "me", lease_s: float = LEASE_S) -> dict[str, Any]:
    status, state = await ask(house, "POST", f"/{name}/pause", {"owner": owner, "why": "test", "lease_s": lease_s})
    assert status == 200, state
    return state


async def resume(house: House, name: str, owner: str = "me") -> dict[str, Any]:
    status, state = await ask(house, "POST", f"/{name}/resume", {"owner": owner})
    assert status == 200, state
    return state


async def state_of(house: House, name: str) -> dict[str, Any]:
    _, found = await ask(house, "GET", "")
    states: dict[str, dict[str, Any]] = {each["name"]: each for each in found["backends"]}
    return states[name]


async def until(house: House, name: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The backend's state once `condition` holds of it."""
    async with asyncio.timeout(WAIT_S):
        while True:
            if condition(state := await state_of(house, name)):
                return state
            await asyncio.sleep(0.02)


async def until_waiting(house: House, name: str, count: int) -> None:
    await until(house, name, lambda state: state["waiting"] == count)


@asynccontextmanager
async def paused(house: House, name: str) -> AsyncIterator[None]:
    """Paused within; resumed afterwards, if the test did not."""
    await pause(house, name)
    try:
        yield
    finally:
        await resume(house, name)


async def answer(connection: Connection, body: bytes = TEXT, status: str = "200 OK") -> None:
    """The backends here serve one request a connection, and say so."""
    body = b"" if connection.head.startswith(b"HEAD ") else body
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    await connection.write(head.encode() + body)


async def says(connection: Connection) -> None:
    await connection.read_request()
    await answer(connection)


async def streams(connection: Connection) -> None:
    await connection.read_request()
    await connection.start_chunked("text/event-stream")
    await connection.chunk(EVENT)
    await connection.chunk(DONE)
    await connection.end_chunked()


async def chat(
    house: House, path: str = "/v1/chat/completions", **members: Any
) -> tuple[int, Mapping[str, str], bytes]:
    async with post(house, path, json=CHAT | members) as response:
        return response.status, response.headers, await response.read()


@asynccontextmanager
async def sending(house: House, head: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(f"{head}\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode())
    try:
        yield reader, writer
    finally:
        writer.close()
