"""The two ways to a host, `./ai deploy` and ansible-playbook, with nobody behind the address who could be touched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Untouched:
    """An address that listens; whoever connects to it is found out."""

    listener: socket.socket

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def was_contacted(self) -> bool:
        self.listener.setblocking(False)
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def ansible(playbook: str, *arguments: str, events: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Ansible as its users call it, from the top of the checkout; `events` is for the callback."""
    program = Path(sys.executable).with_name("ansible-playbook")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    told = {"ANSIBLE_CONFIG": str(ROOT / "ansible/ansible.cfg"), "ANSIBLE_CALLBACKS_ENABLED": "ai_events"}
    return subprocess.run(
        [program, *arguments, f"ansible/playbooks/{playbook}"],
        env=kept | ({**told, "AI_EVENTS": str(events)} if events else {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
