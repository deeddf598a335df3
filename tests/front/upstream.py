"""A scripted gateway behind nginx: says what it was asked, streams when told, takes uploads as slowly as told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from aiohttp import WSMsgType, web


class Upstream:
    """An HTTP server in a thread of its own.

    `received` counts the bytes of uploads as they come; `go` lets a stream send its next piece; `reading` holds uploads
    back while it is clear; `left` tells that a client went away within an answer.
    """

    def __init__(self, name: str = "gateway") -> None:
        self.name = name
        self.received = 0
        self.left = threading.Event()
        self.finished = 0
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready: Future[int] = Future()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._go: asyncio.Queue[bytes | None]
        self._reading: asyncio.Event

    def start(self) -> Upstream:
        """Begin to listen on a free port of 127.0.0.1."""
        self._thread.start()
        self.port = self._ready.result(10)
        return self

    def stop(self) -> None:
        """Stop listening; what runs is cut off."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def go(self, piece: bytes | None) -> None:
        """Let the stream send `piece` now; None ends it."""
        self._loop.call_soon_threadsafe(self._go.put_nowait, piece)

    def read_uploads(self, reading: bool) -> None:
        """Take uploads, or leave them where they are."""
        self._loop.call_soon_threadsafe(self._reading.set if reading else self._reading.clear)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._go = asyncio.Queue()
        self._reading = asyncio.Event()
        self._reading.set()
        runner = web.AppRunner(
            self._app(), access_log=None, handler_cancellation=True, max_field_size=65536, max_line_size=65536
        )
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self._ready.set_result(runner.addresses[0][1])
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 40)
        routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
            "/transcribe": self._upload,
            "/v1/audio/transcriptions": self._upload,
            "/v1/stream": self._stream,
            "/v1/completions": self._stream,
            "/ws": self._socket,
            "/slow": self._slow,
            "/steer": self._steer,
        }
        for path, handler in routes.items():
            app.router.add_route("*", path, handler)
        app.router.add_route("*", "/{rest:.*}", self._mirror)
        return app

    async def _mirror(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.finished += 1
        told: dict[str, Any] = {
            "by": self.name,
            "method": request.method,
            "target": request.raw_path,
            "version": f"{request.version.major}.{request.version.minor}",
            "headers": [[name, value] for name, value in request.headers.items()],
            "body_bytes": len(body),
        }
        return web.json_response(told)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") is None and "refuse" in request.query:
            return web.json_response({"error": "no key"}, status=401)
        while True:
            await self._reading.wait()
            piece = await request.content.readany()
            if not piece:
                return web.json_response({"received": self.received})
            self.received += len(piece)

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await answer.prepare(request)
        try:
            while (piece := await self._go.get()) is not None:
                await answer.write(piece)
        except (asyncio.CancelledError, ConnectionResetError):
            self.left.set()
            raise
        return answer

    async def _slow(self, request: web.Request) -> web.StreamResponse:
        """Begins to answer when told, for reloads in the middle of a request."""
        await self._go.get()
        return web.json_response({"by": self.name})

    async def _steer(self, _: web.Request) -> web.StreamResponse:
        return web.Response(
            text="mine", headers={"X-Accel-Redirect": "/health", "Strict-Transport-Security": "max-age=0"}
        )

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"{self.name}: {message.data}")
        return socket
