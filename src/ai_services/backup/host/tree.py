"""The contents of a directory as a stream of its own, and back: folders, files, and links that stay within."""

from __future__ import annotations

import os
import stat
import tarfile
import threading
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ai_services.backup.host.archive import ArchiveError
from ai_services.backup.host.writer import Read


def reader(top: Path) -> Read:
    """Return what reads the tree below `top`; sockets, pipes and devices are left out.

    A file that changes while it is read is kept as it was at one moment or another; who needs more declares a dump.
    """
    receiving, sending = os.pipe()
    source = os.fdopen(receiving, "rb")
    wrong: list[BaseException] = []

    def pack() -> None:
        try:
            with (
                os.fdopen(sending, "wb") as out,
                tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar,
            ):
                for folder, folders, names in os.walk(top):
                    folders.sort()
                    for name in sorted([*folders, *names]):
                        _add(tar, Path(folder) / name, top)
        except BrokenPipeError:
            pass
        except BaseException as error:
            wrong.append(error)

    thread = threading.Thread(target=pack, daemon=True)
    thread.start()

    def read(most: int) -> bytes:
        block = source.read(most)
        if not block:
            thread.join()
            source.close()
            if wrong:
                raise wrong[0]
        return block

    return read


def _add(tar: tarfile.TarFile, path: Path, top: Path) -> None:
    name = path.relative_to(top).as_posix()
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) and _leads_out(name, str(path.readlink())):
            return
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISLNK(mode):
            tar.add(path, name, recursive=False)
    except FileNotFoundError:
        pass  # gone since it was listed


def _leads_out(name: str, target: str) -> bool:
    depth = len(PurePosixPath(name).parts) - 1
    if target.startswith("/"):
        return True
    for part in PurePosixPath(target).parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


def check(member: tarfile.TarInfo) -> None:
    """See that a member of a tree may be unpacked.

    Raises:
        ArchiveError: it is no folder, file or inner link, or lies elsewhere.
    """
    parts = PurePosixPath(member.name).parts
    if not parts or member.name.startswith("/") or ".." in parts:
        raise ArchiveError(f"It holds {member.name!r}, which leads elsewhere.")
    if member.issym() and _leads_out(member.name, member.linkname):
        raise ArchiveError(f"It holds a link {member.name!r} that leads elsewhere.")
    if not (member.isdir() or member.isfile() or member.issym()):
        raise ArchiveError(f"It holds {member.name!r}, which is neither file nor folder.")


def unpack(source: BinaryIO, place: Path | None) -> int:
    """Unpack a tree into the directory `place`, over what is there; with None only look. Returns how many members.

    Raises:
        ArchiveError: a member may not be unpacked, or it is no tree.
    """
    count = 0
    try:
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in tar:
                check(member)
                count += 1
                if place is not None:
                    _unpack(tar, member, place)
    except tarfile.TarError as error:
        raise ArchiveError(f"A tree in it cannot be read: {error}") from None
    return count


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path) -> None:
    target = place / member.name
    # Of the folders above it none may be a link, whether it came from here or was there before.
    above = place
    for part in PurePosixPath(member.name).parts[:-1]:
        above /= part
        if above.is_symlink():
            raise ArchiveError(f"{above} is a link, so {member.name!r} would lead elsewhere.")
    target.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        if target.is_symlink():
            target.unlink()
        target.mkdir(exist_ok=True)
    else:
        if target.is_dir() and not target.is_symlink():
            raise ArchiveError(f"{target} is a folder here and none in the archive.")
        target.unlink(missing_ok=True)
        if member.issym():
            target.symlink_to(member.linkname)
        else:
            _write(tar, member, target)
    if os.geteuid() == 0:
        os.chown(target, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        target.chmod(member.mode & 0o777)


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    content = tar.extractfile(member)
    assert content is not None  # noqa: S101  (it is a file)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        while block := content.read(2**18):
            out.write(block)


class Unpacking:
    """A tree that comes in parts: written to a thread that unpacks it (or only looks, where `place` is None)."""

    def __init__(self, place: Path | None) -> None:
        receiving, sending = os.pipe()
        self._sending = os.fdopen(sending, "wb")
        self._wrong: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, args=(receiving, place), daemon=True)
        self._thread.start()

    def _run(self, receiving: int, place: Path | None) -> None:
        with os.fdopen(receiving, "rb") as source:
            try:
                unpack(source, place)
                while source.read(2**16):  # what a tar has after its end
                    pass
            except BaseException as error:
                self._wrong.append(error)

    def write(self, block: bytes) -> None:
        """Take more of it. Raises what unpacking raises."""
        try:
            self._sending.write(block)
            self._sending.flush()
        except BrokenPipeError:
            self.end()
            raise

    def end(self) -> None:
        """Wait until all is unpacked. Raises as `unpack` does."""
        with suppress(BrokenPipeError):
            self._sending.close()
        self._thread.join()
        if self._wrong:
            raise self._wrong[0]
