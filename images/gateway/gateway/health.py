"""Health of the whole house: every backend asked at the same time, briefly, and not once per caller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
from multidict import CIMultiDict

from gateway import __version__
from gateway.admission import Admission
from gateway.parsing import Malformed, parse
from gateway.registry import Backend, Kind, Registry
from gateway.takeover import TakeOver
from gateway.upstream import Upstream
from service_kit.errors import ServiceError

ASK_TIMEOUT_S = 2.0
CACHE_S = 1.0
_MAX_ANSWER_BYTES = 64 * 1024
_ASKED_AT: dict[Kind, str] = {"whisper": "/health", "openai": "/health", "ollama": "/api/version"}

_OBJECT = msgspec.json.Decoder(dict[str, Any])

Component = dict[str, Any]


class Health:
    """Asks the backends. An answer is kept for CACHE_S and shared by all who ask meanwhile: this route is open."""

    def __init__(
        self, registry: Registry, upstream: Upstream, admission: Admission, takeovers: Mapping[str, TakeOver]
    ) -> None:
        self._takeovers = takeovers
        self._registry = registry
        self._upstream = upstream
        self._admission = admission
        self._asking: asyncio.Task[dict[str, Component]] | None = None
        self._asked_at = float("-inf")

    async def report(self) -> tuple[int, dict[str, Any]]:
        """Status and body of /health: 200 with `status` ok, or 503 with `degraded` or `down`.

        A paused backend is no fault of the house: its requests wait, and are answered.
        """
        components = dict(await self._components())
        for backend in self._registry.backends:
            if self._admission.is_paused(backend):  # perhaps since they were asked
                components[backend.name] = _paused(backend)
        alive = sum(component["status"] in {"ok", "paused"} for component in components.values())
        status = "ok" if alive == len(components) else "degraded" if alive else "down"
        return (200 if status == "ok" else 503), {
            "status": status,
            "service": "ai-services",
            "version": __version__,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "components": components,
        }

    async def _components(self) -> dict[str, Component]:
        now = time.monotonic()
        asking = self._asking
        if asking is None or (asking.done() and now - self._asked_at > CACHE_S):
            asking = self._asking = asyncio.create_task(self._ask_all())
            self._asked_at = now
        # shielded: the first caller may leave, the others still wait for the same answer
        return await asyncio.shield(asking)

    async def _ask_all(self) -> dict[str, Component]:
        backends = self._registry.backends
        answers = await asyncio.gather(*(self._ask(backend) for backend in backends))
        return {backend.name: answer for backend, answer in zip(backends, answers, strict=True)}

    async def _ask(self, backend: Backend) -> Component:
        if self._admission.is_paused(backend):
            return _paused(backend)
        takeover = self._takeovers.get(backend.name)
        if takeover is not None and takeover.active:
            return {**await takeover.health()}
        started_at = time.perf_counter()
        try:
            async with asyncio.timeout(ASK_TIMEOUT_S):
                status, said = await self._get(backend)
        except TimeoutError:
            return {"status": "down", "kind": backend.kind, "reason": f"no answer within {ASK_TIMEOUT_S:g} s"}
        except (ServiceError, aiohttp.ClientError, ConnectionError) as error:
            reason = error.message if isinstance(error, ServiceError) else "the connection broke"
            return {"status": "down", "kind": backend.kind, "reason": reason}
        component: Component = {
            "status": "ok" if status == 200 else "down",
            "kind": backend.kind,
            "latency_ms": round((time.perf_counter() - started_at) * 1000, 1),
        }
        if backend.models:
            component["models"] = list(backend.models)
        if backend.kind == "whisper":
            component = {**said, **component}
        elif backend.kind == "ollama" and "version" in said:
            component["version"] = said["version"]
        if status != 200:
            component["reason"] = f"its health check answers {status}"
        return component

    async def _get(self, backend: Backend) -> tuple[int, dict[str, Any]]:
        key = self._upstream.key_of(backend)
        headers: CIMultiDict[str] = CIMultiDict({"Authorization": f"Bearer {key}"} if key else {})
        response = await self._upstream.send(backend, "GET", _ASKED_AT[backend.kind], headers=headers)
        try:
            body = await response.content.read(_MAX_ANSWER_BYTES)
        finally:
            response.release()
        try:
            return response.status, parse(_OBJECT, body)
        except Malformed:
            return response.status, {}


def _paused(backend: Backend) -> Component:
    return {"status": "paused", "kind": backend.kind, "reason": "it is being changed; requests wait meanwhile"}
