"""While a host is migrated: the old speech service stands by, and answers until ours has shown that it can.

A backend's `standby` names the old service. Which of the two is asked is decided when the gateway starts, when a pause
of the backend ends, and, as long as ours has not answered its health check, every few seconds while requests come. Once
ours has answered, only ours is asked, until somebody pauses the backend again. Under a pause, which is how the one is
exchanged for the other, only administrators come through: they get whichever is healthy at that moment.
"""

from __future__ import annotations

import asyncio
import time

from gateway.old_routes import has
from gateway.registry import Backend, Standby
from gateway.routing import Route
from gateway.upstream import Upstream
from service_kit.errors import ServiceError
from service_kit.log import get_logger

CHECK_TIMEOUT_S = 2.0
CHECK_EVERY_S = 3.0
RETRY_AFTER_S = 30


class TakeOver:
    """One backend's choice between itself and its standby."""

    def __init__(self, backend: Backend, standby: Standby, upstream: Upstream) -> None:
        self._primary = backend
        self._api = standby.api
        self.standby = standby.as_backend(backend.name)
        self._upstream = upstream
        self._checking: asyncio.Task[None] | None = None
        self._checked_at = float("-inf")
        # whether the standby is the one that answers
        self.active = True
        # how often a pause ended without its owner's word, so that one may have been exchanged for the other, and how
        # many of these the last look has taken in
        self._doubts = 0
        self._doubts_settled = 0

    async def target(self, route: Route, *, paused: bool) -> Backend:
        """Who answers `route` now. Raises ServiceError 503 for a route that the standby has not."""
        if paused or self._doubts != self._doubts_settled:
            await self.decide()
        elif self.active and time.monotonic() - self._checked_at >= CHECK_EVERY_S:
            # Nobody waits for this one: while ours is not there yet, asking for it may take its whole time.
            self._look()
        if not self.active:
            return self._primary
        if not has(self._api, route):
            raise ServiceError(
                503,
                "not_migrated_yet",
                f"{route.path} is not there yet: this host is being migrated, and its old service, which still "
                "answers, has no such route.",
                hint="Try again when the migration is done.",
                retry_after_s=RETRY_AFTER_S,
            )
        return self.standby

    async def decide(self) -> None:
        """Look anew which of the two is to answer, because one may have been exchanged for the other."""
        if self._checking is not None and not self._checking.done():
            await asyncio.shield(self._checking)  # it may have asked before the exchange
        await asyncio.shield(self._look())

    def doubt(self) -> None:
        """Look anew with the next request."""
        self._doubts += 1

    def _look(self) -> asyncio.Task[None]:
        """Ask ours; many who want to know at once share one answer."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._ask())
        return self._checking

    async def _ask(self) -> None:
        doubts = self._doubts
        healthy = await self._is_healthy()
        active = not healthy and await self._may_stay_or_come()
        if active != self.active:
            get_logger().info("taken_over" if not active else "given_back", backend=self._primary.name)
        self.active = active
        self._checked_at = time.monotonic()
        if healthy or active:
            self._doubts_settled = doubts
        else:
            self.doubt()  # neither answered in time: who comes next looks again, or ours would be asked for ever

    async def _may_stay_or_come(self) -> bool:
        """Whether the standby is to be asked as long as ours does not answer."""
        if not self.active:
            # Ours may have missed one check; it is given up only for a standby that is really there.
            return await self._stands_by()
        # Either may be too busy to answer in time, and ours may be starting where the standby has been stopped.
        if not await self._upstream.accepts(self._primary, CHECK_TIMEOUT_S):
            return True
        return await self._upstream.accepts(self.standby, CHECK_TIMEOUT_S)

    async def _is_healthy(self) -> bool:
        return await self._upstream.probe(self._primary, "/health", CHECK_TIMEOUT_S) == 200

    async def _stands_by(self) -> bool:
        # it has no health check that all such services share; that it answers is all there is to know
        return await self._upstream.probe(self.standby, "/", CHECK_TIMEOUT_S) is not None

    async def health(self) -> dict[str, str]:
        """The standby as a component of /health."""
        if await self._stands_by():
            return {"status": "ok", "kind": self._primary.kind, "standby": self._api}
        return {"status": "down", "kind": self._primary.kind, "reason": "the old service does not answer"}
