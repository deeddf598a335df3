"""What an administrator may do with the backends: look at them, pause one, resume it.

Whoever changes a backend pauses it first, renews the pause while at work, and resumes it; `in_flight` in the answers
falls to 0 once the backend has nothing left to do. See gateway.pause for what a pause is.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from gateway import __version__
from gateway.bodies import collect, decode
from gateway.exchange import Exchange, Services
from gateway.pause import Gate
from gateway.registry import Backend
from service_kit.errors import ServiceError

MAX_LEASE_S = 120.0
_MAX_BODY_BYTES = 16 * 1024
_JSON = b"application/json"

Owner = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Pausing(msgspec.Struct):
    """The body of a pause: who, why, and for how many seconds unless it is renewed."""

    owner: Owner
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    lease_s: Annotated[float, msgspec.Meta(gt=0, le=MAX_LEASE_S)]


class Resuming(msgspec.Struct):
    """The body of a resume: the owner of the pause."""

    owner: Owner


_PAUSING = msgspec.json.Decoder(Pausing)
_RESUMING = msgspec.json.Decoder(Resuming)


class AdminRoutes:
    """One method per route. Each expects that an administrator asks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._by_name = {backend.name: backend for backend in services.registry.backends}

    async def backends(self, exchange: Exchange) -> None:
        """GET /api/admin/backends."""
        found = [self._state(backend) for backend in self._services.registry.backends]
        inside = self._services.admission.inside
        await self._answer(exchange, {"version": __version__, "in_flight": inside, "backends": found})

    async def pause(self, exchange: Exchange) -> None:
        """POST /api/admin/backends/{name}/pause: shut the gate, or renew."""
        backend = self._named(exchange.rest)
        asked = decode(_PAUSING, await self._body(exchange))
        self._gate(backend).pause_for(asked.owner, asked.why, asked.lease_s)
        await self._answer(exchange, self._state(backend))

    async def resume(self, exchange: Exchange) -> None:
        """POST /api/admin/backends/{name}/resume: open the gate; also where it is open."""
        backend = self._named(exchange.rest)
        asked = decode(_RESUMING, await self._body(exchange))
        gate, takeover = self._gate(backend), self._services.takeovers.get(backend.name)
        if takeover is not None and gate.pause is not None:
            await takeover.decide()
        gate.resume(asked.owner)
        await self._answer(exchange, self._state(backend))

    def _gate(self, backend: Backend) -> Gate:
        return self._services.admission.gates[backend.name]

    def _named(self, name: str) -> Backend:
        backend = self._by_name.get(name)
        if backend is None:
            raise ServiceError(
                404,
                "backend_not_found",
                f"There is no backend '{name[:80]}' behind this gateway.",
                hint=f"There are: {', '.join(self._by_name) or 'none'}.",
            )
        return backend

    def _state(self, backend: Backend) -> dict[str, Any]:
        gate = self._gate(backend)
        held = gate.pause
        return {
            "name": backend.name,
            "kind": backend.kind,
            "in_flight": gate.in_flight,
            "waiting": len(gate.queue),
            "paused": None
            if held is None
            else {
                "owner": held.owner,
                "why": held.why,
                "since": held.since.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "ends_in_s": round(max(0.0, held.ends_at - asyncio.get_running_loop().time()), 3),
            },
            "standby": self._standby(backend),
        }

    def _standby(self, backend: Backend) -> dict[str, Any] | None:
        takeover = self._services.takeovers.get(backend.name)
        return None if takeover is None else {"url": takeover.standby.url, "active": takeover.active}

    @staticmethod
    async def _body(exchange: Exchange) -> bytes:
        limit_s = exchange.services.settings.client_body_timeout_s
        return await collect(exchange.scope, exchange.receive, exchange.watch, _MAX_BODY_BYTES, limit_s)

    @staticmethod
    async def _answer(exchange: Exchange, record: dict[str, Any]) -> None:
        await exchange.answer(200, msgspec.json.encode(record), _JSON, (b"cache-control", b"no-store"))
