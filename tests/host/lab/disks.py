"""Disks of a size of their own: a host that has one can run full without anybody else noticing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from host.lab import engine
from host.lab.place import CACHE, LabError

FOLDER = CACHE / "lab" / "disks"


def make(name: str, mib: int) -> str:
    """A Docker volume `name` with a file system of `mib` MiB of its own; answers its name. One there already stays.

    Raises:
        LabError: this machine has no loop devices to spare, or Docker refused.
    """
    if engine.inspect("volume", name) is not None:
        return name
    FOLDER.mkdir(parents=True, exist_ok=True)
    image = FOLDER / f"{name}.ext4"
    with image.open("wb") as file:
        os.truncate(file.fileno(), mib * 2**20)  # sparse: costs what is written
    for command in (["mkfs.ext4", "-q", "-m", "0", str(image)], ["losetup", "--find", "--show", str(image)]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            image.unlink(missing_ok=True)
            raise LabError(f"a disk of {mib} MiB could not be made: `{' '.join(command)}`: {done.stderr.strip()}")
    device = done.stdout.strip()
    engine.call(
        "volume", "create", "--driver", "local", "--opt", "type=ext4", "--opt", f"device={device}",
        "--opt", "o=discard", name,
    )  # fmt: skip
    return name


def remove(name: str) -> None:
    """Take a disk away, and its file with it; one that is no disk of ours is only taken away as a volume."""
    device = _device(name)
    engine.call("volume", "rm", name, check=False)
    if device:
        subprocess.run(["losetup", "--detach", device], capture_output=True, check=False)
    (FOLDER / f"{name}.ext4").unlink(missing_ok=True)


def fill(container: str, path: str) -> None:
    """Fill the file system of `path` in a container to its last block, with one file that `empty` takes away.

    Raises:
        LabError: `path` has no disk of its own, so that everybody's would be filled.
    """
    script = (
        'set -e; cd "$1"; [ "$(stat -f -c %i .)" != "$(stat -f -c %i /)" ]; '
        "free=$(($(stat -f -c '%f * %S' .))); fallocate -l $free .ballast || true; "
        # What fallocate could not have in one piece goes block by block.
        "dd if=/dev/zero of=.ballast bs=4k oflag=append conv=notrunc 2>/dev/null || true; sync -f ."
    )
    engine.run_in(container, ["sh", "-c", script, "fill", path])


def empty(container: str, path: str) -> None:
    """Take the ballast of `fill` away."""
    engine.run_in(container, ["rm", "-f", f"{path}/.ballast"])


def _device(name: str) -> str:
    done = engine.call("volume", "inspect", name, check=False)
    if done.returncode != 0:
        return ""
    options = (json.loads(done.stdout)[0].get("Options") or {}) if done.stdout.strip() else {}
    device = str(options.get("device", ""))
    return device if Path(device).is_relative_to("/dev") and device.startswith("/dev/loop") else ""


__all__ = ["empty", "fill", "make", "remove"]
