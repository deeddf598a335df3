"""A session on a host: commands, files and streams over one SSH connection, or on this very machine.

Converging is Ansible's work; this is for what must be quick or must stream: looking, rolling back, backups.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from ai_services.exits import BLOCKED, FAILED, OperatorError
from ai_services.host.remote_process import Channel, Child, Conversation, Process
from ai_services.host.remote_ssh import Unsuited, connect
from ai_services.host.ssh_errors import explain
from ai_services.host.target import Target, remote_hint

if TYPE_CHECKING:
    import paramiko

    from ai_services.console import Screen

_ANSWER_TIMEOUT_S: Final = 60.0
_OUT_LIMIT_BYTES: Final = 64 << 20
_LINE_LIMIT_BYTES: Final = 1 << 20
# The host ends a command by itself a little after we gave it up.
_GRACE_S: Final = 2


@dataclass(frozen=True)
class Done:
    """How a command ended: its exit status, and what it wrote. `is_cut`: there was more than was kept of `out`."""

    status: int
    out: bytes
    err: bytes
    is_cut: bool = False

    @property
    def text(self) -> str:
        """Its stdout as text."""
        return self.out.decode(errors="replace")

    @property
    def reason(self) -> str:
        """The last line that it wrote, to stderr or else to stdout: mostly the reason of a failure."""
        lines = (self.err.strip() or self.out.strip()).decode(errors="replace").splitlines()
        return lines[-1] if lines else f"exit status {self.status}, without a word"


class LostError(OperatorError):
    """The connection went while a command ran; whether the command came to its end is not known."""


class LateError(OperatorError):
    """A command did not end in the time it was given, and was ended."""


class CommandError(OperatorError):
    """A command of a stream ended with another status than 0; `done` has it."""

    def __init__(self, message: str, done: Done) -> None:
        super().__init__(message, exit_code=FAILED)
        self.done = done


class Remote:
    """A host that lets us in, until `close`. Several threads may use it at once (sshd allows ten commands)."""

    def __init__(self, target: Target, client: paramiko.SSHClient | None = None) -> None:
        self.target = target
        self._client = client

    @classmethod
    def open(cls, target: Target, screen: Screen | None = None) -> Remote:
        """Log in to `target` (see `connect.reach`, which asks for an unknown host key beforehand).

        Where paramiko does not get in but ssh itself may (hardware keys, Kerberos, a certificate authority for host
        keys), each command goes through ssh.

        Raises:
            OperatorError: the host cannot be reached, its key is unknown or another, or it lets us not in.
        """
        if target.is_local:
            return cls(target)
        with screen.busy(f"Connecting to {target}") if screen else nullcontext():
            try:
                return cls(target, connect(target))
            except Unsuited:
                target.run("true")
                return cls(target)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session; commands that still run are on their own."""
        if self._client is not None:
            self._client.close()

    def run(
        self,
        command: str,
        *,
        stdin: bytes = b"",
        timeout_s: float = _ANSWER_TIMEOUT_S,
        root: bool = False,
        limit_bytes: int = _OUT_LIMIT_BYTES,
    ) -> Done:
        """Run a shell command to its end; its exit status is the caller's to judge. `root`: by sudo, unless we are.

        Raises:
            LateError: it did not end in `timeout_s`; it was killed, here and there.
            LostError: the connection went.
            OperatorError: sudo asks for a password.
        """
        out = bytearray()
        cut = False
        talk = self._begin(command, stdin, timeout_s, root=root)
        for part in talk:
            cut = cut or len(out) + len(part) > limit_bytes
            out += part[: max(0, limit_bytes - len(out))]
        return self._end(talk, command, timeout_s, bytes(out), is_cut=cut)

    def lines(self, command: str, *, root: bool = False, timeout_s: float | None = None) -> Iterator[str]:
        """Run a shell command and yield each line as it comes, without its end.

        Raises:
            CommandError: at the end, if its status is not 0; and what `run` raises.
        """
        rest = b""
        talk = self._begin(command, b"", timeout_s, root=root)
        for part in talk:
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                yield line.decode(errors="replace")
            if len(rest) > _LINE_LIMIT_BYTES:
                yield rest.decode(errors="replace")
                rest = b""
        done = self._end(talk, command, timeout_s, b"")
        if rest:
            yield rest.decode(errors="replace")
        self._insist(done, command)

    def pipe_out(self, command: str, writer: BinaryIO, *, root: bool = False, timeout_s: float | None = None) -> Done:
        """Run a shell command and write its stdout, as it comes, to `writer`; the status is the caller's to judge."""
        talk = self._begin(command, b"", timeout_s, root=root)
        writer.writelines(talk)
        return self._end(talk, command, timeout_s, b"")

    def pipe_in(self, command: str, reader: BinaryIO, *, root: bool = False, timeout_s: float | None = None) -> Done:
        """Run a shell command whose stdin is what `reader` gives; the status is the caller's to judge.

        A connection that goes looks to the command like the end of its input: it must know by itself what is whole.
        """
        talk = self._begin(command, reader, timeout_s, root=root)
        out = b"".join(talk)
        return self._end(talk, command, timeout_s, out[:_OUT_LIMIT_BYTES], is_cut=len(out) > _OUT_LIMIT_BYTES)

    def put(self, content: bytes, path: str, mode: int = 0o600, *, root: bool = False) -> None:
        """Write a file: whole and with its mode from the start, or not at all. Its folder must be there.

        Raises:
            CommandError: it could not be written.
        """
        name = shlex.quote(path)
        command = (
            f"umask 077; t=$(mktemp {name}.XXXXXX) || exit 1; trap 'rm -f \"$t\"' EXIT; "
            # A connection that goes ends the input early.
            f'cat > "$t" && [ "$(wc -c < "$t")" -eq {len(content)} ] && chmod {mode:o} "$t" && sync "$t" '
            f'&& mv -f "$t" {name}'
        )
        timeout_s = _ANSWER_TIMEOUT_S + len(content) / (64 << 10)
        self._insist(self.run(command, stdin=content, root=root, timeout_s=timeout_s), f"write {path}")

    def get(self, path: str, *, root: bool = False) -> Iterator[bytes]:
        """Yield a file's content, part by part.

        Raises:
            CommandError: at the end or at once, if it cannot be read.
        """
        talk = self._begin(f"cat -- {shlex.quote(path)}", b"", None, root=root)
        yield from talk
        self._insist(self._end(talk, f"read {path}", None, b""), f"read {path}")

    def _begin(self, command: str, stdin: bytes | BinaryIO, timeout_s: float | None, *, root: bool) -> Conversation:
        return Conversation(self._start(_words(command, timeout_s, root=root)), stdin, timeout_s)

    def _start(self, words: str) -> Process:
        if self._client is None:
            return Child(self.target.command(words))
        import paramiko

        transport = self._client.get_transport()
        try:
            if transport is None or not transport.is_active():
                raise EOFError
            return Channel(transport, words, _ANSWER_TIMEOUT_S)
        except (paramiko.SSHException, OSError, EOFError):
            raise self._lost() from None

    def _end(
        self, talk: Conversation, command: str, timeout_s: float | None, out: bytes, *, is_cut: bool = False
    ) -> Done:
        if talk.is_late:
            raise LateError(
                f"A command on {self.target} did not end within {timeout_s:.0f} s and was ended: {_short(command)}",
                hint=f"See whether the host is overloaded: {remote_hint(self.target, ['uptime'])}",
                exit_code=BLOCKED,
            )
        done = Done(talk.status, out, talk.err, is_cut)
        if self._client is not None:
            transport = self._client.get_transport()
            if talk.status == -1 and (transport is None or not transport.is_active()):
                raise self._lost()
        elif talk.status == 255 and not self.target.is_local:
            raise explain(done.err.decode(errors="replace"), self.target)
        if b"sudo: a password is required" in done.err or b"sudo: a terminal is required" in done.err:
            raise OperatorError(
                f"sudo on {self.target} asks for a password.",
                hint="Let the user who logs in use it without one, as root there: "
                "echo 'USER ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-USER",
                exit_code=BLOCKED,
            )
        return done

    def _lost(self) -> LostError:
        return LostError(
            f"The connection to {self.target} was lost.",
            hint=f"See whether it is still there: ssh {self.target} uptime; then run the same command again.",
            exit_code=BLOCKED,
        )

    def _insist(self, done: Done, command: str) -> None:
        if done.status:
            raise CommandError(f"On {self.target} this failed: {_short(command)}: {done.reason}", done)


def _words(command: str, timeout_s: float | None, *, root: bool) -> str:
    """Return the words for the login shell, whichever it is: sh runs `command`, as root if need be, in time."""
    inner = f"sh -c {shlex.quote(command)}"
    if timeout_s is not None:
        # A channel that is closed ends nothing over there.
        inner = f"timeout -k 5 {math.ceil(timeout_s) + _GRACE_S} {inner}"
    if root:
        inner = f'if [ "$(id -u)" = 0 ]; then exec {inner}; else exec sudo -n -- {inner}; fi'
    return f"exec sh -c {shlex.quote(inner)}" if root else f"exec {inner}"


def _short(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 100 else f"{line[:97]}…"
