"""Room put aside before a change begins, so that a disk that runs full in its middle still has what the way back needs.

Where a disk is full, Docker removes a container and then cannot make another one in its place; the journal cannot say
so either. The reserve is real blocks of the same disks: it is given free when something fails for want of room, and
what it makes possible is going back, never on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .engine import Engine, EngineError

_NAME = ".ai-services-reserve"
_MIB = 1024 * 1024
_DOCKER_MIB = 64
_OWN_MIB = 4


class NoRoomError(Exception):
    """There is too little room to begin; the message has the figures."""


@dataclass(frozen=True)
class Reserve:
    """Files of so many MiB in so many directories."""

    places: dict[Path, int]

    @classmethod
    def of(cls, root: Path, engine: Engine) -> Reserve:
        """On the disk of the installation in `root`, and on that of Docker's containers."""
        places = {root: _OWN_MIB}
        with contextlib.suppress(EngineError):
            docker = Path(str((engine.get("/info") or {}).get("DockerRootDir") or "/var/lib/docker"))
            if docker.is_dir():
                places[docker] = _DOCKER_MIB
        return cls(places)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Have the room for the block; what is left of it goes at its end.

        Raises:
            NoRoomError: it is not there.
        """
        try:
            self._take()
            yield
        finally:
            self.free()

    def free(self) -> None:
        """Give it back."""
        for place in self.places:
            with contextlib.suppress(OSError):
                (place / _NAME).unlink()

    def _take(self) -> None:
        for place, mib in self.places.items():
            descriptor = os.open(place / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, mib * _MIB)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                free_mib = shutil.disk_usage(place).free // _MIB
                raise NoRoomError(
                    f"{place} has {free_mib} MiB free, and a change needs {mib} MiB in reserve, so that there is a way "
                    "back whatever happens. Free some room there (`docker image prune` shows what nothing uses)."
                ) from error
            finally:
                os.close(descriptor)
