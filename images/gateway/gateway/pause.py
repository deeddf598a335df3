"""A backend's gate: open, or shut for a while by whoever changes that backend; requests then wait in order.

Nothing in here knows HTTP. A gate belongs to one backend and one event loop, so nothing needs a lock: between looking
at a gate and going through it nobody else runs.

A pause is a lease: it ends when its owner resumes, when the owner has not renewed it in time, or at PAUSE_MAX_S,
whatever comes first, so no dead owner leaves a backend shut. Who has held it for PAUSE_MAX_S and goes on renewing it is
refused until resuming it, or until silent for a lease's time.

What waited is then let in by its place in the queue: some at once, one more for each that ends, and one more every
LET_IN_EVERY_S besides, up to LET_IN_AT_MOST, so that neither a crowd falls upon a backend that has just started, nor a
few long answers hold up the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.metrics import BACKEND_IN_FLIGHT, BACKEND_PAUSED, BACKEND_WAITING
from service_kit.errors import ServiceError
from service_kit.log import get_logger

LET_IN_AT_ONCE = 8
LET_IN_EVERY_S = 0.5
# What a backend gets besides those that end: below what any of them refuses (whisper-api's queue takes 128). One that
# had more when it was paused takes as many again: with fewer, what waits for vLLM would only grow, the gate stay shut.
LET_IN_AT_MOST = 32
RETRY_AFTER_S = 30

EndedBy = Literal["owner", "lease", "limit"]


@dataclass(slots=True)
class Pause:
    """Who shut the gate and why. Times are the loop's, in seconds; `since` is the clock's on the wall."""

    owner: str
    why: str
    since: datetime
    began_at: float
    ends_at: float
    lease_s: float
    timer: asyncio.TimerHandle


@dataclass(slots=True)
class Outstayed:
    """An owner whose pause ended at PAUSE_MAX_S and who goes on renewing it. Forgotten like a lease: by `until`."""

    owner: str
    until: float


class Room:
    """How much may wait in this gateway, at all gates together: requests, and bytes of bodies that they hold."""

    def __init__(self, max_waiting: int, max_bytes: int) -> None:
        self._max_waiting = max_waiting
        self._max_bytes = max_bytes
        self.waiting = 0
        self.held_bytes = 0

    def has(self, held_bytes: int) -> bool:
        """Whether one more may wait that holds `held_bytes`."""
        return self.waiting < self._max_waiting and self.held_bytes + held_bytes <= self._max_bytes


class Turn:
    """A place in a gate's queue. `come` is done once its holder is inside."""

    __slots__ = ("_gate", "come", "held_bytes", "joined_at", "place")

    def __init__(self, gate: Gate, place: int, held_bytes: int, joined_at: float) -> None:
        self._gate = gate
        self.place = place
        self.held_bytes = held_bytes
        self.joined_at = joined_at
        self.come: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def place_now(self) -> int:
        """How many wait before this one, and itself: 1 is the next."""
        return next((n for n, each in enumerate(self._gate.queue, 1) if each is self), 1)

    def give_up(self) -> None:
        """Leave the queue, or the backend if the turn has come meanwhile."""
        if self.come.done():
            self._gate.leave()
        else:
            self._gate.forget(self)


