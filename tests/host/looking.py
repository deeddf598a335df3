"""A look at a host of the lab, as `./ai migrate` takes it: with its deployer's account, over SSH.

AI_RECORD_LOOKS=1 keeps what was seen in tests/migrate/recorded, one file a kind of old host.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ai_services.host.known_hosts import KnownHosts
from ai_services.host.remote import Remote
from ai_services.host.target import Target
from ai_services.migrate.look import look
from host.lab import hosts
from host.lab.place import Lab

RECORDED = Path(__file__).resolve().parents[1] / "migrate" / "recorded"


def look_at(lab: Lab, name: str, kind: str) -> dict[str, Any]:
    """What a look at the host brings back."""
    target = Target(hosts.address_of(lab, name), hosts.USER, None, lab.ssh_key, KnownHosts(lab.known_hosts))
    with Remote.open(target) as remote:
        seen = look(remote)
    if os.environ.get("AI_RECORD_LOOKS"):
        RECORDED.mkdir(parents=True, exist_ok=True)
        (RECORDED / f"{kind}.json").write_text(json.dumps(seen, indent=1) + "\n")
    return seen
