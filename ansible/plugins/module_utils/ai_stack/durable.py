"""Files that are whole or not there, also after the power went at any moment."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_file(path: Path, content: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Write `content` beside `path`, bring it to the disk, then put it in place.

    A reader sees the old file or the new one. The owner is set where this process may do so (as root).

    Raises:
        OSError: no room, no right, no such directory.
    """
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            if os.geteuid() == 0:
                os.fchown(file.fileno(), uid, gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        scratch.rename(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring the names in directory `path` to the disk: fsync of a file does not include its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def point(link: Path, target: str) -> None:
    """Make the symbolic link `link` point to `target` in one step that cannot be half done."""
    scratch = link.with_name(f".{link.name}.{secrets.token_hex(4)}")
    scratch.symlink_to(target)
    try:
        scratch.rename(link)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    sync_directory(link.parent)
