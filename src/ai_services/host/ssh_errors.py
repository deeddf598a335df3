"""What ssh says when it does not get through, as one sentence and the next step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ai_services.exits import BLOCKED, OperatorError

if TYPE_CHECKING:
    from ai_services.host.target import Target


class UnknownHostKeyError(OperatorError):
    """The host's key is not known to anybody yet."""


class NotYetError(OperatorError):
    """What a machine that is still starting looks like from outside; it may be another matter in a minute."""


def explain(said: str, target: Target) -> OperatorError:
    """Return the error for what ssh (or Ansible, quoting it) said on its way to `target`."""
    user = target.user or "the user of your SSH configuration"
    if re.search(r"REMOTE HOST IDENTIFICATION HAS CHANGED|Offending \w+ key in", said):
        return OperatorError(
            f"{target} has another SSH key than before: a new machine under the old name, or somebody in between.",
            hint=f"If you know that it is new: ssh-keygen -R {target.host}, then give its key: --host-key SHA256:…",
            exit_code=BLOCKED,
        )
    if re.search(r"Host key verification failed|[Nn]o .* host key is known", said):
        return UnknownHostKeyError(
            f"The SSH key of {target} is not known.", hint="Give it: --host-key SHA256:…", exit_code=BLOCKED
        )
    if re.search(r"UNPROTECTED PRIVATE KEY|bad permissions", said):
        return OperatorError(
            f"ssh does not use the key {target.key or ''}: others can read it.",
            hint=f"Close it: chmod 600 {target.key or '~/.ssh/id_*'}",
            exit_code=BLOCKED,
        )
    if re.search(r"not in .*passphrase|incorrect passphrase", said):
        return OperatorError("The SSH key asks for a passphrase.", hint="Load it: ssh-add FILE", exit_code=BLOCKED)
    for pattern, message, hint in (
        (
            r"Permission denied|Too many authentication failures",
            f"{target} does not let {user} in with the key that was offered.",
            f"Give another (--key FILE, --user NAME), or install it there: ssh-copy-id {target}",
        ),
        (
            r"Could not resolve hostname|Name or service not known|nodename nor servname",
            f"The name {target.host} leads to no address.",
            "Correct the name, or give the address.",
        ),
        (
            r"Connection refused",
            f"{target} answers, but no SSH server listens there"
            f"{f' on port {target.port}' if target.port else ' on port 22'}.",
            "Start one there (sudo systemctl enable --now ssh), or give its port: HOST:PORT",
        ),
        (
            r"timed out|Timeout|No route to host|Network is unreachable|Host is down",
            f"{target} cannot be reached: nothing answers on its SSH port.",
            f"See whether it is on and this machine may reach it: ping {target.host}",
        ),
        (
            r"Connection (?:closed|reset)|kex_exchange_identification|Broken pipe",
            f"{target} ended the SSH connection at once.",
            "Look at its log: journalctl -u ssh; a firewall or fail2ban may stand in between.",
        ),
    ):
        if re.search(pattern, said):
            return NotYetError(message, hint=hint, exit_code=BLOCKED)
    last = said.strip().splitlines()[-1] if said.strip() else "nothing"
    return OperatorError(
        f"ssh to {target} failed; it said: {last}", hint=f"See whether this works: ssh {target} true", exit_code=BLOCKED
    )
