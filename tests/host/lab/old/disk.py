"""A small disk for /var/lib/docker: a file system in a sparse file, mounted by Docker as the host's volume."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from host.lab import engine
from host.lab.place import MACHINE, LabError

# Whatever a plan asks for (13 GiB now) would fit into it without the owner's recordings.
SIZE_MIB = 24_000
# what the owner's recordings leave free: less than our images need
LEFT_MIB = 350


def prepare(volume: str, size_mib: int) -> None:
    """Make the volume `volume` a file system of `size_mib`, unless there is one of that name.

    Raises:
        LabError: the machine has no loop devices, or Docker refused.
    """
    if engine.inspect("volume", volume) is not None:
        return
    MACHINE.mkdir(parents=True, exist_ok=True)
    path = _file(volume)
    with path.open("wb") as opened:
        opened.truncate(size_mib * 1024 * 1024)
    device = _run("mkfs.ext4", "-q", "-m", "0", str(path)) or _run("losetup", "--find", "--show", str(path)).strip()
    engine.call("volume", "create", "--opt", "type=ext4", "--opt", f"device={device}", volume)


def release(volume: str) -> None:
    """Give the file of a small disk back, when its volume is gone."""
    path = _file(volume)
    if not path.exists():
        return
    for line in _run("losetup", "--associated", str(path)).splitlines():
        _run("losetup", "--detach", line.partition(":")[0])
    path.unlink()


@contextmanager
def folder() -> Iterator[Path]:
    """A scratch folder on this machine."""
    with tempfile.TemporaryDirectory(prefix="lab-old-") as path:
        yield Path(path)


def _file(volume: str) -> Path:
    return MACHINE / f"{volume}.disk"


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"a small disk cannot be made: `{' '.join(command)}` says {done.stderr.strip()[-300:]}")
    return done.stdout
