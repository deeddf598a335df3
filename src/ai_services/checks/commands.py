"""Running other programs for a check: their words kept, their end certain, Ctrl-C honoured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

TERM_GRACE_S = 20.0
POLL_S = 0.2


def tool(name: str) -> str:
    """The path of a program of our virtual environment. Raises FileNotFoundError with what to do."""
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{name} is not in the environment at {path.parent}; `./ai test` installs it from requirements/dev.txt"
        )
    return str(path)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """What children get to see: our own environment, our programs first on PATH."""
    ours = dict(os.environ)
    ours["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), ours.get("PATH", os.defpath)])
    ours.update(extra or {})
    return ours


def call(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    while_running: Callable[[], None] | None = None,
) -> tuple[int, str]:
    """Run to the end; (exit status, stdout and stderr as they came). `while_running` is called a few times a second.

    When this process is interrupted, the command is asked to end, and after a grace time made to.
    """
    with tempfile.TemporaryFile() as kept:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment(env), stdin=subprocess.DEVNULL, stdout=kept, stderr=subprocess.STDOUT
        )
        try:
            while process.poll() is None:
                try:
                    process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    if while_running is not None:
                        while_running()
        except BaseException:
            process.terminate()
            try:
                process.wait(TERM_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
        kept.seek(0)
        return process.returncode, kept.read().decode(errors="replace")