class Gate:
    """The way to one backend. `shut` is all that a request has to look at while nothing is paused."""

    __slots__ = (
        "_in_flight_gauge",
        "_let_in_timer",
        "_max_s",
        "_outstayed",
        "_room",
        "_takes",
        "in_flight",
        "name",
        "on_abandoned",
        "pause",
        "queue",
        "shut",
    )

    def __init__(self, name: str, room: Room, max_s: float) -> None:
        self.name = name
        self.shut = False
        self.in_flight = 0
        self.pause: Pause | None = None
        # a dict keeps its order and forgets one in the middle at once
        self.queue: dict[Turn, None] = {}
        # called when a pause ends without its owner's word, before anybody is let in
        self.on_abandoned: Callable[[], None] | None = None
        self._room = room
        self._max_s = max_s
        self._takes = LET_IN_AT_MOST
        self._outstayed: Outstayed | None = None
        self._let_in_timer: asyncio.TimerHandle | None = None
        self._in_flight_gauge = BACKEND_IN_FLIGHT.labels(name)
        BACKEND_WAITING.labels(name).set(0)
        BACKEND_PAUSED.labels(name).set(0)

    # --- requests ---

    def enter(self) -> None:
        """Go in at once."""
        self.in_flight += 1
        self._in_flight_gauge.inc()

    def leave(self) -> None:
        """Come out again; whoever waits for a free place may go in."""
        self.in_flight -= 1
        self._in_flight_gauge.dec()
        if self.queue and self.pause is None:
            self._let_in(1)

    def join(self, held_bytes: int) -> Turn:
        """The last place in the queue. Raises ServiceError 503 when no more may wait."""
        if not self._room.has(held_bytes):
            raise ServiceError(
                503,
                "too_many_waiting",
                f"Backend '{self.name}' is being changed, and no more requests may wait for it.",
                hint="Try again in a moment.",
                retry_after_s=RETRY_AFTER_S,
            )
        turn = Turn(self, len(self.queue) + 1, held_bytes, asyncio.get_running_loop().time())
        self.queue[turn] = None
        self._room.waiting += 1
        self._room.held_bytes += held_bytes
        BACKEND_WAITING.labels(self.name).set(len(self.queue))
        return turn

    def forget(self, turn: Turn) -> None:
        """Take `turn` out of the queue, wherever it stands."""
        if self.queue.pop(turn, turn) is turn:
            return
        self._room.waiting -= 1
        self._room.held_bytes -= turn.held_bytes
        BACKEND_WAITING.labels(self.name).set(len(self.queue))
        self._shut_or_open()

    # --- owners ---

    def pause_for(self, owner: str, why: str, lease_s: float) -> None:
        """Shut the gate for `lease_s`, or renew the owner's own lease.

        Raises ServiceError 409 for another's, and for an owner whose pause has ended at PAUSE_MAX_S.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        held = self.pause
        if held is None:
            self._refuse_outstayed(owner, now, lease_s)
            self._takes = max(self._takes, self.in_flight)
            timer = loop.call_later(lease_s, self._expire)
            self.pause = Pause(owner, why, datetime.now(UTC), now, now, lease_s, timer)
            BACKEND_PAUSED.labels(self.name).set(1)
            get_logger().info("backend_paused", backend=self.name, owner=owner, why=why, lease_s=lease_s)
        elif held.owner != owner:
            raise self._held_by_another(held)
        held = self._held()
        held.why, held.lease_s = why, lease_s
        held.ends_at = min(now + lease_s, held.began_at + self._max_s)
        held.timer.cancel()
        held.timer = loop.call_at(held.ends_at, self._expire)
        self._shut_or_open()

    def resume(self, owner: str) -> None:
        """Open the gate; nothing to do where it is open. Raises ServiceError 409 when another owner shut it."""
        if self._outstayed is not None and self._outstayed.owner == owner:
            self._outstayed = None
        if self.pause is None:
            return
        if self.pause.owner != owner:
            raise self._held_by_another(self.pause)
        self._end("owner")

    def _held(self) -> Pause:
        if self.pause is None:
            raise RuntimeError("the gate is not paused")
        return self.pause

    def _held_by_another(self, held: Pause) -> ServiceError:
        ends_in_s = held.ends_at - asyncio.get_running_loop().time()
        return ServiceError(
            409,
            "paused_by_another",
            f"Backend '{self.name}' is paused by '{held.owner}' ({held.why}).",
            hint=f"Its lease ends in {max(0, ends_in_s):.0f} s unless it is renewed.",
            param="owner",
            retry_after_s=max(1, ends_in_s),
        )

    def _refuse_outstayed(self, owner: str, now: float, lease_s: float) -> None:
        outstayed = self._outstayed
        if outstayed is None or outstayed.owner != owner or outstayed.until < now:
            self._outstayed = None
            return
        outstayed.until = now + lease_s
        raise ServiceError(
            409,
            "pause_used_up",
            f"Backend '{self.name}' was paused by '{owner}' for {self._max_s:g} s, the longest there is.",
            hint="Its callers are being answered again. Resume it first, to pause it once more.",
            param="owner",
        )

    def _expire(self) -> None:
        held = self._held()
        at_limit = held.ends_at >= held.began_at + self._max_s
        if at_limit:
            self._outstayed = Outstayed(held.owner, held.ends_at + held.lease_s)
        self._end("limit" if at_limit else "lease")

    def _end(self, by: EndedBy) -> None:
        held = self._held()
        held.timer.cancel()
        self.pause = None
        BACKEND_PAUSED.labels(self.name).set(0)
        paused_s = round(asyncio.get_running_loop().time() - held.began_at, 3)
        log: Callable[..., None] = get_logger().info if by == "owner" else get_logger().warning
        log("backend_resumed", backend=self.name, owner=held.owner, by=by, paused_s=paused_s, waiting=len(self.queue))
        if by != "owner" and self.on_abandoned is not None:
            self.on_abandoned()
        self._let_in(LET_IN_AT_ONCE)

    # --- letting in ---

    def _let_in(self, count: int) -> None:
        """Give their turn to the first `count` in the queue."""
        while count and self.queue:
            turn = next(iter(self.queue))
            self.forget(turn)
            self.enter()
            turn.come.set_result(None)
            count -= 1
        self._shut_or_open()

    def _shut_or_open(self) -> None:
        """While anybody waits, the gate is shut for newcomers too: they stand behind."""
        self.shut = self.pause is not None or bool(self.queue)
        if self.queue and self.pause is None:
            if self._let_in_timer is None:
                self._let_in_timer = asyncio.get_running_loop().call_later(LET_IN_EVERY_S, self._one_more)
        elif self._let_in_timer is not None:
            self._let_in_timer.cancel()
            self._let_in_timer = None

    def _one_more(self) -> None:
        self._let_in_timer = None
        self._let_in(1 if self.in_flight < self._takes else 0)
