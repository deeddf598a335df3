"""Answers that come before the request's body is through: taken in for a while, so that the answer gets across.

A server that closes a connection while body bytes are still arriving resets it, and the client's kernel may then throw
away an answer that it already holds: instead of 401 or 413 the caller would see "connection reset". So the rest of the
body is read and dropped before the connection is closed, for a bounded time.
"""

from __future__ import annotations

import asyncio

from service_kit.asgi import App, Message, Receive, Scope, Send

LINGER_S = 10.0


class Lingering:
    """The outermost ASGI layer: reads out unread bodies behind the answer, then lets the connection close."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; step in only where a body was announced and not read to its end."""
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive)

        async def send_then_linger(message: Message) -> None:
            if not body.outstanding:
                await send(message)
                return
            if message["type"] == "http.response.start":
                headers = [field for field in message.get("headers", ()) if field[0] != b"connection"]
                await send({**message, "headers": [*headers, (b"connection", b"close")]})
            elif message.get("more_body"):
                await send(message)
            else:
                await send({**message, "more_body": True})
                await body.drop_rest()
                await send({"type": "http.response.body", "body": b""})

        await self._app(scope, body.receive, send_then_linger)


class _Body:
    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        # a client that waits for 100 Continue has sent nothing yet, and asking would invite it to
        self._invited = all(name != b"expect" for name, _ in scope["headers"])
        self.outstanding = True

    async def receive(self) -> Message:
        """The next message, noting whether it ends the body."""
        self._invited = True
        message = await self._receive()
        if not message.get("more_body"):
            self.outstanding = False
        return message

    async def drop_rest(self) -> None:
        """Read what is still coming, for LINGER_S at most."""
        if not self._invited:
            return
        try:
            async with asyncio.timeout(LINGER_S):
                while self.outstanding:
                    await self.receive()
        except TimeoutError:
            pass


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False
