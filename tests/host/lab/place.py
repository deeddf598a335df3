"""Where a lab lives: its names, its network, its folder on this machine."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOMAIN = "lab.test"
REPOSITORY = Path(__file__).resolve().parents[3]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-services-ci"
# what all labs of a machine share: the certificate authority, the daemon's pid
MACHINE = CACHE / "lab"

INTERNET = "internet"
INTERNET_NUMBER = 2
FIRST_HOST_NUMBER = 10

# Names of the outside world that are played by `internet`. The Debian mirror joins them (see `mirror`), with a cache.
GHCR = "ghcr.io"
DOCKER_HUB = "registry-1.docker.io"
OLLAMA_REGISTRY = "registry.ollama.ai"
# where that registry sends for the blobs themselves; the client insists on being sent elsewhere
OLLAMA_BLOBS = "dd20bb891979d25aebc8bec07b2b3bbc.r2.cloudflarestorage.com"
HUGGING_FACE = "huggingface.co"
HUGGING_FACE_CDN = "cdn-lfs.huggingface.co"
CLOUDFLARE = "api.cloudflare.com"
ACME = f"acme.{DOMAIN}"
REPOSITORY_HOSTS = ("download.docker.com", "developer.download.nvidia.com", "nvidia.github.io")
PLAYED = (
    GHCR,
    DOCKER_HUB,
    OLLAMA_REGISTRY,
    OLLAMA_BLOBS,
    HUGGING_FACE,
    HUGGING_FACE_CDN,
    CLOUDFLARE,
    *REPOSITORY_HOSTS,
)


class LabError(RuntimeError):
    """Something the lab needs is missing or failed; the message says what and what to do."""


def remark(text: str) -> None:
    """Tell the person in front, on standard error: standard output is for answers."""
    print(f"lab: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Lab:
    """One lab, by name."""

    name: str

    @classmethod
    def called(cls, name: str | None = None) -> Lab:
        """The lab `name`, or the one that AI_LAB names, or `default`.

        Raises:
            LabError: the name cannot be part of container names.
        """
        chosen = name or os.environ.get("AI_LAB") or "default"
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,20}", chosen):
            raise LabError(f"{chosen!r} is no name for a lab: up to 21 of a-z, 0-9 and -")
        return cls(chosen)

    @property
    def network(self) -> str:
        """The Docker network's name."""
        return f"ailab-{self.name}"

    @property
    def folder(self) -> Path:
        """Keys, inventory and configuration of this lab (0700: secrets are in it)."""
        return CACHE / "labs" / self.name

    def container(self, host: str) -> str:
        """The name of a host's container."""
        return f"ailab-{self.name}-{host}"

    def fqdn(self, host: str) -> str:
        """The name under which a host answers in this lab."""
        return f"{host}.{DOMAIN}"

    def inside(self, command: Sequence[str]) -> list[str]:
        """`command`, wrapped so that it runs on this machine with the lab's names."""
        bind = f'mount --bind {shlex.quote(str(self.resolv_conf))} /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", bind, "lab", *command]

    # files in `folder` ------------------------------------------------------------------------------------------

    @property
    def resolv_conf(self) -> Path:
        """What /etc/resolv.conf says inside this lab."""
        return self.folder / "resolv.conf"

    @property
    def ssh_key(self) -> Path:
        """The private key that opens the hosts, as user `deployer`."""
        return self.folder / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' real keys, read from their disks."""
        return self.folder / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`."""
        return self.folder / "ssh_config"

    @property
    def inventory(self) -> Path:
        """For `ansible-playbook -i`."""
        return self.folder / "inventory.yml"

    @property
    def trusted(self) -> Path:
        """The certificates to trust in this lab: what ai_extra_ca_file names."""
        return self.folder / "trusted.pem"

    @property
    def secrets(self) -> Path:
        """Token files: ghcr_token, cloudflare_token, huggingface_token."""
        return self.folder / "secrets"


def address(network: ipaddress.IPv4Network, number: int) -> str:
    """The `number`th address of a lab's network."""
    return str(network[number])
