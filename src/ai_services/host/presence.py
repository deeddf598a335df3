"""Shows a host that a run of Ansible is alive: a process over there that ends when the run does.

Started by the action `ai_release` as a process of its own: `python presence.py RUN_PID CONTROL_PATH`. It opens one
session over the SSH connection that Ansible has already, has a process wait there, and prints that one's number. When
the run ends, however it ends, the session is closed and the process over there ends at once. When the network is gone,
it ends after SILENCE_S without a sign of life. So a lock that watches it dies with its owner.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from typing import Final

BEAT_S: Final = 10.0
SILENCE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.5
# No quotation marks of either kind but these: it goes through the login shell of the host.
_THERE: Final = (
    "import os,select; print(os.getpid(),flush=True)\n"
    f"while select.select([0],[],[],{SILENCE_S:.0f})[0] and os.read(0,9): pass"
)


def main(run_pid: int, control_path: str) -> None:
    """Be present until the run with this number has ended, or the connection has."""
    words = ["ssh", "-F", "/dev/null", "-S", control_path, "-o", "ControlMaster=no", "-o", "BatchMode=yes", "-T"]
    # No name is asked for where a connection is there; where it is gone, this one leads nowhere.
    words += ["run.invalid", f"exec python3 -c '{_THERE}'"]
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as session:
        assert session.stdin is not None  # noqa: S101  (asked for one line above)
        assert session.stdout is not None  # noqa: S101  (the same)
        sys.stdout.write(session.stdout.readline().decode())
        # Whoever reads that waits for the end of our output no longer than that.
        sys.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            while session.poll() is None and not ended(run_pid, BEAT_S):
                session.stdin.write(b".")
                session.stdin.flush()
            session.stdin.close()


def ended(pid: int, within_s: float) -> bool:
    """Whether a process ends within that time; one that is gone already has."""
    try:
        if not hasattr(os, "pidfd_open"):
            return _ended_by_looking(pid, within_s)
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], within_s)[0])
    finally:
        os.close(descriptor)


def _ended_by_looking(pid: int, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        os.kill(pid, 0)
        time.sleep(_LOOK_EVERY_S)
    return False


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
