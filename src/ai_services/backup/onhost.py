"""Calls the host's part (`host/main.py`) over SSH: the program goes before whatever it is to read."""

from __future__ import annotations

import json
import shlex
import subprocess
import tempfile
from contextlib import suppress
from typing import Any, BinaryIO, Final

from ai_services.backup.bundle import content
from ai_services.exits import FAILED, OperatorError
from ai_services.host import ssh_errors
from ai_services.host.target import Target

# `head` takes exactly the program from the input; the rest is the program's own.
_REMOTE: Final = (
    'f=$(mktemp) && trap \'rm -f "$f"\' EXIT HUP TERM INT && head -c {size} >"$f" && python3 -I "$f" {words}'
)
# A connection that is gone is noticed; a database that takes its time is not taken for one.
_ALIVE: Final = ("-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=6")


class Call:
    """One call of the host's part. Write to `input`, close it, read `output`, and `finish`."""

    def __init__(self, target: Target, *words: str) -> None:
        program = content()
        command = target.command(target.as_root(_REMOTE.format(size=len(program), words=shlex.join(words))))
        if not target.is_local:
            command[1:1] = _ALIVE
        self._target = target
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `finish`)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self._errors, bufsize=2**18)
        assert self._process.stdin is not None  # noqa: S101  (asked for above)
        assert self._process.stdout is not None  # noqa: S101  (the same)
        self.input: BinaryIO = self._process.stdin  # type: ignore[assignment]  # bytes, as no text is asked for
        self.output: BinaryIO = self._process.stdout  # type: ignore[assignment]  # the same
        self._write(program)

    def _write(self, block: bytes) -> None:
        try:
            self.input.write(block)
            self.input.flush()
        except BrokenPipeError:
            self.finish()
            raise

    def send(self, content: bytes = b"") -> None:
        """Give it all of its input at once. Raises as `finish` does."""
        self._write(content)
        self.input.close()

    def finish(self) -> None:
        """Wait for its end.

        Raises:
            OperatorError: it failed, in its own words, or the connection did.
        """
        with suppress(BrokenPipeError):
            self.input.close()
        status = self._process.wait()
        self.output.close()
        if self._errors.closed:
            return
        self._errors.seek(0)
        said = self._errors.read(65536).decode("utf-8", "replace").strip()
        self._errors.close()
        if status == 255 and not self._target.is_local:
            raise ssh_errors.explain(said, self._target)
        if status != 0:
            lines = said.splitlines() or [f"it ended with {status}"]
            raise OperatorError(f"{self._target}: {lines[-1]}", detail="\n".join(lines[:-1])[-2000:], exit_code=FAILED)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()


def ask(target: Target, *words: str, input: bytes = b"") -> str:  # noqa: A002  # as subprocess calls it
    """Call the host's part once and return what it says. Raises as `Call.finish` does."""
    call = Call(target, *words)
    try:
        call.send(input)
        said = call.output.read().decode("utf-8", "replace")
    except BaseException:
        call.kill()
        raise
    call.finish()
    return said


def record(target: Target, **news: Any) -> None:
    """Note on the host that a backup was `made` or `proven`, with what host/record.py takes of each."""
    ask(target, "record", input=json.dumps(news).encode())
