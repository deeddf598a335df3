"""An administrator of a House: pauses its backends, and sees who waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from dialects.harness import ADMIN_KEY
from dialects.house import WAIT_S, House

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}
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
