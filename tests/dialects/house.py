"""A gateway whose backends do as the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from dialects.harness import AUTH, MODEL, GatewayProcess, ScriptedBackend, free_port, gateway, internal_key_file

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
# Long enough that only a hang ends it.
WAIT_S = 20


@dataclass(frozen=True)
class House:
    """A gateway and the ports where its backends are looked for; a test plays the backends it needs."""

    gateway: GatewayProcess
    speech: ScriptedBackend
    llm: ScriptedBackend

    @property
    def url(self) -> str:
        return self.gateway.url


@contextlib.asynccontextmanager
async def post(house: House, path: str, json: object = None, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """POST with the right key, on a connection of its own."""
    async with (
        aiohttp.ClientSession(headers=AUTH) as session,
        session.post(house.url + path, json=json, **options) as response,
    ):
        yield response


@contextlib.contextmanager
def house_over(directory: Path, kind: str = "openai", **environment: str) -> Iterator[House]:
    """A gateway in front of a whisper-api and an LLM backend of `kind`; what they say is the test's affair."""
    key_file = internal_key_file(directory)
    speech, llm = ScriptedBackend(free_port()), ScriptedBackend(free_port())
    backends = [
        speech.line("whisper", "whisper-api", ["tiny.en"], key_file),
        llm.line(kind, "llm", [MODEL] if kind == "openai" else [], key_file),
    ]
    with gateway(directory, backends, **environment) as running:
        yield House(running, speech, llm)


async def read_until(response: aiohttp.ClientResponse, wanted: bytes) -> bytes:
    """Read until `wanted` has come; fail when it does not."""
    received = b""
    async with asyncio.timeout(WAIT_S):
        while wanted not in received:
            piece = await response.content.readany()
            assert piece, f"ended before {wanted!r}: {received!r}"
            received += piece
    return received
