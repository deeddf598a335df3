"""From a name on the command line to a host that lets us in: its key known, python3 and sudo there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from ai_services.console import Screen
from ai_services.host import known_hosts
from ai_services.host.known_hosts import HostKey
from ai_services.host.ssh_errors import UnknownHostKeyError
from ai_services.host.target import Target


def reach(target: Target, screen: Screen, *, host_key: str | None) -> Target:
    """Log in once; return the target with what was learned on the way.

    A key that nobody knows is shown and asked for, or compared with `host_key`.

    Raises:
        OperatorError: the host does not let us in, or lacks what is needed; what to do about it.
    """
    if host_key and not target.is_local and target.known_hosts:
        host, port = _real_place(target)
        known_hosts.accept(target.known_hosts, host, port, pinned=host_key, ask=None)
    try:
        with screen.busy(f"Reaching {target}"):
            return target.probe()
    except UnknownHostKeyError:
        if target.known_hosts is None:
            raise
        host, port = _real_place(target)
        known_hosts.accept(target.known_hosts, host, port, pinned=None, ask=_question(target, screen))
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
