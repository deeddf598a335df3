"""The server's side of the engine: starts it, gives it one task at a time, replaces it when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from service_kit.errors import ServiceError
from service_kit.log import get_logger
from whisper_api import framing, metrics
from whisper_api.settings import WhisperSettings

State = Literal["stopped", "loading", "ready", "failed"]
LOAD_RETRY_S = 5.0
BACKGROUND_RETRY_S = 30.0
WRITTEN_WITHOUT_BLANKS = frozenset({"zh", "ja", "yue", "th", "lo", "km", "my", "bo"})


@dataclass
class Transcript:
    """What was said. `segments` as recognise.py makes them; times in seconds."""

    language: str
    duration_s: float
    processing_s: float
    segments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it on one line."""
        blank = "" if self.language in WRITTEN_WITHOUT_BLANKS else " "
        return blank.join(str(segment["text"]).strip() for segment in self.segments)


@dataclass(frozen=True)
class Facts:
    """What the loaded model runs on and can do."""

    device: str
    compute_type: str
    cpu_threads: int
    batch_size: int
    multilingual: bool


class EngineLostError(Exception):
    """The engine process ended in the middle of a task."""


class Engine:
    """One engine process and its life. `run` is called for one task at a time (the queue sees to it)."""

    def __init__(self, settings: WhisperSettings, on_change: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._on_change = on_change
        self._process: asyncio.subprocess.Process | None = None
        self._messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._loading: asyncio.Task[None] | None = None
        self._background: asyncio.Task[None] | None = None
        self._unloading: asyncio.TimerHandle | None = None
        self._last_id = 0
        self._busy = False
        self._failed_at = float("-inf")
        self._log = get_logger()
        self.state: State = "stopped"
        self.facts: Facts | None = None
        self.restarts = 0
        self.failure = ""

    @property
    def pid(self) -> int | None:
        """Process id while the engine runs."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def load(self) -> None:
        """Start the engine and wait for the model. Raises ServiceError 503 when it cannot be loaded."""
        if self.state == "ready" and self.pid is not None:
            return
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load())
        # Shielded: a caller who leaves must not end a load that others wait for.
        await asyncio.shield(self._loading)

    def load_in_background(self) -> None:
        """Have the model loaded before somebody asks for it, and keep trying while it cannot be."""

        async def attempt() -> None:
            while True:
                try:
                    return await self.load()
                except ServiceError:
                    await asyncio.sleep(BACKGROUND_RETRY_S)

        if self._background is None or self._background.done():
            self._background = asyncio.create_task(attempt())

    async def run(self, path: Path, options: dict[str, Any], progress: Callable[[float], None]) -> Transcript:
        """Transcribe the samples in `path`. Retries once when the engine dies; then ServiceError 503.

        When cancelled, the work stops (bounded by CANCEL_GRACE_S, then by force) before this returns.
        """
        self._busy = True
        if self._unloading is not None:
            self._unloading.cancel()
        try:
            for attempt in (1, 2):
                await self.load()
                try:
                    return await self._run_once(path, options, progress)
                except EngineLostError:
                    self._log.warning("engine_lost", attempt=attempt)
                    await self._stop("stopped")
                    self._count_restart()
        finally:
            self._busy = False
            self._unload_later()
        raise ServiceError(
            503,
            "engine_lost",
            "The speech engine was killed twice while it worked on this recording.",
            hint="Try again. If it happens again, the machine is probably out of memory: choose a smaller model.",
            retry_after_s=10,
        )

    async def stop(self) -> None:
        """End the engine process."""
        if self._unloading is not None:
            self._unloading.cancel()
        for task in (self._background, self._loading):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ServiceError):
                    await task
        await self._stop("stopped")

    async def _load(self) -> None:
        if self.state == "failed" and time.monotonic() - self._failed_at < LOAD_RETRY_S:
            raise self._load_error()
        await self._stop("loading")
        await self._spawn()
        ready = await self._next(self._settings.engine_stall_s)
        if ready is None or ready["event"] != "ready":
            self.failure = ready["message"] if ready else "its process ended while loading"
            self._failed_at = time.monotonic()
            self._log.error("model_load_failed", reason=self.failure)
            await self._stop("failed")
            raise self._load_error()
        self.facts = Facts(**{name: ready[name] for name in Facts.__dataclass_fields__})
        self.failure = ""
        self._set("ready")
        self._log.info("model_loaded", model=self._settings.model_name, **vars(self.facts))
        self._unload_later()

    async def _spawn(self) -> None:
        settings = self._settings
        wanted = {
            "model": settings.whisper_model,
            "use_gpu": settings.use_gpu_if_available,
            "compute_type": settings.compute_type,
            "cpu_threads": settings.cpu_threads,
            "batch_size": settings.batch_size,
            "beam_size": settings.beam_size,
            "local_only": False,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
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
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=framing.MAX_FRAME)
        self._messages = asyncio.Queue()
        self._pump = asyncio.create_task(self._receive(reader, self._messages))

    async def _run_once(self, path: Path, options: dict[str, Any], progress: Callable[[float], None]) -> Transcript:
        self._last_id += 1
        number = self._last_id
        started_at = time.monotonic()
        transcript = Transcript("en", 0.0, 0.0)
        try:
            await self._send({"op": "transcribe", "id": number, "path": str(path), "options": options})
            while True:
                message = await self._next(self._settings.engine_stall_s)
                if message is None:
                    raise EngineLostError
                if message.get("id") != number:
                    continue
                match message["event"]:
                    case "segment":
                        transcript.segments.append(_segment(message))
                    case "progress":
                        progress(float(message["progress_s"]))
                    case "done":
                        transcript.language = message["language"]
                        transcript.duration_s = message["duration"]
                        transcript.processing_s = time.monotonic() - started_at
                        return transcript
                    case _:
                        self._log.error("recognition_failed", reason=message.get("message"))
                        raise ServiceError(
                            500,
                            "recognition_failed",
                            "The speech engine could not work on this recording.",
                            hint="The server's log names the cause.",
                        )
        except asyncio.CancelledError:
            await self._cancel(number)
            raise

    async def _cancel(self, number: int) -> None:
        """Wait for the engine to drop task `number`; replace it when it does not in time."""
        try:
            async with asyncio.timeout(self._settings.cancel_grace_s):
                await self._send({"op": "cancel", "id": number})
                while (message := await self._next(None)) is not None:
                    if message["event"] in {"cancelled", "done", "failed"} and message["id"] == number:
                        return
        except (TimeoutError, EngineLostError):
            pass
        self._log.warning("engine_replaced_to_cancel")
        self._count_restart()
        await self._stop("stopped")

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writer is None:
            raise EngineLostError
        try:
            self._writer.write(framing.encode(message))
            await self._writer.drain()
        except (ConnectionError, RuntimeError) as error:
            raise EngineLostError from error

    async def _next(self, timeout_s: float | None) -> dict[str, Any] | None:
        """Next message of the engine; None when it is gone, or silent for `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._messages.get()
        except TimeoutError:
            self._log.error("engine_stalled", after_s=timeout_s)
            return None

    async def _receive(self, reader: asyncio.StreamReader, messages: asyncio.Queue[dict[str, Any] | None]) -> None:
        """Read whole frames apart from whoever waits for one: a cancelled wait must not lose half a frame."""
        while (message := await framing.read(reader)) is not None:
            messages.put_nowait(message)
        messages.put_nowait(None)
        if self.state == "ready" and not self._busy:
            self._log.warning("engine_lost_while_idle")
            self._count_restart()
            self._pump = None  # this task: not to be cancelled by the stop that follows
            await self._stop("stopped")
            self.load_in_background()

    def _count_restart(self) -> None:
        self.restarts += 1
        metrics.ENGINE_RESTARTS.inc()

    async def _stop(self, then: State) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None:
            if self._process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()
            self._process = None
        self._set(then)

    def _set(self, state: State) -> None:
        self.state = state
        self._on_change()

    def _unload_later(self) -> None:
        after_s = self._settings.unload_model_after_s
        if after_s is None or self._busy:
            return
        if self._unloading is not None:
            self._unloading.cancel()
        self._unloading = asyncio.get_running_loop().call_later(after_s, self._unload_now)

    def _unload_now(self) -> None:
        if not self._busy and self.state == "ready":
            self._log.info("model_unloaded")
            self._loading = asyncio.create_task(self._stop("stopped"))

    def _load_error(self) -> ServiceError:
        return ServiceError(
            503,
            "model_not_loaded",
            f"The model {self._settings.model_name} could not be loaded: {self.failure}.",
            hint="Check WHISPER_MODEL, the free memory and, for a download, the network.",
            retry_after_s=LOAD_RETRY_S * 2,
        )


def _segment(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name not in {"event", "id"}}
