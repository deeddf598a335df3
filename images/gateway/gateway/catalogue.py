"""GET /v1/models: the models of all backends in one list, in OpenAI's shape."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from multidict import CIMultiDict

from gateway.admission import Admission
from gateway.parsing import Malformed, parse
from gateway.registry import Backend, Registry, model_not_found
from gateway.routing import QUICK_TIMEOUT_S
from gateway.upstream import Upstream, backend_errors, backend_timeout
from service_kit.errors import ServiceError
from service_kit.log import get_logger

Entry = dict[str, Any]


class Listed(msgspec.Struct):
    """One model as an OpenAI-speaking server lists it; `meta` is llama.cpp's."""

    id: str
    created: int = 0
    owned_by: str = ""
    meta: dict[str, Any] | None = None


class Listing(msgspec.Struct):
    """The answer of a server's GET /v1/models."""

    data: list[Listed] = []


_LISTING = msgspec.json.Decoder(Listing)


async def fetch(upstream: Upstream, backend: Backend, path: str) -> bytes:
    """GET a small document from `backend`. Raises ServiceError when it is down or answers anything but 200."""
    key = upstream.key_of(backend)
    headers: CIMultiDict[str] = CIMultiDict({"Authorization": f"Bearer {key}"} if key else {})
    try:
        async with asyncio.timeout(QUICK_TIMEOUT_S):
            response = await upstream.send(backend, "GET", path, headers=headers)
            with backend_errors(backend):
                body = await response.read()
    except TimeoutError:
        raise backend_timeout(backend, "first_byte", QUICK_TIMEOUT_S) from None
    if response.status != 200:
        raise ServiceError(
            502, "bad_backend_answer", f"Backend '{backend.name}' answered {path} with status {response.status}."
        )
    return body


async def listed(upstream: Upstream, backend: Backend) -> list[Listed]:
    """What `backend` lists itself. Raises ServiceError when it is down or makes no sense."""
    try:
        return parse(_LISTING, await fetch(upstream, backend, "/v1/models")).data
    except Malformed as error:
        raise ServiceError(
            502, "bad_backend_answer", f"Backend '{backend.name}' lists its models in a shape nobody knows: {error}."
        ) from error


class Catalogue:
    """All models: those that the registry names, and those that an Ollama without names has just now."""

    def __init__(self, registry: Registry, upstream: Upstream, admission: Admission) -> None:
        self._registry = registry
        self._upstream = upstream
        self._admission = admission
        self._last: dict[str, list[Entry]] = {}
        self._started_at = int(time.time())

    async def models(self) -> tuple[list[Entry], list[str]]:
        """The entries, and the names of backends that could not be asked."""
        entries: dict[str, Entry] = {}
        silent: list[str] = []
        for backend in self._registry.backends:
            if backend.models or backend.kind != "ollama":
                found = [self._entry(name, self._started_at, backend) for name in backend.models]
            elif self._admission.is_paused(backend) and backend.name in self._last:
                found = self._last[backend.name]
            else:
                try:
                    found = [self._entry(each.id, each.created, backend) for each in await self._ask(backend)]
                    self._last[backend.name] = found
                except ServiceError as error:
                    get_logger().warning("models_unknown", backend=backend.name, error=error.code)
                    silent.append(backend.name)
                    continue
            for entry in found:
                entries.setdefault(entry["id"], entry)
        return list(entries.values()), silent

    async def model(self, name: str) -> Entry:
        """One entry. Raises ServiceError 404 when no backend has it."""
        entries, _ = await self.models()
        for entry in entries:
            if name in (entry["id"], f"{entry['id']}:latest") or f"{name}:latest" == entry["id"]:
                return entry
        raise model_not_found(name, [entry["id"] for entry in entries])

    async def _ask(self, backend: Backend) -> list[Listed]:
        return await listed(self._upstream, backend)

    @staticmethod
    def _entry(name: str, created: int, backend: Backend) -> Entry:
        return {"id": name, "object": "model", "created": created, "owned_by": backend.name}
