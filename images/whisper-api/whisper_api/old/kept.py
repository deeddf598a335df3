"""Recordings that are transcribed in the background, and their results: in memory, for a time, and no longer."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from service_kit.errors import ServiceError
from service_kit.log import get_logger
from whisper_api.service import Answer
from whisper_api.tasks import Place

# a transcript is some kilobytes: this is the most that callers who never fetch theirs can make this process hold
MOST = 10_000


def now() -> dt.datetime:
    """Without a zone, as the API that shows it has always had it."""
    return dt.datetime.now()  # noqa: DTZ005  # without a zone, see above


@dataclass
class Kept:
    """One recording: handed in, being worked on, then a transcript or nothing."""

    task_type: str
    file_name: str
    place: Place
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    uploaded: dt.datetime = field(default_factory=now)
    finished: dt.datetime | None = None
    answer: Answer | None = None
    is_over: bool = False
    used_at: float = field(default_factory=time.monotonic)

    @property
    def status(self) -> str:
        """Pending, processing, finished or failed."""
        if self.is_over:
            return "finished" if self.answer is not None else "failed"
        return "processing" if self.place.position == 0 else "pending"


class Results:
    """All of them, by id. A result lives for `keep_s` after it was last asked for."""

    def __init__(self, keep_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[str, Kept] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._log = get_logger()

    def begin(self, kept: Kept, work: Awaitable[Answer], held: contextlib.AsyncExitStack) -> None:
        """Work on `kept` from now on; `held` (its place, its files) is given back at the end."""
        self._drop_expired()
        self._make_room()
        kept.used_at = self._clock()
        self._kept[kept.id] = kept
        task = asyncio.create_task(self._work(kept, work, held))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def find(self, name: str) -> Kept | None:
        """The one with this id, whose life begins anew; None where there is none, or none any more."""
        self._drop_expired()
        kept = self._kept.get(name)
        if kept is not None:
            kept.used_at = self._clock()
        return kept

    async def stop(self) -> None:
        """End what is being worked on."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _work(self, kept: Kept, work: Awaitable[Answer], held: contextlib.AsyncExitStack) -> None:
        async with held:
            try:
                kept.answer = await work
            except ServiceError as error:
                self._log.warning("old_task_failed", code=error.code, reason=error.message)
            except Exception as error:  # (whatever it is, the caller must see an end)
                self._log.error("old_task_failed", reason=f"{type(error).__name__}: {error}")
            finally:
                kept.finished, kept.is_over = now(), True
                kept.used_at = self._clock()

    def _drop_expired(self) -> None:
        oldest = self._clock() - self._keep_s
        for name in [name for name, one in self._kept.items() if one.is_over and one.used_at < oldest]:
            del self._kept[name]

    def _make_room(self) -> None:
        over = [name for name, one in self._kept.items() if one.is_over]
        for name in over[: max(0, len(self._kept) - MOST + 1)]:
            del self._kept[name]
