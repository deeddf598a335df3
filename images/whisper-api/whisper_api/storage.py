"""Where recordings lie while they are worked on: one directory for each request, gone with it.

Names are ours, never a caller's. A server that was killed could not tidy up: what it left is removed by the next
one, which knows by an unlocked lock file that nobody works there any more.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from service_kit.errors import ServiceError

PREFIX = "whisper-api-"
_LOCK = "lock"
_STARTING_S = 3600  # a directory without a lock file may belong to a server that starts at this moment


class Storage:
    """The directory of one running server, mode 0700, under `root`."""

    def __init__(self, root: Path, min_free_mib: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self._min_free_bytes = min_free_mib * 1024 * 1024
        self.swept = sweep(root)
        self.path, self._lock = _claim(root)

    @contextlib.contextmanager
    def request_directory(self) -> Iterator[Path]:
        """A directory for one request (0700), removed at the end. Raises ServiceError 503 when the disk is full."""
        self._check_room()
        path = Path(tempfile.mkdtemp(dir=self.path))
        try:
            yield path
        except OSError as error:
            if error.errno in {28, 122}:  # no space, over quota
                raise _no_room() from error
            raise
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)

    def _check_room(self) -> None:
        room = os.statvfs(self.path)
        if room.f_bavail * room.f_frsize < self._min_free_bytes:
            raise _no_room()


def create(path: Path) -> BinaryIO:
    """A new file for writing that only this user can read. Raises FileExistsError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


def sweep(root: Path) -> int:
    """Remove what servers that no longer run left under `root`; returns how many directories."""
    removed = 0
    for path in root.glob(PREFIX + "*"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            if not path.is_dir() or path.is_symlink() or status.st_uid != os.getuid():
                continue
            if _abandoned(path, status.st_mtime):
                shutil.rmtree(path, ignore_errors=True)
                removed += 1
    return removed


def _abandoned(path: Path, changed_at: float) -> bool:
    try:
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return time.time() - changed_at > _STARTING_S
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True


def _claim(root: Path) -> tuple[Path, int]:
    """A new directory and its held lock. The kernel lets go of the lock when this process ends, however it ends."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Between the two lines above another server's sweep may have taken the directory for abandoned.
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(lock), (path / _LOCK).stat()):
                return path, lock
        os.close(lock)


def _no_room() -> ServiceError:
    return ServiceError(
        503,
        "storage_full",
        "The server has no room left for recordings.",
        hint="Try again later, or free disk space under TEMP_DIR.",
        retry_after_s=30,
    )
