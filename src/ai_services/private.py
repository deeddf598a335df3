"""Files of one run: folders for secrets that are gone with it, and logs that only this user reads."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from ai_services.interrupts import undisturbed

_KEPT_LOGS: Final = 50


@contextlib.contextmanager
def private_folder(place: Path | None = None) -> Iterator[Path]:
    """Make a folder that only this user can enter, in `place` or where temporary files lie; it goes with all in it."""
    place = place or Path(tempfile.gettempdir())
    _sweep(place)
    folder = Path(tempfile.mkdtemp(prefix=f"ai-run-{os.getpid()}-", dir=place))
    try:
        yield folder
    finally:
        with undisturbed():
            shutil.rmtree(folder, ignore_errors=True)


def write_private(path: Path, content: str) -> None:
    """Write a new file that only this user can read. Raises FileExistsError if it is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(content)


def new_log(logs: Path, stem: str) -> Path:
    """Return a new log's path, logs/STEM-TIME.log; the oldest ones beyond fifty are removed."""
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    older = sorted(logs.glob(f"{stem}-*.log"))
    for path in older[: max(0, len(older) - _KEPT_LOGS + 1)]:
        path.unlink(missing_ok=True)
    return logs / f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.log"


@contextlib.contextmanager
def log_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a log for adding to it; it is made 0600."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as stream:
        yield stream


def _sweep(place: Path) -> None:
    """Remove what runs left that were killed outright: their processes are gone, their secrets must be too."""
    for folder in place.glob("ai-run-*"):
        with contextlib.suppress(OSError, ValueError):
            if folder.stat().st_uid == os.getuid() and not _lives(int(folder.name.split("-")[2])):
                shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
