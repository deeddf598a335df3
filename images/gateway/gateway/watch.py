"""Ends the work on a request when its client leaves, or when a phase of it takes too long."""

from __future__ import annotations

import asyncio
from typing import Literal

from service_kit.asgi import Receive

Phase = Literal["client_body", "client_read", "connect", "send", "first_byte", "idle"]


class Watch:
    """One request's clock and its eye on the client.

    It belongs to the task that creates it, and cancels that task at most once: `left` is then true when the client
    went away, `expired` names the phase that took too long. Whoever catches the CancelledError asks `take_blame()`
    whether it was ours.
    """

    __slots__ = (
        "_deadline",
        "_handle",
        "_loop",
        "_receive",
        "_task",
        "_watcher",
        "expired",
        "left",
        "phase",
        "spent_s",
    )

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None, "a Watch belongs to a task"  # noqa: S101 - tells mypy what ASGI guarantees
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._handle: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._deadline = 0.0
        self.phase: Phase = "client_body"
        self.spent_s = 0.0
        self.expired = False
        self.left = False

    def enter(self, phase: Phase, limit_s: float, after_s: float = 0.0) -> None:
        """Begin `phase`, which may take `limit_s` seconds, and begins within `after_s` itself (below 0: it has begun).

        Cheap: the timer is moved only when it must be earlier.
        """
        self.phase = phase
        self.spent_s = limit_s
        deadline = self._loop.time() + after_s + limit_s
        if self._handle is None:
            self._handle = self._loop.call_at(deadline, self._ring)
        elif deadline < self._deadline:
            self._handle.cancel()
            self._handle = self._loop.call_at(deadline, self._ring)
        self._deadline = deadline

    def rest(self) -> None:
        """Let the clock stand still until the next phase; the eye on the client stays open."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def wait_for_departure(self) -> None:
        """Watch for the client's leaving from here on; the request's body must have been received whole."""
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._await_departure())

    def close(self) -> None:
        """Stop the clock and look away."""
        self.rest()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    def take_blame(self) -> bool:
        """Whether the cancellation just caught was ours; if so, the task lives on, and a new phase may be entered."""
        if self.left or self.expired:
            self._task.uncancel()
            self.expired = False
            return True
        return False

    def _ring(self) -> None:
        if self._loop.time() < self._deadline - 0.001:
            self._handle = self._loop.call_at(self._deadline, self._ring)
            return
        self._handle = None
        if not self.left:
            self.expired = True
            self._task.cancel()

    async def _await_departure(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.expired and self._watcher is not None:
            self.left = True
            self._task.cancel()
