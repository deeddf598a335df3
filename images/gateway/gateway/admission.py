"""When a request may go to a backend: the one place every request passes on its way to one.

An open gate is one look at a boolean. At a shut one the request waits: nothing is read from its client meanwhile, its
clocks stand still, and it is told its place. An administrator's request passes every gate, for that is how a backend
is proven before it is opened to others.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gateway.bodies import ClientLeftError, asks_for_stream
from gateway.metrics import WAIT_SECONDS
from gateway.pause import RETRY_AFTER_S, Gate, Room, Turn
from gateway.registry import Backend, Registry
from gateway.routing import Body
from gateway.settings import GatewaySettings
from service_kit.errors import ServiceError
from service_kit.log import get_logger
from service_kit.protocol import CLIENT_LEFT_EXTENSION

if TYPE_CHECKING:
    from gateway.exchange import Exchange

# A stream that waits longer is begun, so that nobody in between takes it for dead; then it gets a word now and then.
FIRST_WORD_S = 2.0
WORD_EVERY_S = 5.0
# How often to ask after a client whose body lies unread; the kernel knows, and nobody tells.
LOOK_EVERY_S = 1.0
_SSE_HEAD = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]


class Admitted:
    """A place at a backend, held for as long as the request runs: `async with admission.admit(…): …`."""

    __slots__ = ("_body", "_exchange", "_gate", "_max_wait_s")

    def __init__(self, gate: Gate, exchange: Exchange, body: bytes | None, max_wait_s: float) -> None:
        self._gate = gate
        self._exchange = exchange
        self._body = body
        self._max_wait_s = max_wait_s

    async def __aenter__(self) -> Self:
        if self._gate.shut and not self._exchange.is_admin:
            await _wait(self._gate, self._exchange, self._body, self._max_wait_s)
        else:
            self._gate.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave()


class Passing:
    """A place at a backend that is taken whether it is paused or not: `async with admission.pass_by(backend): …`."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def __aenter__(self) -> Self:
        self._gate.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.leave()


class Admission:
    """The gates of all backends of a registry, and how many requests are in the house."""

    def __init__(self, registry: Registry, settings: GatewaySettings) -> None:
        room = Room(settings.pause_max_waiting, settings.pause_max_waiting_bytes)
        self.gates = {backend.name: Gate(backend.name, room, settings.pause_max_s) for backend in registry.backends}
        self._max_wait_s = settings.pause_max_wait_s
        # every request of somebody who is no administrator, from its head to its last byte, waiting ones too
        self.inside = 0

    def admit(self, exchange: Exchange, backend: Backend, body: bytes | None) -> Admitted:
        """A place at `backend`. Entering raises ServiceError 503 where the wait is too long or too many wait."""
        return Admitted(self.gates[backend.name], exchange, body, self._max_wait_s)

    def pass_by(self, backend: Backend) -> Passing:
        """A place at `backend`, paused or not."""
        return Passing(self.gates[backend.name])

    def is_paused(self, backend: Backend) -> bool:
        """Whether somebody has paused `backend`."""
        return self.gates[backend.name].pause is not None


async def _wait(gate: Gate, exchange: Exchange, body: bytes | None, max_wait_s: float) -> None:
    """Stand in the queue until the turn comes. Raises ServiceError 503 or ClientLeftError."""
    turn = gate.join(len(body or b""))
    exchange.queue_position = turn.place
    exchange.watch.rest()
    end = "left"
    try:
        if not await _until_turn(turn, exchange, max_wait_s, speaks=_may_speak(exchange, body)):
            end = "gave_up"
            raise ServiceError(
                503,
                "paused_too_long",
                f"Backend '{gate.name}' is being changed, and was not back within {max_wait_s:g} s.",
                hint="Nothing was begun: the same request can be sent again.",
                retry_after_s=RETRY_AFTER_S,
            )
        end = "let_in"
    except BaseException:
        turn.give_up()
        raise
    finally:
        waited_s = asyncio.get_running_loop().time() - turn.joined_at
        WAIT_SECONDS.labels(gate.name, end).observe(waited_s)
        get_logger().info("waited", backend=gate.name, place=turn.place, waited_s=round(waited_s, 3), end=end)


async def _until_turn(turn: Turn, exchange: Exchange, max_wait_s: float, *, speaks: bool) -> bool:
    """Whether the turn came in time. Raises ClientLeftError for a client that is found to be gone."""
    loop = asyncio.get_running_loop()
    deadline = turn.joined_at + max_wait_s
    next_word = turn.joined_at + FIRST_WORD_S
    # the watch sees the others leave
    unread = exchange.route.body in {Body.UPLOAD, Body.FORM}
    extensions = exchange.scope.get("extensions", {}) if unread else {}
    client_left = extensions.get(CLIENT_LEFT_EXTENSION, {}).get("ask")
    while True:
        next_event = next_word if speaks else loop.time() + LOOK_EVERY_S if unread else deadline
        await asyncio.wait((turn.come,), timeout=max(0.0, min(next_event, deadline) - loop.time()))
        if turn.come.done():
            return True
        if client_left is not None and client_left():
            raise ClientLeftError
        now = loop.time()
        if now >= deadline:
            return False
        if speaks and now >= next_word:
            if not exchange.started:
                await exchange.start(200, list(_SSE_HEAD))
                exchange.only_comments = True
            await exchange.write(b": waiting, place %d\n\n" % turn.place_now)
            exchange.watch.rest()
            next_word = now + WORD_EVERY_S


def _may_speak(exchange: Exchange, body: bytes | None) -> bool:
    """Whether the client expects server-sent events, where a comment can be told before the answer.

    HTTP/1.0 knows no chunks: such a client gets the answer in one piece, and no word before it.
    """
    route = exchange.route
    if route.group != "openai" or body is None or exchange.scope["http_version"] == "1.0":
        return False
    return asks_for_stream(body)
