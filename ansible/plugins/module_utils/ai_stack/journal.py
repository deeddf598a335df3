"""journal.jsonl: what was begun on this host, what was done, what failed. One JSON object a line, UTC times."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from .durable import sync_directory, write_file

# Some ten thousand changes; the doctor reads as much.
LIMIT_BYTES = 4 * 1024 * 1024


def utc_now() -> str:
    """The time as 2026-11-21T13:45:00.123Z."""
    now = datetime.now(timezone.utc)  # noqa: UP017  (datetime.UTC came with 3.11; Ubuntu 22.04 has 3.10)
    return now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Journal:
    """Appends to `path`; `by` is who is at work, as user@machine. `relief` makes room on a full disk, once."""

    path: Path
    by: str
    relief: Callable[[], None] = lambda: None

    def write(self, step: str, state: str, release: str | None, detail: str = "") -> None:
        """Append one line and bring it to the disk before returning.

        Raises:
            OSError: it cannot be written, also with the room that is kept for that.
        """
        try:
            self._write(step, state, release, detail)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.relief()
            self._write(step, state, release, detail)
            # The room that was kept is for the way back: nothing is begun with it.
            if state == "begun":
                raise

    def _write(self, step: str, state: str, release: str | None, detail: str) -> None:
        line = {
            "time": utc_now(),
            "release": release,
            "step": step,
            "state": state,
            "by": self.by,
            "detail": detail,
        }
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            # A line torn by a power loss must not swallow the one that follows it.
            torn = "\n" if _is_torn(descriptor) else ""
            raw = (torn + json.dumps(line, ensure_ascii=False) + "\n").encode()
            if os.write(descriptor, raw) != len(raw):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if new:
            sync_directory(self.path.parent)

    @contextmanager
    def step(self, step: str, release: str | None, detail: str = "") -> Iterator[None]:
        """Write `begun` before the block, and `done` or `failed` (with the error) after it."""
        self.write(step, "begun", release, detail)
        try:
            yield
        except BaseException as error:
            # The first line says what; the others are logs, which have a place of their own.
            self.write(step, "failed", release, (str(error) or type(error).__name__).splitlines()[0])
            raise
        self.write(step, "done", release, detail)


def broken_off(path: Path) -> list[str]:
    """The steps that were begun and have not ended, in whatever release; whoever began them is dead."""
    last = {str(line.get("step")): line.get("state") for line in read(path)}
    return [step for step, state in last.items() if state == "begun"]


def read(path: Path) -> list[dict[str, Any]]:
    """Every whole line of the journal, oldest first; a torn line is left out. Empty when there is no journal."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = []
    for line in raw.splitlines():
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            lines.append(found)
    return lines


def trim(path: Path, limit_bytes: int = LIMIT_BYTES) -> bool:
    """Where the journal has grown beyond `limit_bytes`, leave the newest half. Returns whether it had.

    The caller holds the lock: a line that is written meanwhile would be lost.
    """
    try:
        if path.stat().st_size <= limit_bytes:
            return False
    except FileNotFoundError:
        return False
    newest = path.read_bytes()[-limit_bytes // 2 :]
    write_file(path, newest.partition(b"\n")[2])
    return True


def _is_torn(descriptor: int) -> bool:
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
