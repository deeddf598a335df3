"""A running engine process and the socket to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any, Self

from service_kit.log import get_logger
from whisper_api import framing
from whisper_api.settings import WhisperSettings


class EngineLink:
    """Messages to and from one engine process; `close` ends it."""

    def __init__(self, process: asyncio.subprocess.Process, writer: asyncio.StreamWriter) -> None:
        self._process = process
        self._writer = writer
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, settings: WhisperSettings, on_lost: Callable[[], None]) -> Self:
        """Start an engine; its first message says whether the model is loaded. `on_lost` once it is gone."""
        wanted = {
            "model": settings.whisper_model,
            "use_gpu": settings.use_gpu_if_available,
            "compute_type": settings.compute_type,
            "cpu_threads": settings.cpu_threads,
            "batch_size": settings.batch_size,
            "beam_size": settings.beam_size,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "whisper_api.engine_process",
                str(os.getpid()),
                str(theirs.fileno()),
                json.dumps(wanted),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        reader, writer = await asyncio.open_connection(sock=ours)
        link = cls(process, writer)
        link._pump = asyncio.create_task(link._receive(reader, on_lost))
        return link

    @property
    def pid(self) -> int | None:
        """Process id, None once the process has ended."""
        return self._process.pid if self._process.returncode is None else None

    async def send(self, message: dict[str, Any]) -> None:
        """Send `message`. To an engine that is gone nothing is sent: `next` tells."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._writer.write(framing.encode(message))
            await self._writer.drain()

    async def next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Next message; None when the engine is gone, or silent for `timeout_s`. May be cancelled without loss."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._messages.get()
        except TimeoutError:
            get_logger().error("engine_stalled", after_s=timeout_s)
            return None

    async def close(self) -> None:
        """Kill the process and wait for its end."""
        if self._pump is not None:
            self._pump.cancel()
        self._writer.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        await self._process.wait()

    async def _receive(self, reader: asyncio.StreamReader, on_lost: Callable[[], None]) -> None:
        """Read whole frames apart from whoever waits for one: a cancelled wait must not lose half a frame."""
        while (message := await framing.read(reader)) is not None:
            self._messages.put_nowait(message)
        self._messages.put_nowait(None)
        on_lost()
