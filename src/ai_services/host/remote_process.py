"""A command that runs somewhere: in a channel of an SSH connection, or as a child of this process."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, BinaryIO, Final, Protocol, cast

if TYPE_CHECKING:
    import paramiko

_PART_BYTES: Final = 1 << 16
# What a command wrote to stderr is for an error message: its end tells the reason.
_ERR_LIMIT_BYTES: Final = 1 << 20


class Process(Protocol):
    """What both kinds can do. `out` and `err` block until there is something, and return b"" at the end."""

    def write(self, data: bytes) -> None:
        """Give `data` to its stdin. Raises OSError when it does not listen any more."""

    def close_stdin(self) -> None:
        """Tell it that nothing more comes."""

    def out(self) -> bytes:
        """Return the next part of its stdout."""

    def err(self) -> bytes:
        """Return the next part of its stderr."""

    def status(self) -> int:
        """Wait for its end and return its exit status, -1 where it has none."""

    def end(self) -> None:
        """End it, or at least our part in it; may be called by another thread and more than once."""


class Channel:
    """A command in a channel of an SSH connection."""

    def __init__(self, transport: paramiko.Transport, command: str, timeout_s: float) -> None:
        self._channel = transport.open_session(timeout=timeout_s)
        self._channel.exec_command(command)

    def write(self, data: bytes) -> None:
        """Give `data` to its stdin."""
        self._channel.sendall(data)

    def close_stdin(self) -> None:
        """Tell it that nothing more comes."""
        self._channel.shutdown_write()

    def out(self) -> bytes:
        """Return the next part of its stdout."""
        return self._channel.recv(_PART_BYTES)

    def err(self) -> bytes:
        """Return the next part of its stderr."""
        return self._channel.recv_stderr(_PART_BYTES)

    def status(self) -> int:
        """Wait for its end. -1: it was killed by a signal, or the connection is gone."""
        return self._channel.recv_exit_status()

    def end(self) -> None:
        """Close the channel."""
        self._channel.close()


class Child:
    """A command as a child of this process, in a group of its own so that all of it can be ended."""

    def __init__(self, words: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            words, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
        self._pipes = [
            cast(IO[bytes], pipe) for pipe in (self._process.stdin, self._process.stdout, self._process.stderr)
        ]

    def write(self, data: bytes) -> None:
        """Give `data` to its stdin."""
        view = memoryview(data)
        while view:
            view = view[self._pipes[0].write(view) :]

    def close_stdin(self) -> None:
        """Tell it that nothing more comes."""
        self._pipes[0].close()

    def out(self) -> bytes:
        """Return the next part of its stdout."""
        return self._pipes[1].read(_PART_BYTES)

    def err(self) -> bytes:
        """Return the next part of its stderr."""
        return self._pipes[2].read(_PART_BYTES)

    def status(self) -> int:
        """Wait for its end."""
        return self._process.wait()

    def end(self) -> None:
        """Kill it and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def forget(self) -> None:
        """Close our ends of its pipes."""
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()


class Conversation:
    """One command from its start to its end: stdin is fed and stderr read beside, so that neither side waits for ever.

    Iterate over it for stdout; then `status`, `err` and `is_late` (it was ended after `timeout_s`) are known.
    """

    def __init__(self, process: Process, stdin: bytes | BinaryIO, timeout_s: float | None) -> None:
        self._process = process
        self._stdin = stdin
        self._err = bytearray()
        self.is_late = False
        self.status = -1
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._hear)]
        self._alarm = threading.Timer(timeout_s, self._give_up) if timeout_s is not None else None

    @property
    def err(self) -> bytes:
        """What it wrote to stderr, the end of it."""
        return bytes(self._err)

    def __iter__(self) -> Iterator[bytes]:
        for thread in self._threads:
            thread.start()
        if self._alarm:
            self._alarm.daemon = True
            self._alarm.start()
        try:
            while part := self._process.out():
                yield part
            self.status = self._process.status()
        finally:
            if self._alarm:
                self._alarm.cancel()
            self._process.end()
            # A grandchild that keeps stderr open must not keep us.
            self._threads[1].join(timeout=5)
            if isinstance(self._process, Child) and not self._threads[1].is_alive():
                self._process.status()
                self._process.forget()

    def _give_up(self) -> None:
        self.is_late = True
        self._process.end()

    def _feed(self) -> None:
        # A command that ended has no use for more; what became of it tells its status.
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self._stdin, bytes):
                for place in range(0, len(self._stdin), _PART_BYTES):
                    self._process.write(self._stdin[place : place + _PART_BYTES])
            else:
                while part := self._stdin.read(_PART_BYTES):
                    self._process.write(part)
        with contextlib.suppress(OSError, ValueError):
            self._process.close_stdin()

    def _hear(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while part := self._process.err():
                self._err += part
                if len(self._err) > 2 * _ERR_LIMIT_BYTES:
                    del self._err[:-_ERR_LIMIT_BYTES]
