"""Deploying to a host of the lab as an operator does: one settings file, `./ai`, and the lab's names."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from host.lab import hosts, internet, names, stores
from host.lab.configuration import GITHUB_USER
from host.lab.place import ACME, DOMAIN, INTERNET_NUMBER, REPOSITORY, Lab, address

# The model that the hub of the lab has.
WHISPER_MODEL = "tiny.en"


@dataclass
class Outcome:
    """How a command ended: its exit status, everything it printed, and how long it took."""

    status: int
    text: str
    seconds: float


@dataclass
class Operator:
    """Somebody with a checkout, an AI_HOME of their own, and one host to look after."""

    lab: Lab
    host: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def domain(self) -> str:
        """The name under which the host serves."""
        return f"ai-{self.host}.{DOMAIN}"

    @property
    def config(self) -> Path:
        """The operator's ai.yml."""
        return self.folder / "ai.yml"

    @property
    def home(self) -> Path:
        """AI_HOME: logs, accepted host keys."""
        return self.folder / "home"

    def prepare(self, **more: Any) -> None:
        """Point the domain to the host and write ai.yml; `more` are further settings, None leaves one out."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = hosts.address_of(self.lab, self.host)
        server = address(internet.network_of(self.lab), INTERNET_NUMBER)
        names.point(self.lab, server, self.domain.removesuffix(f".{DOMAIN}"), own)
        self.settings = {name: value for name, value in (self._usual() | more).items() if value is not None}
        self.config.write_text(yaml.safe_dump(self.settings))

    def ai(self, *words: str, environment: Mapping[str, str] | None = None, timeout_s: float = 1200) -> Outcome:
        """Run `./ai WORDS` in the lab, with the host's real key pinned where a host is named."""
        return self.run(str(REPOSITORY / "ai"), *words, environment=environment, timeout_s=timeout_s)

    def deploy(self, *options: str, environment: Mapping[str, str] | None = None) -> Outcome:
        """`./ai deploy` of this operator's host and settings."""
        return self.ai("deploy", *self.target(), "--config", str(self.config), *options, environment=environment)

    def target(self) -> list[str]:
        """The words that name the host, how to log in, and which key it must have."""
        own = hosts.address_of(self.lab, self.host)
        pinned = next(
            line.split(" ", 1)[1]
            for line in self.lab.known_hosts.read_text().splitlines()
            if own in line.split(" ")[0].split(",") and "ed25519" in line
        )
        target = f"{hosts.USER}@{self.lab.fqdn(self.host)}"
        return [target, "--key", str(self.lab.ssh_key), "--host-key", pinned]

    def run(self, *command: str, environment: Mapping[str, str] | None = None, timeout_s: float = 1200) -> Outcome:
        """Run any command on this machine, with the lab's names."""
        begun = time.monotonic()
        done = subprocess.run(
            self.lab.inside(list(command)), cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, errors="replace", timeout=timeout_s, check=False,
            env={**os.environ, "AI_HOME": str(self.home), "NO_COLOR": "1", **(environment or {})},
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, time.monotonic() - begun)

    def _usual(self) -> dict[str, Any]:
        return {
            "ai_domain": self.domain,
            "ai_github_owner": GITHUB_USER,
            "ai_ghcr_token_file": str(self.lab.secrets / "ghcr_token"),
            "ai_cloudflare_token_file": str(self.lab.secrets / "cloudflare_token"),
            "ai_huggingface_token_file": str(self.lab.secrets / "huggingface_token"),
            "ai_acme_directory": f"https://{ACME}/dir",
            "ai_acme_email": f"operator@{DOMAIN}",
            "ai_dns_propagation_s": 2,
            "ai_extra_ca_file": str(self.lab.trusted),
            "ai_repository_fingerprints": [(self.lab.folder / "repository_fingerprint").read_text().strip()],
            "ai_whisper_model": WHISPER_MODEL,
            "ai_ollama_model": stores.MODEL,
        }
