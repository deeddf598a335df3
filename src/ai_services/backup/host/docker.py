"""What of Docker a backup needs: where volumes lie, whether a container runs, and commands in it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_ANSWER_TIMEOUT_S = 60


class DockerError(Exception):
    """Docker, or a command in a container, failed; the message says which and what it said."""


def volume(name: str) -> Path | None:
    """Directory of a volume on this host; None where there is none, or no Docker."""
    said = _said("volume", "inspect", "--format", "{{.Mountpoint}}", name)
    return Path(said) if said and Path(said).is_dir() else None


def state(container: str) -> str:
    """Return the state of a container (`running`, `exited`, …); empty where there is none."""
    return _said("inspect", "--type", "container", "--format", "{{.State.Status}}", container)


def _said(*words: str) -> str:
    try:
        done = subprocess.run(
            ["docker", *words], capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


class Running:
    """A command in a container, its output read or its input written as a stream."""

    def __init__(self, container: str, words: Sequence[str], *, writes: bool) -> None:
        self._what = f"`{words[0]}` in container {container}"
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `end`)
        self._process = subprocess.Popen(
            ["docker", "exec", *(["--interactive"] if writes else []), container, *words],
            stdin=subprocess.PIPE if writes else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if writes else subprocess.PIPE,
            stderr=self._errors,
        )

    def read(self, most: int) -> bytes:
        """Return more of its output; at its end, see that it went well.

        Raises:
            DockerError: it failed.
        """
        assert self._process.stdout is not None  # noqa: S101  (asked for above)
        block = self._process.stdout.read(most)
        if not block:
            self.end()
        return block

    def write(self, block: bytes) -> None:
        """Give it more input.

        Raises:
            DockerError: it has ended.
        """
        assert self._process.stdin is not None  # noqa: S101  (asked for above)
        try:
            self._process.stdin.write(block)
        except BrokenPipeError:
            self.end()
            raise DockerError(f"{self._what} ended before it had read everything.") from None

    def end(self) -> None:
        """Wait for its end.

        Raises:
            DockerError: it failed.
        """
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        status = self._process.wait()
        if self._errors.closed:
            return
        self._errors.seek(0)
        said = self._errors.read(65536).decode("utf-8", "replace").strip()
        self._errors.close()
        if status != 0:
            raise DockerError(f"{self._what} failed ({status}): {said[-500:] or 'it said nothing'}")
