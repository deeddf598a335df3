"""The server's side of the engine: starts it, gives it one task at a time, replaces it when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from service_kit.errors import ServiceError
from service_kit.log import get_logger
from whisper_api import metrics
from whisper_api.engine_link import EngineLink
from whisper_api.settings import WhisperSettings
from whisper_api.transcript import Facts, Heard, Transcript

State = Literal["stopped", "loading", "ready", "failed"]
LOAD_ATTEMPTS = 3
LOAD_RETRY_S = 5.0
BACKGROUND_RETRY_S = 30.0
TELL_EVERY_S = 10.0
MIB = 1024 * 1024


class EngineLostError(Exception):
    """The engine process ended, or went silent, in the middle of a task."""


class _Once:
    """Tells each segment to `heard` once, though a killed engine begins again with the first."""

    def __init__(self, heard: Heard | None) -> None:
        self._heard = heard
        self._told = 0
        self._number = 0

    def begin(self) -> None:
        self._number = 0

    def tell(self, segment: dict[str, Any]) -> None:
        self._number += 1
        if self._heard is not None and self._number > self._told:
            self._told = self._number
            self._heard(segment)


class Engine:
    """One engine process and its life. `run` is called for one task at a time (the queue sees to it)."""

    def __init__(self, settings: WhisperSettings, on_change: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._on_change = on_change
        self._link: EngineLink | None = None
        self._loading: asyncio.Task[None] | None = None
        self._background: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._unloading: asyncio.TimerHandle | None = None
        self._last_id = 0
        self._busy = False
        self._failed_at = float("-inf")
        self._log = get_logger()
        self.state: State = "stopped"
        self.facts: Facts | None = None
        self.restarts = 0
        self.failure = ""
        self.fetched = ""

    @property
    def pid(self) -> int | None:
        """Process id while the engine runs."""
        return self._link.pid if self._link is not None else None

    async def load(self) -> None:
        """Start the engine and wait for the model. Raises ServiceError 503 when it cannot be loaded."""
        if self.state == "ready":
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

    async def run(
        self, path: Path, options: dict[str, Any], progress: Callable[[float], None], heard: Heard | None = None
    ) -> Transcript:
        """Transcribe the samples in `path`. Retries once when the engine dies; then ServiceError 503.

        `heard` gets each segment once, as soon as it is there.

        When cancelled, the work stops (bounded by CANCEL_GRACE_S, then by force) before this returns.
        """
        self._busy = True
        if self._unloading is not None:
            self._unloading.cancel()
        try:
            told = _Once(heard)
            for attempt in (1, 2):
                await self.load()
                told.begin()
                try:
                    return await self._run_once(path, options, progress, told)
                except EngineLostError:
                    self._log.warning("engine_lost", attempt=attempt)
                    await self._replace()
        finally:
            self._busy = False
            self._unload_later()
        self.load_in_background()
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
        await self._detach("stopped")
        await asyncio.gather(*self._closing)

    async def _load(self) -> None:
        if self.state == "failed" and time.monotonic() - self._failed_at < LOAD_RETRY_S:
            raise self._load_error()
        # Killed while loading: that says nothing about the model, so it is tried again.
        for _ in range(LOAD_ATTEMPTS):
            await self._detach("loading")
            link = self._link = await EngineLink.open(self._settings, self._on_lost)
            message = await self._loaded(link)
            if message is not None:
                break
            self._log.warning("engine_lost_while_loading")
            self._count_restart()
        if message is None or message["event"] != "ready":
            self.failure = message["message"] if message else "its process was ended each time while loading"
            self._failed_at = time.monotonic()
            self._log.error("model_load_failed", reason=self.failure)
            await self._detach("failed")
            raise self._load_error()
        self.facts = Facts(**{name: message[name] for name in Facts.__dataclass_fields__})
        self.failure = ""
        self._set("ready")
        self._log.info("model_loaded", model=self._settings.model_name, **vars(self.facts))
        self._unload_later()

    async def _loaded(self, link: EngineLink) -> dict[str, Any] | None:
        """The engine's word that the model is loaded or cannot be; None when it is gone or silent."""
        told_at = float("-inf")
        self.fetched = ""
        while (message := await link.next(self._settings.engine_stall_s)) is not None and message[
            "event"
        ] == "fetching":
            done_mib, total_mib = (message[name] // MIB for name in ("done_bytes", "total_bytes"))
            self.fetched = f"fetched {done_mib} of {total_mib} MiB of the model"
            self._on_change()
            if time.monotonic() - told_at >= TELL_EVERY_S or done_mib == total_mib:
                told_at = time.monotonic()
                self._log.info("model_fetched", done_mib=done_mib, total_mib=total_mib)
        self.fetched = ""
        return message

    async def _run_once(
        self, path: Path, options: dict[str, Any], progress: Callable[[float], None], told: _Once
    ) -> Transcript:
        link = self._link
        if link is None:
            raise EngineLostError
        self._last_id += 1
        number = self._last_id
        started_at = time.monotonic()
        transcript = Transcript("en", 0.0, 0.0)
        try:
            await link.send({"op": "transcribe", "id": number, "path": str(path), "options": options})
            while (message := await link.next(self._settings.engine_stall_s)) is not None:
                if message.pop("id", None) != number:
                    continue
                match message.pop("event"):
                    case "segment":
                        transcript.segments.append(message)
                        told.tell(message)
                    case "progress":
                        progress(float(message["progress_s"]))
                    case "done":
                        transcript.language = message["language"]
                        transcript.language_probability = message.get("probability")
                        transcript.duration_s = message["duration"]
                        transcript.processing_s = time.monotonic() - started_at
                        return transcript
                    case _:
                        raise self._recognition_error(str(message.get("message")))
        except asyncio.CancelledError:
            await self._cancel(link, number)
            raise
        raise EngineLostError

    async def _cancel(self, link: EngineLink, number: int) -> None:
        """Wait for the engine to drop task `number`; replace it when it does not in time."""
        try:
            async with asyncio.timeout(self._settings.cancel_grace_s):
                await link.send({"op": "cancel", "id": number})
                while (message := await link.next(None)) is not None:
                    if message["event"] in {"cancelled", "done", "failed"} and message["id"] == number:
                        return
        except TimeoutError:
            pass
        self._log.warning("engine_replaced_to_cancel")
        await self._replace()
        self.load_in_background()

    def _on_lost(self) -> None:
        """The engine's socket closed. Whoever waits for a message sees it too; an idle engine has only this."""
        if self.state == "ready" and not self._busy:
            self._log.warning("engine_lost_while_idle")
            self._count_restart()
            self._release("stopped")
            self.load_in_background()

    async def _replace(self) -> None:
        self._count_restart()
        await self._detach("stopped")

    def _count_restart(self) -> None:
        self.restarts += 1
        metrics.ENGINE_RESTARTS.inc()

    async def _detach(self, then: State) -> None:
        """End the process, if there is one, and wait for its end."""
        link, self._link = self._link, None
        self._set(then)
        if link is not None:
            await link.close()

    def _release(self, then: State) -> None:
        """End the process without waiting."""
        link, self._link = self._link, None
        self._set(then)
        if link is not None:
            task = asyncio.create_task(link.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _set(self, state: State) -> None:
        self.state = state
        self._on_change()

    def _unload_later(self) -> None:
        after_s = self._settings.unload_model_after_s
        if after_s is None or self._busy:
            return
        if self._unloading is not None:
            self._unloading.cancel()
        self._unloading = asyncio.get_running_loop().call_later(after_s, self._unload)

    def _unload(self) -> None:
        if not self._busy and self.state == "ready":
            self._log.info("model_unloaded")
            self._release("stopped")

    def _load_error(self) -> ServiceError:
        return ServiceError(
            503,
            "model_not_loaded",
            f"The model {self._settings.model_name} could not be loaded: {self.failure}.",
            hint="Check WHISPER_MODEL, the free memory and, for a download, the network.",
            retry_after_s=LOAD_RETRY_S * 2,
        )

    def _recognition_error(self, reason: str) -> ServiceError:
        self._log.error("recognition_failed", reason=reason)
        return ServiceError(
            500,
            "recognition_failed",
            "The speech engine could not work on this recording.",
            hint="The server's log names the cause.",
        )
