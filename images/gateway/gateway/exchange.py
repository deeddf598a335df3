"""One request on its way through the gateway, and what every handler needs at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.admission import Admission
from gateway.headers import RawHeaders
from gateway.registry import Backend, Registry
from gateway.routing import Body, Route
from gateway.settings import GatewaySettings
from gateway.takeover import TakeOver
from gateway.upstream import Upstream
from gateway.watch import Watch
from service_kit.asgi import Receive, Scope, Send

QUEUE_POSITION = b"x-queue-position"


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the process."""

    settings: GatewaySettings
    registry: Registry
    upstream: Upstream
    admission: Admission
    takeovers: Mapping[str, TakeOver]


@dataclass(slots=True)
class Exchange:
    """One request: its row in the table, its ends, its watch, and the backend once that is chosen."""

    services: Services
    scope: Scope
    receive: Receive
    send: Send
    route: Route
    rest: str
    watch: Watch
    backend: Backend | None = None
    started: bool = False
    queue_position: int | None = None
    # the head of an event stream went out while the request waited, and no event after it
    only_comments: bool = False

    @property
    def may_refuse(self) -> bool:
        """Whether the client can still be told an error as its whole answer."""
        return not self.started or self.only_comments

    @property
    def is_admin(self) -> bool:
        """Whether an administrator's key came with the request."""
        return "admin" in self.scope["state"]

    @property
    def body_limit_bytes(self) -> int:
        """How large the body may be on this route."""
        settings = self.services.settings
        return settings.max_upload_bytes if self.route.body is Body.UPLOAD else settings.max_json_bytes

    async def start(self, status: int, headers: RawHeaders) -> None:
        """Send the head of the answer."""
        self.started = True
        if self.queue_position is not None:
            headers.append((QUEUE_POSITION, str(self.queue_position).encode()))
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, body: bytes) -> None:
        """Send a piece of the answer; waits while the client does not read, for as long as a backend might be idle."""
        self.watch.enter("client_read", self.services.upstream.idle_s)
        await self.send({"type": "http.response.body", "body": body, "more_body": True})

    async def finish(self, body: bytes = b"") -> None:
        """Send the last piece of the answer."""
        self.watch.close()
        await self.send({"type": "http.response.body", "body": body})

    async def answer(self, status: int, body: bytes, content_type: bytes, *more: tuple[bytes, bytes]) -> None:
        """Send a whole answer; HEAD gets its head only."""
        await self.start(status, [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *more])
        await self.finish(b"" if self.scope["method"] == "HEAD" else body)
