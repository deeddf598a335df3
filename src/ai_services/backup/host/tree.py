"""The contents of a directory as a stream of its own, and back: folders, files, and links that stay within.

A tar in the plain form that GNU's program writes: each member is one header, with a long name before it where it needs
one. `tarfile` itself would believe more of a stranger's headers than is good: sparse files, tables of any size.
"""

from __future__ import annotations

import os
import stat
import sys
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from ai_services.backup.host.archive import BLOCK_BYTES, ArchiveError, padding
from ai_services.backup.host.writer import Read

_COPY_BYTES = 2**18
# Linux takes no longer path; its end is a zero byte.
_LONG_NAME_LIMIT_BYTES = 4097
# Names are bytes to the kernel, and come back as the same bytes.
_NAMES = (sys.getfilesystemencoding(), "surrogateescape")
_KINDS = (tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE)
# As the kernel numbers users; one more means none.
_OWNER_LIMIT = 2**32 - 2


def reader(top: Path) -> Read:
    """Return what reads the tree below `top`; sockets, pipes and devices are left out.

    A file that changes while it is read is kept as it was at one moment or another; who needs more declares a dump.
    """
    receiving, sending = os.pipe()
    source = os.fdopen(receiving, "rb")
    wrong: list[BaseException] = []

    def pack() -> None:
        try:
            with os.fdopen(sending, "wb") as out:
                for folder, folders, names in os.walk(top):
                    folders.sort()
                    for name in sorted([*folders, *names]):
                        _add(out, Path(folder) / name, top)
                out.write(bytes(2 * BLOCK_BYTES))
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


def _add(out: BinaryIO, path: Path, top: Path) -> None:
    info = tarfile.TarInfo(path.relative_to(top).as_posix())
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
            if _leads_out(info.name, info.linkname):
                return
        elif stat.S_ISDIR(status.st_mode):
            info.type = tarfile.DIRTYPE
        elif not stat.S_ISREG(status.st_mode):
            return
        _describe(info, status)
        if not info.isreg():
            out.write(info.tobuf(tarfile.GNU_FORMAT, *_NAMES))
            return
        # What was a file when it was listed may be a link or a pipe by now.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # gone since it was listed
    with os.fdopen(descriptor, "rb") as content:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            _describe(info, status)
            info.size = status.st_size
            out.write(info.tobuf(tarfile.GNU_FORMAT, *_NAMES))
            _copy(content, out, info.size)


def _describe(info: tarfile.TarInfo, status: os.stat_result) -> None:
    info.mode, info.uid, info.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    info.mtime = int(status.st_mtime)


def _copy(content: BinaryIO, out: BinaryIO, size: int) -> None:
    left = size
    while left and (block := content.read(min(left, _COPY_BYTES))):
        out.write(block)
        left -= len(block)
    # It has become shorter while it was read; its header is written already.
    while left:
        zeros = bytes(min(left, _COPY_BYTES))
        out.write(zeros)
        left -= len(zeros)
    out.write(bytes(padding(size)))


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
    if not parts or member.name.startswith("/") or ".." in parts or "\0" in member.name + member.linkname:
        raise ArchiveError(f"It holds {member.name!r}, which leads elsewhere.")
    if member.type not in _KINDS:
        raise ArchiveError(f"It holds {member.name!r}, which is neither file nor folder.")
    if member.issym() and (not member.linkname or _leads_out(member.name, member.linkname)):
        raise ArchiveError(f"It holds a link {member.name!r} that leads elsewhere.")
    if member.size < 0 or (member.size and not member.isreg()):
        raise ArchiveError(f"It holds {member.name!r} with a size that it cannot have.")
    if not (0 <= member.uid <= _OWNER_LIMIT and 0 <= member.gid <= _OWNER_LIMIT):
        raise ArchiveError(f"It holds {member.name!r} of an owner that cannot be.")


