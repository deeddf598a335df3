"""Gateways in front of backends that do as the test says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dialects import harness
from dialects.harness import AUTH, GatewayProcess, ScriptedBackend


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


def _house(directory: Path, kind: str = "openai", **environment: str) -> Iterator[House]:
    key_file = harness.internal_key_file(directory)
    speech, llm = ScriptedBackend(harness.free_port()), ScriptedBackend(harness.free_port())
    backends = [
        speech.line("whisper", "whisper-api", ["tiny.en"], key_file),
        llm.line(kind, "llm", [harness.MODEL] if kind == "openai" else [], key_file),
    ]
    with harness.gateway(directory, backends, **environment) as running:
        yield House(running, speech, llm)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """In front of whisper-api and an OpenAI-speaking backend; small limits of size."""
    yield from _house(tmp_path_factory.mktemp("house"), MAX_JSON_MIB="1", MAX_UPLOAD_MIB="300")


@pytest.fixture(scope="module")
def ollama_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """In front of whisper-api and an Ollama-speaking backend."""
    yield from _house(tmp_path_factory.mktemp("ollama-house"), "ollama")


@pytest.fixture(scope="module")
def impatient_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Every phase may take a second."""
    yield from _house(
        tmp_path_factory.mktemp("impatient-house"),
        CLIENT_BODY_TIMEOUT_S="1",
        UPSTREAM_CONNECT_TIMEOUT_S="1",
        UPSTREAM_FIRST_BYTE_TIMEOUT_S="1",
        UPSTREAM_IDLE_TIMEOUT_S="1",
        MAX_UPLOAD_MIB="32",
    )
