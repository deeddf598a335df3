"""What Terraform's resources are in plain words, and which host they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

# Machines: when one goes, everything on its disks goes.
MACHINES: Final = {"proxmox_virtual_environment_vm", "digitalocean_droplet"}
_WORDS: Final = {
    "proxmox_virtual_environment_vm": "virtual machine",
    "proxmox_download_file": "cloud image on Proxmox VE",
    "proxmox_virtual_environment_download_file": "cloud image on Proxmox VE",
    "proxmox_virtual_environment_file": "first boot's settings on Proxmox VE",
    "proxmox_hardware_mapping_pci": "hardware mapping of the GPU",
    "digitalocean_droplet": "droplet",
    "digitalocean_ssh_key": "SSH key at DigitalOcean",
    "cloudflare_dns_record": "DNS record",
}
# Terraform's built-in resource stands for several things; its module and name say which.
_BUILT_IN: Final = {
    ("deployment", "deployment"): "services",
    ("deployment", "guard"): "protection of data",
    ("existing_host", "host"): "machine that is already there",
    ("host_key", "keys"): "key by which the new machine is known",
    ("host_key", "host_key"): "key by which the new machine is known",
    ("proxmox_vm", "keys"): "key by which the new machine is known",
    ("proxmox_vm", "contact"): "first contact with the new machine",
    ("digitalocean_vm", "contact"): "first contact with the new machine",
}
_HOST: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]')
_MODULE: Final = re.compile(r"module\.([\w-]+)")


@dataclass(frozen=True)
class Thing:
    """One resource: its `address`, `type` and `name` in Terraform, and the values that it has or will have."""

    address: str
    type: str
    name: str
    values: dict[str, Any]

    @property
    def host(self) -> str:
        """The host it is for, or nothing where it is for all."""
        found = _HOST.search(self.address)
        return found[1] if found else ""

    @property
    def module(self) -> str:
        """The module it lies in, or nothing."""
        found = _MODULE.findall(self.address)
        return found[-1] if found else ""

    @property
    def is_machine(self) -> bool:
        """Whether data lies on it."""
        return self.type in MACHINES

    @property
    def is_deployment(self) -> bool:
        """Whether making it is a deploy."""
        return self.type == "terraform_data" and self.module == "deployment" and self.name == "deployment"

    @property
    def is_note(self) -> bool:
        """Whether it is but a note of a machine that was there before and stays."""
        return self.type == "terraform_data" and self.module == "existing_host"

    @property
    def rank(self) -> int:
        """Where it stands among the things of its host: machines first, what is put upon them last."""
        return 0 if self.is_machine or self.is_note else 2 if self.is_deployment else 1

    @property
    def is_guard(self) -> bool:
        """Whether it stands before data: making and changing it is nobody's business, its going is refused."""
        return self.type == "terraform_data" and self.name == "guard"

    def __str__(self) -> str:
        if self.type == "terraform_data":
            return _BUILT_IN.get((self.module, self.name), f"{self.name} ({self.address})")
        what = _WORDS.get(self.type, f"{self.type} {self.name}")
        name = self.values.get("name") or self.values.get("file_name")
        content = self.values.get("content") if self.type == "cloudflare_dns_record" else None
        return what + (f" {name}" if isinstance(name, str) else "") + (f" → {content}" if content else "")


def of_address(address: str) -> Thing:
    """Return the resource of an address alone, as events name it."""
    parts = re.sub(r"\[[^\]]*\]", "", address).split(".")
    kind, name = (parts[-2], parts[-1]) if len(parts) > 1 else ("", address)
    return Thing(address, kind, name, {})
