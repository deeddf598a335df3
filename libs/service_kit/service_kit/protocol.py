"""uvicorn's httptools protocol with what it lacks: a bound for the head's size and time, and deafness to h2c."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADER_COUNT = 128
HEAD_TIMEOUT_S = 20.0

CLIENT_LEFT_EXTENSION = "ai.client_left"
# Linux' numbers in the first byte of TCP_INFO: the other side has closed, or reset, the connection.
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses a head over MAX_HEAD_BYTES (431) and one not complete after HEAD_TIMEOUT_S (408).

    Without this a single connection can send a header that never ends, or one byte a minute, for as long as it
    likes; behind nginx that is nginx's work, but the local stack has no nginx.

    An offer to upgrade to anything but WebSocket is ignored, as RFC 9110 (7.8) allows. uvicorn answers it too, but
    loses the request's body: Java's HTTP client and `curl --http2` make that offer with every first request.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes = 0
        self._reading_head = True
        self._head_timer: asyncio.TimerHandle | None = None
        self._upgrade_offered = False

    def connection_made(self, transport: Any) -> None:
        """Start the clock for the first head."""
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_timed_out)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count bytes while the head is incomplete."""
        if self._reading_head:
            self._head_bytes += len(data)
            if self._head_timer is None:
                self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_timed_out)
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:
                self._carry_on_without_upgrade(data[upgrade.args[0] :])
        if self._reading_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A new request; the app may ask whether its client is still there without reading its body."""
        super().on_message_begin()
        self.scope["extensions"] = {CLIENT_LEFT_EXTENSION: {"ask": self.client_left}}

    def client_left(self) -> bool:
        """Whether the client has closed the connection, as far as the kernel knows.

        ASGI tells that only to who reads the body to its end. Where the kernel does not say (not Linux), false.
        """
        if self.transport.is_closing():
            return True
        connection = self.transport.get_extra_info("socket")
        if connection is None or not hasattr(socket, "TCP_INFO"):
            return False
        try:
            state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
        except OSError:
            return False
        return bool(state) and state[0] in {_TCP_CLOSE, _TCP_CLOSE_WAIT}

    def on_header(self, name: bytes, value: bytes) -> None:
        """Headers of the head; trailers after a chunked body are dropped, or they would join the head unchecked."""
        if self._reading_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Head complete: check it, then hand it on."""
        self._reading_head = False
        self._head_bytes = 0
        self._stop_timer()
        self._upgrade_offered = self.parser.should_upgrade() and not self._should_upgrade()
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES or len(self.headers) > MAX_HEADER_COUNT:
            self._refuse(_TOO_LARGE)
        elif not self._upgrade_offered:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next bytes belong to another head."""
        self._reading_head = True
        if not self.transport.is_closing() and not self._upgrade_offered:
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Body bytes of a refused request go nowhere."""
        if not self.transport.is_closing():
            super().on_body(body)

    def _carry_on_without_upgrade(self, rest: bytes) -> None:
        """Read the request anew without its offer; `rest` is what followed the head."""
        method = self.parser.get_method()
        if method == b"CONNECT" or self.transport.is_closing():  # to the parser that is an upgrade, whatever we say
            self.send_400_response("Invalid HTTP request received.")
            return
        head = [method, b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"".join([*head, b"\r\n", rest]))

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_bytes == 0:
            self.transport.close()
        else:
            self._refuse(_TIMEOUT)

    def _refuse(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
