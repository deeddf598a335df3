"""One run at a time on a host: flock on /opt/ai/lock, and beside it in lock.json who holds it, since when and why.

A run of Ansible is many short processes on the host, so a process of its own keeps the lock: the holder. It ends, and
the kernel frees the lock with it, when it is told to, when the SSH session of its owner ends, or when nobody has
refreshed it for `lease_s`: a dead owner keeps nobody out.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .durable import write_file
from .journal import utc_now

_WATCH_EVERY_S = 1.0


class LockedError(Exception):
    """Somebody else is at work; `holder` is what lock.json says of them."""

    def __init__(self, holder: dict[str, Any]) -> None:
        self.holder = holder
        owner = holder.get("owner") or {}
        who = f"{owner.get('user', 'somebody')} on {owner.get('host', 'an unknown machine')}"
        super().__init__(
            f"{who} has been at work on this host since {holder.get('since', 'an unknown time')} "
            f"({holder.get('why', 'no reason given')}). Wait until that run has ended. If it died, its lock is free "
            f"{holder.get('lease_s', '?')} s after its last sign of life at the latest."
        )


@dataclass(frozen=True)
class Lock:
    """The lock of the installation in directory `root`."""

    root: Path

    @property
    def _file(self) -> Path:
        return self.root / "lock"

    @property
    def _about(self) -> Path:
        return self.root / "lock.json"

    def holder(self) -> dict[str, Any] | None:
        """What lock.json says while the lock is held; None when it is free."""
        with self._opened() as descriptor:
            if _take(descriptor):
                return None
        return self._read()

    def acquire(self, token: str, owner: dict[str, Any], why: str, lease_s: int) -> bool:
        """Hold the lock for `token`, or refresh it when `token` holds it already. Returns whether it is new.

        Raises:
            LockedError: another token holds it.
        """
        if self.refresh(token):
            return False
        holder = {"token": token, "owner": owner, "why": why, "since": utc_now(), "lease_s": lease_s}
        session = _session_of_owner()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._become_holder(writer, holder, session, lease_s)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as answer:
            if answer.read() != b"held":
                raise LockedError(self._read() or {})
        return True

    def refresh(self, token: str) -> bool:
        """Whether `token` holds the lock; if it does, its lease begins anew.

        Raises:
            LockedError: another token holds it.
        """
        holder = self.holder()
        if holder is None:
            return False
        if holder.get("token") != token:
            raise LockedError(holder)
        os.utime(self._about)
        return True

    @contextlib.contextmanager
    def held_now(self, token: str) -> Iterator[None]:
        """Hold the lock for the block, whether `token` holds it for a whole run already or nobody does.

        Raises:
            LockedError: another token holds it.
        """
        if self.refresh(token):
            yield
            return
        with self._opened() as descriptor:
            if not _take(descriptor):
                raise LockedError(self._read())
            yield

    def release(self, token: str) -> bool:
        """Free the lock that `token` holds. Returns whether there was one; another's is left alone."""
        holder = self.holder()
        if holder is None or holder.get("token") != token:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(holder["holder_pid"]), signal.SIGTERM)
        with self._opened() as descriptor:
            # The holder ends at once; this waits for exactly that, and not for a guess of how long it takes.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whatever lies there with the lock free was left by a run that died: the doctor says so.
            self._about.unlink(missing_ok=True)
        return True

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self) -> dict[str, Any]:
        try:
            found = json.loads(self._about.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _become_holder(self, writer: int, holder: dict[str, Any], session: int | None, lease_s: int) -> NoReturn:
        """Fork again, away from Ansible's process group, and stay until the lock is no longer wanted."""
        try:
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
            _keep_only(writer)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _take(descriptor):
                about = {**holder, "holder_pid": os.getpid()}
                write_file(self._about, json.dumps(about, indent=1).encode() + b"\n", mode=0o644)
                os.write(writer, b"held")
                os.close(writer)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                self._hold(session, lease_s)
        finally:
            os._exit(0)

    def _hold(self, session: int | None, lease_s: int) -> None:
        # A lease is measured between two readings of this clock, so that a corrected wall clock ends none.
        seen_at, stamp = time.monotonic(), self._stamp()
        while time.monotonic() - seen_at < lease_s:
            if session is not None and not Path(f"/proc/{session}").exists():
                return
            time.sleep(_WATCH_EVERY_S)
            if (now := self._stamp()) != stamp:
                seen_at, stamp = time.monotonic(), now

    def _stamp(self) -> int:
        try:
            return self._about.stat().st_mtime_ns
        except OSError:
            return 0


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _keep_only(writer: int) -> None:
    """Let go of every other open file: Ansible waits until nobody holds its pipes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        number = int(name)
        if number > 2 and number != writer:
            with contextlib.suppress(OSError):
                os.close(number)
    sys.stdin = sys.stdout = sys.stderr = None


def _session_of_owner() -> int | None:
    """The SSH daemon's process that serves the owner's connection; None when the run came another way."""
    pid = os.getppid()
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        name = status[status.index("(") + 1 : status.rindex(")")]
        if name.startswith("sshd"):
            return pid
        pid = int(status[status.rindex(")") + 2 :].split()[1])
    return None
