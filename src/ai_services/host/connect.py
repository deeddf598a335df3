"""From a name on the command line to a host that lets us in: its key known, python3 and sudo there."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import known_hosts
from ai_services.host.known_hosts import HostKey
from ai_services.host.phases import HEARTBEAT_S, duration
from ai_services.host.ssh_errors import NotYetError, UnknownHostKeyError
from ai_services.host.target import Target

# Between two tries; nothing tells from outside when a machine has started.
_PAUSE_S: Final = 2.0


def reach(target: Target, screen: Screen, *, host_key: str | None, wait_s: float = 0) -> Target:
    """Log in once; return the target with what was learned on the way.

    A key that nobody knows is shown and asked for, or compared with `host_key`. A machine that is still starting is
    tried again for `wait_s` seconds; another key than the expected one is refused at once.

    Raises:
        OperatorError: the host does not let us in, or lacks what is needed; what to do about it.
    """
    if not wait_s:
        return _reach(target, screen, host_key)
    waiting = _Waiting(target, screen, wait_s)
    while True:
        with screen.busy(waiting.words):
            try:
                found = _reach(target, None, host_key)
            except NotYetError as error:
                waiting.note(error)
                time.sleep(_PAUSE_S)
            else:
                waiting.end()
                return found


@dataclass
class _Waiting:
    """How long a machine has been waited for, and what kept it away so far."""

    target: Target
    screen: Screen
    wait_s: float
    begun: float = field(default_factory=time.monotonic)
    reason: str = ""
    said_at: float = -HEARTBEAT_S

    @property
    def words(self) -> str:
        return f"Waiting for {self.target}: {duration(self._elapsed)} of {duration(self.wait_s)}. {self.reason}"

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self.begun

    def note(self, error: NotYetError) -> None:
        """Say why it is not there yet, now and then.

        Raises:
            OperatorError: it was waited for long enough.
        """
        if self._elapsed + _PAUSE_S > self.wait_s:
            raise OperatorError(
                f"{self.target} did not let us in within {duration(self.wait_s)}. {error.message}",
                hint=error.hint,
                exit_code=BLOCKED,
            ) from None
        changed, self.reason = error.message != self.reason, error.message
        if not self.screen.live and (changed or self._elapsed - self.said_at >= HEARTBEAT_S):
            self.said_at = self._elapsed
            self.screen.say(self.words)

    def end(self) -> None:
        if self.reason:
            self.screen.done(f"{self.target} answers, after {duration(self._elapsed)}.")


def _reach(target: Target, screen: Screen | None, host_key: str | None) -> Target:
    if host_key and not target.is_local and target.known_hosts:
        host, port = _real_place(target)
        known_hosts.accept(target.known_hosts, host, port, pinned=host_key, ask=None)
    try:
        return _probe(target, screen)
    except UnknownHostKeyError:
        if target.known_hosts is None or host_key:
            raise
        host, port = _real_place(target)
        ask = _question(target, screen) if screen else None
        known_hosts.accept(target.known_hosts, host, port, pinned=None, ask=ask)
    return _probe(target, screen)


def _probe(target: Target, screen: Screen | None) -> Target:
    if screen is None:
        return target.probe()
    with screen.busy(f"Reaching {target}"):
        return target.probe()


def _question(target: Target, screen: Screen) -> Callable[[HostKey], bool] | None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def ask(key: HostKey) -> bool:
        screen.warn(f"The SSH key of {target} is not known yet. It offers {key.kind} {key.fingerprint}")
        screen.say("  Compare, on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
        return input("Is that its key? (yes/no) ").strip().lower() == "yes"

    return ask


def _real_place(target: Target) -> tuple[str, int | None]:
    """Return host and port as SSH's own configuration has them: HOST may be an alias in ~/.ssh/config."""
    words = ["ssh", "-G", *(["-p", str(target.port)] if target.port else []), "--", target.host]
    try:
        said = subprocess.run(words, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return target.host, target.port
    values = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    port = int(values.get("port", "22"))
    return values.get("hostname", target.host), None if port == 22 else port