def unpack(source: BinaryIO, place: Path | None) -> int:
    """Unpack a tree into the directory `place`, over what is there; with None only look. Returns how many members.

    Raises:
        ArchiveError: a member may not be unpacked, or it is no tree.
        OSError: the disk is full, or something there is in the way.
    """
    count = 0
    top = None if place is None else os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for member in _members(source):
            count += 1
            if top is None:
                for _ in _content(source, member.size):
                    pass
            else:
                _unpack(member, source, top)
    finally:
        if top is not None:
            os.close(top)
    return count


def _members(source: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the members; whoever takes one reads its content from `source` before the next."""
    long: dict[bytes, str] = {}
    while (block := _exactly(source, BLOCK_BYTES)) != bytes(BLOCK_BYTES):
        try:
            info = tarfile.TarInfo.frombuf(block, *_NAMES)
        except (tarfile.TarError, ValueError) as error:
            raise ArchiveError(f"A tree in it cannot be read: {error}") from None
        if info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            if not 0 < info.size <= _LONG_NAME_LIMIT_BYTES or info.type in long:
                raise ArchiveError("A tree in it cannot be read: it has a name that no file can have.")
            raw = _exactly(source, info.size + padding(info.size))[: info.size]
            long[info.type] = raw.rstrip(b"\0").decode(*_NAMES)
            continue
        info.name = long.pop(tarfile.GNUTYPE_LONGNAME, info.name)
        info.linkname = long.pop(tarfile.GNUTYPE_LONGLINK, info.linkname)
        check(info)
        yield info


def _exactly(source: BinaryIO, count: int) -> bytes:
    content = b"".join(_blocks(source, count))
    if len(content) < count:
        raise ArchiveError("A tree in it cannot be read: it is cut off.")
    return content


def _content(source: BinaryIO, size: int) -> Iterator[bytes]:
    got = 0
    for block in _blocks(source, size):
        got += len(block)
        yield block
    if got < size:
        raise ArchiveError("A tree in it cannot be read: it is cut off.")
    _exactly(source, padding(size))


def _blocks(source: BinaryIO, count: int) -> Iterator[bytes]:
    while count and (block := source.read(min(count, _COPY_BYTES))):
        count -= len(block)
        yield block


def _unpack(member: tarfile.TarInfo, source: BinaryIO, top: int) -> None:
    *above, name = PurePosixPath(member.name).parts
    with _folder(top, above, member.name) as folder:
        was = _mode(name, folder)
        if member.isdir():
            if stat.S_ISLNK(was):
                os.unlink(name, dir_fd=folder)
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=folder)
            _own(os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder), member)
            return
        if stat.S_ISDIR(was):
            raise ArchiveError(f"{member.name!r} is a folder here and none in the archive.")
        if was:
            os.unlink(name, dir_fd=folder)
        if member.issym():
            os.symlink(member.linkname, name, dir_fd=folder)
            if os.geteuid() == 0:
                os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        with os.fdopen(os.dup(descriptor), "wb") as out:
            try:
                for block in _content(source, member.size):
                    out.write(block)
            finally:
                _own(descriptor, member)


def _own(descriptor: int, member: tarfile.TarInfo) -> None:
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, member.uid, member.gid)
        os.fchmod(descriptor, member.mode & 0o777)
    finally:
        os.close(descriptor)


def _mode(name: str, folder: int) -> int:
    """Mode of what is there by that name; 0 where nothing is."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0


@contextmanager
def _folder(top: int, parts: Sequence[str], whole: str) -> Iterator[int]:
    """Open a folder below `top`, made where it is not there.

    Of the folders on the way none may be a link, whether it came from here, was there before, or is put there meanwhile
    by a container that has the volume: each is opened from the one before.
    """
    at = os.dup(top)
    try:
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=at)
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            except OSError:
                raise ArchiveError(f"{part!r} is a link or no folder, so {whole!r} would lead elsewhere.") from None
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


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
