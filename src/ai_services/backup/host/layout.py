"""The host's part of a restore: what an archive holds is laid out, and taken up where a deploy would make it anew.

Laid out in /var/lib/ai-services/restore, for root alone. The roles take it up (`take`) after they have noted what the
host was like before them, so that destroying the host takes it off again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ai_services.backup.host import certificates, docker, places, services, tree
from ai_services.backup.host.archive import Manifest, Stream
from ai_services.backup.host.certificates import write_file
from ai_services.backup.host.reader import FileRead, PartRead, events
from ai_services.backup.host.services import Declared

PROGRAM = "ai-backup"
_RUN = "run"


class OtherRunError(Exception):
    """Two restores are at work on one host; the message says what to do."""


def lay_out(source: BinaryIO, place: Path, run: str, program: Path | None = None) -> None:
    """Write the files of an archive that are taken up, whole or not at all, into the new directory `place`.

    `run` is the number of the restore that will take them up; `program` is copied beside them, for whoever does.

    Raises:
        ArchiveError: it is not ours or not whole; nothing is laid out then.
        CertificateError: the same, for a renewal that is not ours.
    """
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    # What a run left that was killed has keys in it.
    for left in place.parent.glob(f"{place.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    scratch = place.with_name(f"{place.name}.{os.getpid()}")
    scratch.mkdir(mode=0o700)
    try:
        for event in events(source):
            if isinstance(event, FileRead):
                places.check(event.entry.name)
                if event.entry.name.split("/", 1)[0] in places.TAKEN_UP:
                    target = scratch / event.entry.name
                    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    write_file(target, event.content, event.entry.mode, (event.entry.uid, event.entry.gid))
        for conf in sorted((scratch / "letsencrypt" / "renewal").glob("*.conf")):
            certificates.check_renewal(conf)
        (scratch / _RUN).write_text(run, encoding="ascii")
        if program:
            shutil.copyfile(program, scratch / PROGRAM)
        shutil.rmtree(place, ignore_errors=True)
        scratch.rename(place)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def drop(root: Path, run: str | None = None) -> None:
    """Forget what is laid out; if a `run` is named, only what was laid out by that."""
    place = root / places.RESTORE
    if run is None or _laid_out_by(place) == run:
        for path in (place, *place.parent.glob(f"{place.name}.*")):
            shutil.rmtree(path, ignore_errors=True)


def _laid_out_by(place: Path) -> str:
    try:
        return (place / _RUN).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def take(what: str, run: str, root: Path) -> list[str]:
    """Put `secrets` or `letsencrypt` to its place and forget that it was laid out; returns the paths that changed.

    Raises:
        OtherRunError: what lies there was not laid out by `run`; keys must not be made anew in its place.
        CertificateError: as `certificates.take_up` does.
    """
    if _laid_out_by(root / places.RESTORE) != run:
        raise OtherRunError(
            "What this restore had laid out is not here any more: another one has put its own in its place. "
            "Nothing was taken; run it again."
        )
    staged = root / places.RESTORE / what
    if what not in places.TAKEN_UP or not staged.is_dir():
        return []
    if what == "letsencrypt":
        done = certificates.take_up(staged, root / places.LETSENCRYPT)
    else:
        done = list(_secrets(staged, root / places.SECRETS))
    shutil.rmtree(staged)
    return done


def _secrets(staged: Path, place: Path) -> Iterator[str]:
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in places.regular_files(staged):
        target, status = place / path.relative_to(staged), path.stat()
        if target.is_file() and target.read_bytes() == path.read_bytes():
            continue
        for folder in reversed(target.relative_to(place).parents):
            (place / folder).mkdir(mode=0o700, exist_ok=True)
        write_file(target, path.read_bytes(), status.st_mode & 0o777, (status.st_uid, status.st_gid))
        yield str(target)


def streams(source: BinaryIO, root: Path, say: Callable[[str], None]) -> None:
    """Give every service of this host what it saved. What no service here knows is left, and said.

    Raises:
        ArchiveError: it is not ours or not whole.
        DockerError: a service could not take what it had saved.
    """
    declared = {each.stream: each for each in services.read(*(root / path for path in places.DECLARED))}
    taking: _Taking | None = None
    for event in events(source):
        if isinstance(event, Manifest):
            for stream in event.streams:
                if stream not in declared and stream.service != "migration":
                    say(f"skipped {stream}")
        if not isinstance(event, PartRead) or event.stream not in declared:
            continue
        taking = taking or _Taking(declared[event.stream])
        if event.content:
            taking.write(event.content)
        else:
            taking.end()
            say(f"restored {event.stream}")
            taking = None


class _Taking:
    """One service that takes its stream."""

    def __init__(self, declared: Declared) -> None:
        self._stream: Stream = declared.stream
        if declared.volume:
            place = docker.volume(declared.volume)
            if place is None:
                raise docker.DockerError(f"There is no volume {declared.volume} for {declared.stream}.")
            self._taker: docker.Running | tree.Unpacking = tree.Unpacking(place)
        else:
            self._taker = docker.Running(declared.container, declared.restore, writes=True)

    def write(self, block: bytes) -> None:
        self._taker.write(block)

    def end(self) -> None:
        self._taker.end()
