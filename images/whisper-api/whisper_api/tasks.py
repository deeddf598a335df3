"""First in, first out: who waits for the engine, who is next, and how long it will take.

A caller takes a place before its file is read, so that a full queue refuses at once. The order is set when the
samples are ready: a slow upload keeps nobody waiting. Leaving frees the place in the same moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from service_kit.errors import ServiceError, shutting_down
from service_kit.log import get_logger
from whisper_api import metrics
from whisper_api.decode import Samples
from whisper_api.transcript import Heard, Transcript
from whisper_api.wishes import Wishes

Run = Callable[[Samples, Wishes, Callable[[float], None], Heard | None], Awaitable[Transcript]]
# Before the first measurement: a small model on a small machine.
FIRST_GUESS = 0.2
SMOOTHING = 0.3
RETRY_AFTER_MOST_S = 3600.0


@dataclass
class _Task:
    samples: Samples
    wishes: Wishes
    result: asyncio.Future[Transcript]
    heard: Heard | None = None
    ready_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    done_s: float = 0.0


class TaskQueue:
    """Places for `limit` waiting callers and one being served by `run`."""

    def __init__(self, limit: int, run: Run) -> None:
        self._limit = limit
        self._run = run
        self._numbers = itertools.count(1)
        self._preparing: set[int] = set()
        self._waiting: dict[int, _Task] = {}  # in the order of arrival
        self._running: tuple[int, _Task] | None = None
        self._work: asyncio.Task[Transcript] | None = None
        self._arrived = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._seconds_per_second = FIRST_GUESS
        self._log = get_logger()

    def start(self) -> None:
        """Begin to serve."""
        self._loop = asyncio.create_task(self._serve())

    async def stop(self) -> None:
        """Stop serving; whoever waits gets a 503."""
        if self._loop is not None:
            self._loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._loop
        for task in self._waiting.values():
            if not task.result.done():
                task.result.set_exception(shutting_down())

    def take_place(self) -> Place:
        """A place for a new caller, to be used as a context manager. Raises ServiceError 429 when all are taken."""
        served = self._running is not None and not self._running[1].result.cancelled()
        if len(self._preparing) + len(self._waiting) + served > self._limit:
            metrics.QUEUE_REFUSED.inc()
            raise ServiceError(
                429,
                "queue_full",
                f"All {self._limit} places in the queue are taken.",
                hint="Try again after the time in Retry-After; GET /queue/status shows the queue.",
                retry_after_s=self._until_a_place_is_free_s(),
            )
        number = next(self._numbers)
        self._preparing.add(number)
        self._count()
        return Place(self, number)

    def status(self) -> dict[str, Any]:
        """The answer of /queue/status: counts of callers, and seconds until a new one would be served."""
        waiting = len(self._waiting) + len(self._preparing)
        running = self._running[1] if self._running else None
        return {
            "queue_size": waiting,
            "max_queue_size": self._limit,
            "waiting": len(self._waiting),
            "preparing": len(self._preparing),
            "running": int(self._running is not None),
            "running_audio_s": round(running.samples.seconds, 1) if running else 0.0,
            "running_done_s": round(running.done_s, 1) if running else 0.0,
            "estimated_wait_s": round(self._wait_s(), 1),
            "seconds_per_audio_second": round(self._seconds_per_second, 4),
        }

    async def _transcribe(self, number: int, samples: Samples, wishes: Wishes, heard: Heard | None) -> Transcript:
        task = _Task(samples, wishes, asyncio.get_running_loop().create_future(), heard)
        self._log.debug("queued", position=len(self._waiting) + (self._running is not None))
        self._preparing.discard(number)
        self._waiting[number] = task
        self._arrived.set()
        self._count()
        return await task.result

    def _position(self, number: int) -> int | None:
        if self._running is not None and self._running[0] == number:
            return 0
        return next((place for place, waiting in enumerate(self._waiting, 1) if waiting == number), None)

    def _leave(self, number: int) -> None:
        self._preparing.discard(number)
        self._waiting.pop(number, None)
        if self._running is not None and self._running[0] == number and self._work is not None:
            self._running[1].result.cancel()
            self._work.cancel()
        self._count()

    async def _serve(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            number = next(iter(self._waiting))
            task = self._waiting.pop(number)
            self._running = (number, task)
            self._count()
            try:
                await self._serve_one(task)
            finally:
                self._running = None
                self._work = None

    async def _serve_one(self, task: _Task) -> None:
        task.started_at = time.monotonic()
        metrics.WAIT_SECONDS.observe(task.started_at - task.ready_at)

        def progress(seconds: float) -> None:
            task.done_s = seconds

        self._work = asyncio.ensure_future(self._run(task.samples, task.wishes, progress, task.heard))
        try:
            transcript = await self._work
        except asyncio.CancelledError:
            if (current := asyncio.current_task()) is not None and current.cancelling():
                self._work.cancel()
                if not task.result.done():
                    task.result.set_exception(shutting_down())
                raise
            metrics.TASKS.labels("left").inc()
            task.result.cancel()
        except Exception as error:  # (it belongs to the caller, not to the queue)
            metrics.TASKS.labels("failed").inc()
            if not task.result.done():
                task.result.set_exception(error)
        else:
            metrics.TASKS.labels("done").inc()
            self._learn(transcript)
            if not task.result.done():
                task.result.set_result(transcript)

    def _learn(self, transcript: Transcript) -> None:
        metrics.AUDIO_SECONDS.inc(transcript.duration_s)
        metrics.PROCESSING_SECONDS.inc(transcript.processing_s)
        if transcript.duration_s >= 1:
            measured = transcript.processing_s / transcript.duration_s
            self._seconds_per_second += SMOOTHING * (measured - self._seconds_per_second)

    def _until_a_place_is_free_s(self) -> float:
        if self._running is None:
            return 1.0
        return min(RETRY_AFTER_MOST_S, max(1.0, self._left_s(self._running[1])))

    def _wait_s(self) -> float:
        ahead = sum(task.samples.seconds for task in self._waiting.values()) * self._seconds_per_second
        return ahead + (self._left_s(self._running[1]) if self._running else 0.0)

    def _left_s(self, task: _Task) -> float:
        whole = task.samples.seconds * self._seconds_per_second
        spent = time.monotonic() - (task.started_at or time.monotonic())
        return max(0.0, whole - spent)

    def _count(self) -> None:
        metrics.QUEUE_WAITING.set(len(self._waiting) + len(self._preparing))


class Place:
    """One caller's place, from before the upload to the answer."""

    def __init__(self, queue: TaskQueue, number: int) -> None:
        self._queue = queue
        self._number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._queue._leave(self._number)

    async def transcribe(self, samples: Samples, wishes: Wishes, heard: Heard | None = None) -> Transcript:
        """Wait for the turn and the transcript; `heard` gets its segments. Raises ServiceError as the engine does."""
        return await self._queue._transcribe(self._number, samples, wishes, heard)

    @property
    def position(self) -> int | None:
        """0 while it is being served, 1 for who is next, and so on; None before the samples are ready and after."""
        return self._queue._position(self._number)
