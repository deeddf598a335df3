"""File systems that hold something of ours: free space and inodes, writable or not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import read

# /var/lib/docker: where models, images and containers lie unless dockerd is told otherwise.
PATHS = ("/", "/boot", "/opt/ai", "/var", "/var/lib/docker", "/var/log", "/tmp")  # noqa: S108  # looked at, not written
# Their servers may be gone, and then every look at them hangs in the kernel where nothing can end it.
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "glusterfs", "autofs"}


def disks(paths: tuple[str, ...] = PATHS) -> list[dict[str, Any]]:
    """Return one entry per file system that holds any of `paths` (or the next existing parent).

    `mount`, `device`, `type`, `read_only`, `total_mib`, `free_mib` (for ordinary users), `free_inodes_percent` (None
    where the file system has no fixed number of them) and `paths`, those of ours that lie on it.
    """
    mounts = _mounts()
    holding: dict[str, list[str]] = {}
    for path in paths:
        holding.setdefault(_mount_of(path, mounts), []).append(path)
    found = []
    for mount, held in sorted(holding.items()):
        device, kind, options = mounts.get(mount, ("", "", ""))
        if kind in _REMOTE or kind.startswith("fuse."):
            continue
        size = os.statvfs(mount)
        found.append(
            {
                "mount": mount,
                "device": device,
                "type": kind,
                "read_only": "ro" in options.split(","),
                "total_mib": size.f_blocks * size.f_frsize // 2**20,
                "free_mib": size.f_bavail * size.f_frsize // 2**20,
                "free_inodes_percent": size.f_favail * 100 // size.f_files if size.f_files else None,
                "paths": held,
            }
        )
    return found


def _mounts() -> dict[str, tuple[str, str, str]]:
    mounts = {}
    for line in read(Path("/proc/self/mounts")).splitlines():
        fields = line.split(" ")
        if len(fields) >= 4:
            # Blanks in names are written as \040; the newest mount on a place is the one that is seen.
            mount = fields[1].encode("latin-1", "replace").decode("unicode_escape", "replace")
            mounts[mount] = (fields[0], fields[2], fields[3])
    return mounts


def _mount_of(path: str, mounts: dict[str, tuple[str, str, str]]) -> str:
    place = Path(path)
    # Links lead elsewhere; but resolving must not touch a dead network share, so mounts are compared by name first.
    if path not in mounts:
        place = Path(os.path.realpath(path))
    for candidate in (place, *place.parents):
        if str(candidate) in mounts:
            return str(candidate)
    return "/"
