"""Finds an archive, opens it, and proves it: everything is checked, and restored into a scratch directory of memory."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from ai_services.backup.host import layout, places, store, tree
from ai_services.backup.host.archive import ArchiveError, Manifest, Stream
from ai_services.backup.host.certificates import CertificateError
from ai_services.backup.host.reader import FileRead, PartRead, events
from ai_services.backup.host.store import StoreError
from ai_services.backup.sealing import Keys, opened
from ai_services.console import Advance
from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.private import private_folder

_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (a folder of one's own is made in it)
_BLOCK_BYTES: Final = 2**20
_SCRATCH_RUN: Final = "0" * 16
_NAME_ONE: Final = "Name the file that ./ai backup has written, or s3://BUCKET/PREFIX/NAME.age."


@dataclass(frozen=True)
class Proven:
    """An archive that was read to its end: what it says of itself, and its files' contents by name."""

    manifest: Manifest
    contents: dict[str, bytes] = field(repr=False)


@contextlib.contextmanager
def fetched(words: str, advance: Advance) -> Iterator[BinaryIO]:
    """Yield the sealed archive that `words` name (a file, or s3://BUCKET/KEY), as a file that can be gone back in.

    One from a bucket is copied first, sealed as it is, so that what was checked is what is restored.

    Raises:
        OperatorError: there is none.
    """
    if not words.startswith(store.S3):
        path = Path(words).expanduser()
        try:
            # Before it is opened: nobody may ever write into a pipe.
            if not stat.S_ISREG(path.stat().st_mode):
                raise OperatorError(f"{path} is no file.", hint=_NAME_ONE, exit_code=USAGE)
            source = path.open("rb")
        except OSError as error:
            raise OperatorError(f"{path} cannot be read: {error.strerror}.", hint=_NAME_ONE, exit_code=USAGE) from None
        with source:
            yield source
        return
    prefix, _, name = words.rpartition("/")
    if not name or len(prefix) <= len(store.S3):
        raise OperatorError(f"{words} names no archive.", hint=_NAME_ONE, exit_code=USAGE)
    with tempfile.TemporaryFile() as copy:
        done = 0
        try:
            body = store.bucket(prefix).open(name)
            while block := body.read(_BLOCK_BYTES):
                copy.write(block)
                done += len(block)
                advance(done)
        except StoreError as error:
            raise OperatorError(str(error), exit_code=BLOCKED) from None
        except OSError as error:
            raise OperatorError(
                f"The archive cannot be copied to {tempfile.gettempdir()}: {error.strerror}.",
                hint="Name a place with room for it: TMPDIR=/somewhere ./ai …",
                exit_code=BLOCKED,
            ) from None
        copy.seek(0)
        yield copy


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """Make a folder for this user alone, on no disk where this machine has such a place, gone at the end."""
    with private_folder(_MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else None) as folder:
        yield folder


def prove(source: BinaryIO, keys: Keys, advance: Advance) -> Proven:
    """Read an archive to its end and restore it into a scratch directory; nothing else is touched.

    Raises:
        OperatorError: it cannot be opened, is not ours, not whole, or could not be restored; nothing may be believed.
    """
    contents: dict[str, bytes] = {}
    manifest: Manifest | None = None
    done = 0
    trees: dict[Stream, tree.Unpacking] = {}
    try:
        with opened(source, keys) as plain:
            for event in events(plain):
                if isinstance(event, Manifest):
                    manifest = event
                    continue
                if isinstance(event, FileRead):
                    places.check(event.entry.name)
                    contents[event.entry.name] = event.content
                elif isinstance(event, PartRead) and event.stream.kind == "tree":
                    _look_into(trees, event)
                done += len(event.content)
                advance(done)
        with opened(source_again(source), keys) as plain, in_memory() as folder:
            layout.lay_out(plain, folder / places.RESTORE, _SCRATCH_RUN)
            for what in places.TAKEN_UP:
                layout.take(what, _SCRATCH_RUN, folder)
            _compare(folder, contents)
    except (ArchiveError, CertificateError) as error:
        raise OperatorError(f"This archive is refused. {error}", exit_code=BLOCKED) from None
    except OSError as error:
        raise OperatorError(f"The archive cannot be tried out here: {error}", exit_code=BLOCKED) from None
    assert manifest is not None  # noqa: S101  (events yields it first, or raises)
    return Proven(manifest, contents)


def source_again(source: BinaryIO) -> BinaryIO:
    """Return the archive at its beginning."""
    source.seek(0)
    return source


def _look_into(trees: dict[Stream, tree.Unpacking], event: PartRead) -> None:
    if event.stream not in trees:
        trees[event.stream] = tree.Unpacking(None)
    looking = trees[event.stream]
    if event.content:
        looking.write(event.content)
    else:
        looking.end()


def _compare(folder: Path, contents: dict[str, bytes]) -> None:
    """See that what a host would have is what was saved."""
    for name, content in contents.items():
        first, _, rest = name.partition("/")
        if first == "secrets":
            path = folder / places.SECRETS / rest
        elif name.startswith("letsencrypt/lineages/"):
            path = folder / places.LETSENCRYPT / "live" / rest.partition("/")[2]
        elif first == "letsencrypt":
            path = folder / places.LETSENCRYPT / rest
        else:
            continue
        if not path.is_file() or path.read_bytes() != content:
            raise ArchiveError(f"It cannot be restored: {name} would not be what was saved.")
