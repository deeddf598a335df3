"""Reads an archive from a stream, and believes nothing of it before it is seen to be ours and whole.

Whoever writes what comes out of here to its place reads the archive twice: once to the end, then again from the same
bytes. An archive that is refused has then changed nothing.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Union

from ai_services.backup.host.archive import (
    BLOCK_BYTES,
    FILES,
    INDEX,
    MANIFEST,
    MANIFEST_LIMIT_BYTES,
    PART_BYTES,
    ArchiveError,
    Manifest,
    SavedFile,
    Stream,
    header,
    padding,
)
from ai_services.backup.host.writer import index_of

_ZERO = bytes(BLOCK_BYTES)
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


@dataclass(frozen=True)
class FileRead:
    """A file of the manifest, its content as it was saved."""

    entry: SavedFile
    content: bytes


@dataclass(frozen=True)
class PartRead:
    """The next part of a stream; an empty one is its end."""

    stream: Stream
    content: bytes


Event = Union[Manifest, FileRead, PartRead]  # noqa: UP007  (evaluated, and Python 3.9 has no other way)


def events(source: BinaryIO) -> Iterator[Event]:
    """Yield the manifest, then every file, then the parts of every stream; returns only at the end of a whole archive.

    Raises:
        ArchiveError: it is not ours, or not whole. What was yielded before is then not to be believed.
    """
    read = _Tar(source)
    first = read.named(MANIFEST)
    manifest = Manifest.from_json(_parsed(first, MANIFEST))
    yield manifest
    for entry in manifest.files:
        content = read.member(FILES + entry.name, entry.size)
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise ArchiveError(f"It is damaged: {entry.name} is not what was saved.")
        yield FileRead(entry, content)
    sums = {}
    for stream in manifest.streams:
        digest, size, number = hashlib.sha256(), 0, 0
        while read.next_name() == f"{stream.path}/{number + 1:06d}":
            content = read.content(PART_BYTES)
            number += 1
            digest.update(content)
            size += len(content)
            if not content:
                raise ArchiveError(f"It is damaged: a part of {stream} is empty.")
            yield PartRead(stream, content)
        sums[str(stream)] = {"parts": number, "size": size, "sha256": digest.hexdigest()}
        yield PartRead(stream, b"")
    if _parsed(read.named(INDEX), INDEX) != index_of(first, sums):
        raise ArchiveError("It is damaged: it does not hold what its index says.")
    read.end()


def verify(source: BinaryIO) -> Manifest:
    """Read an archive to its end and return what it says of itself. Raises as `events` does."""
    found = None
    for event in events(source):
        if isinstance(event, Manifest):
            found = event
    assert found is not None  # noqa: S101  (events yields it first, or raises)
    return found


def _parsed(content: bytes, name: str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise ArchiveError(f"It is damaged: {name} cannot be read.") from None


class _Tar:
    """The members of a tar, one after the other, each under the one header it may have."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._ahead: tuple[str, int] | None = None
        self._begun = False

    def next_name(self) -> str:
        """Return the name of the member that follows."""
        if self._ahead is None:
            self._ahead = self._header()
        return self._ahead[0]

    def content(self, most: int, exactly: int | None = None) -> bytes:
        """Return the content of the member that follows, of at most (or exactly) so many bytes."""
        name = self.next_name()
        assert self._ahead is not None  # noqa: S101  (next_name has seen to it)
        size = self._ahead[1]
        if size > most or (exactly is not None and size != exactly):
            raise ArchiveError(f"It is damaged: {name} has a size of {size}, which it cannot have.")
        self._ahead = None
        content = self._exactly(size)
        if self._exactly(padding(size)).strip(b"\0"):
            raise ArchiveError(f"It is damaged after {name}.")
        return content

    def member(self, name: str, size: int) -> bytes:
        """Return the content of the member that follows, which must be this one."""
        self._expect(name)
        return self.content(size, size)

    def named(self, name: str) -> bytes:
        """Return the content of the member that follows, which must be this one and may have any bearable size."""
        self._expect(name)
        return self.content(MANIFEST_LIMIT_BYTES)

    def end(self) -> None:
        """See that nothing follows but zeros."""
        if self._ahead is not None or self._exactly(BLOCK_BYTES) != _ZERO or self._exactly(BLOCK_BYTES) != _ZERO:
            raise ArchiveError("Something follows after its end.")
        while block := self._source.read(2**16):
            if block.strip(b"\0"):
                raise ArchiveError("Something follows after its end.")

    def _expect(self, name: str) -> None:
        found = self.next_name()
        if found != name:
            raise ArchiveError(f"It holds {found!r} where {name} has to be.")

    def _header(self) -> tuple[str, int]:
        block = self._exactly(BLOCK_BYTES)
        first, self._begun = not self._begun, True
        if block == _ZERO:
            raise ArchiveError("It is cut off: it ends before its index.")
        try:
            info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
            kind = _KINDS.get(info.type)
            if kind is None and header(info.name, info.size) != block:
                raise ValueError(info.name)
        except (tarfile.TarError, ValueError, UnicodeError):
            foreign = first and block[257:262] != b"ustar"
            raise ArchiveError(
                "It is no backup of ai-services." if foreign else "It holds something that no backup of ours has."
            ) from None
        if kind is not None:
            raise ArchiveError(f"It holds {kind} ({info.name!r}), and no backup of ours does.")
        if re.search(r"(^|/)\.\.(/|$)|^/", info.name):
            raise ArchiveError(f"It holds {info.name!r}, which leads elsewhere.")
        return info.name, info.size

    def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            block = self._source.read(count - len(content))
            if not block:
                raise ArchiveError("It is cut off." if self._begun or content else "It is empty.")
            content += block
        return bytes(content)
