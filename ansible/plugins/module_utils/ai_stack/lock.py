"""One run at a time on a host: flock on DIRECTORY/lock, and beside it in lock.json who holds it, since when and why.

A run of Ansible is many short processes on the host, so a process of its own keeps the lock: the holder. It ends, and
the kernel frees the lock with it, when it is told to, or when the run has: `life` is the number of a process on the
host that ends with the run (the action plugin sees to it). Where there is none, the holder ends when nobody has
refreshed the lock for `lease_s`. Either way a dead owner keeps nobody out, and a reboot forgets everything.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .durable import write_file
from .journal import utc_now

# Not in /opt/ai: a run holds it before that is there, and after it is gone.
DIRECTORY = Path("/run/ai-services")
ABOUT = DIRECTORY / "lock.json"
# A run that cannot be reached any more is taken for dead after so long (presence.py).
_SILENCE_S = 60
_WATCH_EVERY_S = 1.0
# Who only looks whether the lock is free has it for a moment, the doctor too.
_PATIENCE_S = 1.0
_LOOK_AGAIN_S = 0.05
# How long a change waits for the machine's own start to have brought up what serves.
_START_S = 120.0


class LockedError(Exception):
    """Somebody else is at work; `holder` is what lock.json says of them."""

    def __init__(self, holder: dict[str, Any]) -> None:
        self.holder = holder
        owner = holder.get("owner") or {}
        who = f"{owner.get('user', 'somebody')} on {owner.get('host', 'an unknown machine')}"
        super().__init__(
            f"{who} has been at work on this host since {holder.get('since', 'an unknown time')} "
            f"({holder.get('why', 'no reason given')}). Wait until that run has ended. If it died, its lock is free "
            f"{holder.get('free_after_s', '?')} s after its last sign of life at the latest."
        )


@dataclass(frozen=True)
class Lock:
    """The lock of a host; its two files are in `root`."""

    root: Path = DIRECTORY

    @property
    def _file(self) -> Path:
        return self.root / "lock"

    @property
    def _about(self) -> Path:
        return self.root / "lock.json"

    def holder(self) -> dict[str, Any] | None:
        """What lock.json says while the lock is held; None when it is free."""
        with self._opened() as descriptor:
            if _take(descriptor) or (not self._read() and _take(descriptor, patience_s=_PATIENCE_S)):
                return None
        return self._read()

    def acquire(self, token: str, owner: dict[str, Any], why: str, lease_s: int, life: int = 0) -> bool:
        """Hold the lock for `token`, or refresh it when `token` holds it already. Returns whether it is new.

        It lasts as long as the process `life`; if that is 0, until nobody has refreshed it for `lease_s`.

        Raises:
            LockedError: another token holds it.
        """
        if self.refresh(token):
            return False
        free_after_s = _SILENCE_S if life else lease_s
        holder = {"token": token, "owner": owner, "why": why, "since": utc_now(), "free_after_s": free_after_s}
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            self._become_holder(writer, holder, life, lease_s)
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
        try:
            os.utime(self._about)
        except FileNotFoundError:
            return False  # it has ended between the two looks
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

    @contextlib.contextmanager
    def change(self, token: str, owner: dict[str, Any], why: str) -> Iterator[None]:
        """Hold the lock for the block as a process that outlives whoever began it.

        Where `token` holds the lock for a whole run already, it stays that run's, and is kept until this block ends
        even if the run dies before. Else it is taken for the block alone.

        Raises:
            LockedError: another token holds it, or another change is at work.
        """
        with self._opened("change") as work:
            until = time.monotonic() + _START_S
            while not _take(work, patience_s=_PATIENCE_S):
                holder = self._read()
                # A change has a name; the machine's start, and who only looks, have none.
                if holder.get("token", token) != token or time.monotonic() >= until:
                    raise LockedError(holder)
            if self.refresh(token):
                yield
                return
            with self._opened() as descriptor:
                if not _take(descriptor, patience_s=_PATIENCE_S):
                    raise LockedError(self._read())
                about = {"token": token, "owner": owner, "why": why, "since": utc_now(), "free_after_s": 0}
                about["holder_pid"] = os.getpid()
                write_file(self._about, json.dumps(about, indent=1).encode() + b"\n", mode=0o644)
                try:
                    yield
                finally:
                    self._about.unlink(missing_ok=True)

    @contextlib.contextmanager
    def starting(self) -> Iterator[bool]:
        """Keep changes out for the block, as the machine's start does. Gives whether that was to be had.

        A run that holds the lock is not kept out: it comes to its change when this is over.
        """
        with self._opened("change") as work:
            yield _take(work, patience_s=_PATIENCE_S)

    def release(self, token: str) -> bool:
        """Free the lock that `token` holds. Returns whether there was one; another's is left alone.

        While a change that it began is still at work, it is not free: that one ends by itself.
        """
        holder = self.holder()
        if holder is None or holder.get("token") != token:
            return False
        with self._opened("change") as work:
            if not _take(work):
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
    def _opened(self, name: str = "lock") -> Iterator[int]:
        self.root.mkdir(mode=0o755, exist_ok=True)
        descriptor = os.open(self.root / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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

    def _become_holder(self, writer: int, holder: dict[str, Any], life: int, lease_s: int) -> NoReturn:
        """Fork again, away from Ansible's process group, and stay until the lock is no longer wanted."""
        try:
            os.setsid()
            if os.fork() != 0:
                os._exit(0)
            _keep_only(writer)
            descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _take(descriptor, patience_s=_PATIENCE_S):
                about = {**holder, "holder_pid": os.getpid(), "life": life}
                write_file(self._about, json.dumps(about, indent=1).encode() + b"\n", mode=0o644)
                os.write(writer, b"held")
                os.close(writer)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                self._hold(life, lease_s)
                # What the run began on the host may still be at work though the run is dead.
                with self._opened("change") as work:
                    fcntl.flock(work, fcntl.LOCK_EX)
                # The lock is still ours here: whoever finds the note beside a free lock finds the work of kill -9.
                self._about.unlink(missing_ok=True)
        finally:
            os._exit(0)

    def _hold(self, life: int, lease_s: int) -> None:
        if life:
            _wait_for_the_end_of(life)
            return
        # A lease is measured between two readings of this clock, so that a corrected wall clock ends none.
        seen_at, stamp = time.monotonic(), self._stamp()
        while time.monotonic() - seen_at < lease_s:
            time.sleep(_WATCH_EVERY_S)
            if (now := self._stamp()) != stamp:
                seen_at, stamp = time.monotonic(), now

    def _stamp(self) -> int:
        try:
            return self._about.stat().st_mtime_ns
        except OSError:
            return 0


def _wait_for_the_end_of(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel that has no such thing
        while Path(f"/proc/{pid}").exists():
            time.sleep(_WATCH_EVERY_S)
    else:
        select.select([descriptor], [], [])


def _take(descriptor: int, patience_s: float = 0) -> bool:
    until = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_LOOK_AGAIN_S)
        else:
            return True


def _keep_only(writer: int) -> None:
    """Let go of every other open file: Ansible waits until nobody holds its pipes."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208  # numbers are wanted
        number = int(name)
        if number > 2 and number != writer:
            with contextlib.suppress(OSError):
                os.close(number)
    sys.stdin = sys.stdout = sys.stderr = None
