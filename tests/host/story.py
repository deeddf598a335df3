"""A host from its first day to its last, told once per session; tests read what happened."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import testinfra

from host.lab import canaries, hosts
from host.lab.deployment import Operator, Outcome
from host.lab.footprint import Footprint
from host.lab.place import Lab

# (what, seconds), in the order in which it happened: printed at the end of the session
TIMINGS: list[tuple[str, float]] = []
# a line of `./ai deploy` that ends a phase: mark, title, duration, what came of it
PHASE = re.compile(r"^✔ (?P<title>\S+(?: \S+)*) {2,}(?:(?P<minutes>\d+) min )?(?P<seconds>[\d.]+) s\b", re.MULTILINE)


@dataclass
class Deployed:
    """A host, its operator, and what was seen before, while and after it was deployed."""

    operator: Operator
    suite: str
    key: str  # opens the gateway
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    footprints: dict[str, Footprint] = field(default_factory=dict)
    leaked: dict[str, list[str]] = field(default_factory=dict)

    @property
    def lab(self) -> Lab:
        """The lab it is in."""
        return self.operator.lab

    @property
    def container(self) -> str:
        """For engine.run_in: root on the host, without SSH."""
        return self.lab.container(self.operator.host)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"https://{self.operator.domain}"

    @property
    def secrets(self) -> dict[str, str]:
        """Every secret that this host was given, by name."""
        return {
            "GHCR token": (self.lab.secrets / "ghcr_token").read_text().strip(),
            "Cloudflare token": (self.lab.secrets / "cloudflare_token").read_text().strip(),
            "Hugging Face token": (self.lab.secrets / "huggingface_token").read_text().strip(),
            "API key": self.key,
        }

    def ssh(self, *, sudo: bool = False) -> Any:
        """Testinfra's host, over SSH as the user `deployer`."""
        return testinfra.get_host(f"ssh://{self.operator.host}", ssh_config=str(self.lab.ssh_config), sudo=sudo)

    def curl(self, path: str, *options: str) -> Outcome:
        """Curl, as the documentation prints it, from this machine."""
        return self.operator.run(
            "curl", "--silent", "--show-error", "--cacert", str(self.lab.trusted), "--max-time", "120",
            "--header", f"Authorization: Bearer {self.key}", *options, f"{self.url}{path}",
        )  # fmt: skip

    def deploy(self, what: str, *options: str) -> Outcome:
        """Deploy while every process of the machine is watched for secrets; kept and timed as `what`."""
        with canaries.watching_processes(self.secrets) as findings:
            outcome = self.operator.deploy(*options)
        self.leaked[what] = findings
        self.keep(what, outcome)
        return outcome

    def keep(self, what: str, outcome: Outcome) -> Outcome:
        """Remember how something ended, and how long it took, phase by phase."""
        self.outcomes[what] = outcome
        TIMINGS.append((f"{self.suite}: {what}", outcome.seconds))
        for found in PHASE.finditer(outcome.text):
            seconds = 60 * int(found["minutes"] or 0) + float(found["seconds"])
            TIMINGS.append((f"{self.suite}: {what}: {found['title']}", seconds))
        return outcome

    def look(self, when: str) -> Footprint:
        """Take and keep a footprint."""
        self.footprints[when] = Footprint.of(self.container)
        return self.footprints[when]


def begin(
    lab: Lab, name: str, suite: str, folder: Path, *, disks_mib: Mapping[str, int] | None = None, **settings: Any
) -> Deployed:
    """A fresh host of `suite` that nothing was deployed to yet, and its operator with a key of their own."""
    hosts.remove(lab, name)
    hosts.start(lab, name, suite=suite, disks_mib=disks_mib)
    operator = Operator(lab, name, folder)
    folder.mkdir(parents=True, exist_ok=True)
    key = f"canary-{secrets.token_hex(20)}"
    keys = folder / "api_keys"
    keys.touch(mode=0o600)
    keys.write_text(key + "\n")
    operator.prepare(ai_api_keys_file=str(keys), **settings)
    return Deployed(operator, suite, key)
