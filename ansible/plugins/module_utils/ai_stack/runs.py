"""A change of the host as a process of its own there: it outlives the SSH connection and the operator who began it.

DIRECTORY/<run>.jsonl tells how far it is, one JSON object a line: {"time", "say"} while it is at work, at the end
{"time", "end": "done" or "failed", "message", "done": [...], ...}. The process holds a lock on the file while it lives,
so that a file without an end and without a lock is the work of a kill -9 or of a reboot.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .journal import utc_now

DIRECTORY = Path("/run/ai-services/changes")
ID = re.compile(r"[0-9a-z]{8,32}")
_LOOK_EVERY_S = 0.1
# A process starts; on a host whose processors are busy with models that takes its time.
_BEGINS_WITHIN_S = 60.0
# What ended runs have told, for whoever comes back to ask; it goes with the next start of the machine, too.
_KEPT = 20


class RunError(Exception):
    """There is no such run, or it ended without a word; the message says what is known."""


class Teller:
    """The running process's side: every word goes into the file, and to standard output if `aloud`."""

    def __init__(self, run: str, *, aloud: bool, directory: Path = DIRECTORY) -> None:
        self._aloud = aloud
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        self._file = os.open(_file(run, directory), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        _tidy(directory)

    def say(self, words: str) -> None:
        """Tell what is being done."""
        self.write({"say": words})

    def write(self, content: dict[str, Any]) -> None:
        """One line. Nothing that is in its way stops the change: /run is full, or whoever read along is gone."""
        line = json.dumps({"time": utc_now(), **content}) + "\n"
        with contextlib.suppress(OSError):
            os.write(self._file, line.encode())
        if self._aloud:
            with contextlib.suppress(OSError):
                sys.stdout.write(line)
                sys.stdout.flush()


def is_begun(run: str, directory: Path = DIRECTORY) -> bool:
    """Whether there is (or was, since the last boot) such a run."""
    return _file(run, directory).exists()


def detach(run: str, words: list[str], directory: Path = DIRECTORY) -> None:
    """Start `words` as the run `run`, under systemd where there is one, else as a process of its own.

    Raises:
        RunError: it did not begin.
    """
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    if Path("/run/systemd/system").is_dir() and shutil.which("systemd-run"):
        unit = ["systemd-run", "--quiet", "--collect", "--no-ask-password", f"--unit=ai-change-{run}", "--"]
        try:
            done = subprocess.run([*unit, *words], capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired as error:
            raise RunError("systemd does not start the change: it gives no answer.") from error
        if done.returncode != 0:
            raise RunError(f"systemd does not start the change: {done.stderr.strip()}")
    else:
        with open(os.devnull, "r+b") as nowhere:  # noqa: PTH123  (a device, not a path of ours)
            subprocess.Popen(words, stdin=nowhere, stdout=nowhere, stderr=nowhere, start_new_session=True)
    ends_at = time.monotonic() + _BEGINS_WITHIN_S
    while not _has_words(_file(run, directory)):
        if time.monotonic() >= ends_at:
            raise RunError(f"The change was started and says nothing: journalctl -u ai-change-{run}")
        time.sleep(_LOOK_EVERY_S)


def read(run: str, directory: Path = DIRECTORY) -> list[dict[str, Any]]:
    """Every whole line so far. Raises RunError where there is no such run."""
    try:
        raw = _file(run, directory).read_bytes()
    except FileNotFoundError:
        raise RunError(f"There is no change {run} on this host, at least not since it was started.") from None
    lines = []
    for line in raw[: raw.rfind(b"\n") + 1].splitlines():
        # One that found no room is torn, and the next one is on its line.
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def lives(run: str, directory: Path = DIRECTORY) -> bool:
    """Whether its process is there."""
    try:
        descriptor = os.open(_file(run, directory), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def living(directory: Path = DIRECTORY) -> list[str]:
    """The runs whose processes are there."""
    names = sorted(path.stem for path in directory.glob("*.jsonl")) if directory.is_dir() else []
    return [name for name in names if ID.fullmatch(name) and lives(name, directory)]


def follow(run: str, seen: int = 0, directory: Path = DIRECTORY) -> Iterator[dict[str, Any]]:
    """Each line after the first `seen` as it comes, up to the end.

    Raises:
        RunError: there is none, or it died without an end.
    """
    while True:
        alive = lives(run, directory)
        lines = read(run, directory)
        for line in lines[seen:]:
            yield line
            if "end" in line:
                return
        seen = max(seen, len(lines))
        if not alive:
            raise RunError(
                "The change was killed before it had come to its end. What served before it does, or both do; "
                "a next run looks and goes on from there."
            )
        time.sleep(_LOOK_EVERY_S)


def forget(run: str, directory: Path = DIRECTORY) -> None:
    """Remove what a run that has ended has told."""
    _file(run, directory).unlink(missing_ok=True)


def _tidy(directory: Path) -> None:
    found = [path for path in directory.glob("*.jsonl") if ID.fullmatch(path.stem) and not lives(path.stem, directory)]
    with contextlib.suppress(OSError):
        for path in sorted(found, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            path.unlink(missing_ok=True)


def _has_words(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _file(run: str, directory: Path) -> Path:
    if not ID.fullmatch(run):
        raise RunError(f"'{run}' names no run: 8 to 32 of 0-9 and a-z.")
    return directory / f"{run}.jsonl"
