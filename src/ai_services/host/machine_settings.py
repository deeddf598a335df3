"""Every `ai_*` variable of the machine under a host, and of its name: what Terraform needs beside the host's settings.

Made from it: terraform/variables.tf, terraform/hosts.tf and the inputs in docs/terraform-reference.md.
Kinds and documents are those of `ai_services.host.settings`.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict
from typing_extensions import override

from ai_services.host.settings import setting
from ai_services.host.settings_kinds import Choice, Domain, File, Flag, Kind, Several, Text, Url, Whole, shown, wrong

_MACHINE, _NETWORK, _LOGIN = "Machine", "Network", "Login"
_PROXMOX, _CLOUD, _CLOUDFLARE = "Proxmox VE", "DigitalOcean", "Cloudflare"

MACHINES: Final = ("proxmox_vm", "existing_host", "digitalocean_vm")
NAMES: Final = ("cloudflare_record", "none")

# What providers and this whole run are told, and no single host: not to be found in ai_hosts.
FOR_ALL: Final = frozenset(
    {
        "ai_ghcr_token",
        "ai_protect_data",
        "ai_proxmox_endpoint",
        "ai_proxmox_token_file",
        "ai_proxmox_insecure",
        "ai_digitalocean_token_file",
    }
)

# Debian 13's image of one day: a dated address never changes what it holds. `generic`, not `genericcloud`, whose
# kernel has no DRM and so no NVIDIA driver.
_IMAGE_OF: Final = "20260914-2601"
IMAGE_URL: Final = f"https://cloud.debian.org/images/cloud/trixie/{_IMAGE_OF}/debian-13-generic-amd64-{_IMAGE_OF}.qcow2"
IMAGE_CHECKSUM: Final = (
    "a733e7d49442a03e70d03e4eb5aaf3967f3efc69ef70952f9bb10fc1ee2c4876"
    "eb95956b5ad2d31350e5fada768feb651352535fb8cd1233f61998a5a7d2e93c"
)


@dataclass(frozen=True)
class Address(Kind):
    """One IP address of a family: 4, 6, or 0 for either."""

    family: int = 0

    @override
    def read(self, value: object) -> str:
        try:
            found = ipaddress.ip_address(str(value))
        except ValueError:
            raise wrong(f"{shown(value)} is not an IP address", f"Give {self.words()}.") from None
        if self.family and found.version != self.family:
            raise wrong(f"{shown(value)} is an IPv{found.version} address", f"Give {self.words()}.")
        return str(found)

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "format": {4: "ipv4", 6: "ipv6"}.get(self.family, "ip")}

    @override
    def words(self) -> str:
        return {
            4: "an IPv4 address, as 192.168.20.30",
            6: "an IPv6 address, as 2001:db8::30",
        }.get(self.family, "an IP address, as 192.168.20.30 or 2001:db8::30")


KeyLine = Text(
    "a host's public key or its fingerprint",
    r"(?:(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) [A-Za-z0-9+/]{40,900}={0,2}(?: [^\n]*)?"
    r"|SHA256:[A-Za-z0-9+/]{43}=?)",
    "ssh-ed25519 AAAA… (/etc/ssh/ssh_host_ed25519_key.pub)",
    optional=True,
)


RecordId = Text("a record's id of 32 hex digits", r"[0-9a-f]{32}", "023e105f4ecef8ad9ca31a8372d0c353", optional=True)


class MachineSettings(BaseModel):
    """What an operator decides about the machine under one host, and about its name."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)

    ai_machine: Annotated[Literal["proxmox_vm", "existing_host", "digitalocean_vm"], Choice(*MACHINES)] = setting(
        "proxmox_vm",
        "Where the machine comes from: a new VM on Proxmox VE, a host that is already there, or a droplet with a GPU.",
        _MACHINE, "terraform",
    )  # fmt: skip
    ai_dns: Annotated[Literal["cloudflare_record", "none"], Choice(*NAMES)] = setting(
        "cloudflare_record",
        "Who makes ai_domain point to the machine: a record at Cloudflare, or none: you do.",
        _MACHINE,
        "terraform",
    )
    ai_vm_cores: Annotated[int, Whole(1, 512, "cores")] = setting(
        8, "Processor cores of a VM on Proxmox VE.", _MACHINE, "terraform"
    )
    ai_vm_memory_mib: Annotated[int, Whole(4096, 4 << 20, "MiB")] = setting(
        16384, "Memory of a VM on Proxmox VE.", _MACHINE, "terraform"
    )
    ai_vm_disk_gib: Annotated[int, Whole(32, 65536, "GiB")] = setting(
        100, "Disk of a VM on Proxmox VE; it may grow later and never shrink.", _MACHINE, "terraform"
    )
    ai_protect_data: Annotated[bool, Flag()] = setting(
        True,
        "Whether destroying or replacing a machine that bears data is refused; false lifts it for this run.",
        _MACHINE, "terraform",
    )  # fmt: skip

    ai_address: Annotated[str | None, Address(optional=True)] = setting(
        None, "Address of the machine: the one it has (existing_host), or the static one it gets (proxmox_vm).",
        _NETWORK, "terraform", required="unless ai_machine is digitalocean_vm", example="192.168.20.30",
    )  # fmt: skip
    ai_address_prefix: Annotated[int, Whole(1, 128, "bits")] = setting(
        24, "Length of the network's prefix at ai_address, for a VM on Proxmox VE.", _NETWORK, "terraform"
    )
    ai_gateway_address: Annotated[str | None, Address(optional=True)] = setting(
        None, "Router of that network, of the same family as ai_address.",
        _NETWORK, "terraform", required="if ai_machine is proxmox_vm", example="192.168.20.1",
    )  # fmt: skip
    ai_ipv6_address: Annotated[str | None, Address(6, optional=True)] = setting(
        None, "A second address, for an AAAA record beside the A record.", _NETWORK, "terraform", example="2001:db8::30"
    )
    ai_ipv6_prefix: Annotated[int, Whole(1, 128, "bits")] = setting(
        64, "Length of the network's prefix at ai_ipv6_address.", _NETWORK, "terraform"
    )
    ai_ipv6_gateway_address: Annotated[str | None, Address(6, optional=True)] = setting(
        None, "Router for ai_ipv6_address; none: routers announce themselves.", _NETWORK, "terraform"
    )
    ai_name_servers: Annotated[list[str], Several(Address())] = setting(
        [], "DNS servers that a VM on Proxmox VE asks; empty: ai_gateway_address.", _NETWORK, "terraform"
    )

    ai_ssh_user: Annotated[str, Text("a user name", r"[a-z_][a-z0-9_-]{0,31}", "deployer")] = setting(
        "deployer", "User who logs in to deploy; a new VM gets it, with sudo.", _LOGIN, "terraform"
    )
    ai_ssh_key_file: Annotated[str | None, File("an SSH private key", "PRIVATE KEY", private=True, optional=True)] = (
        setting(
            None, "Private key to log in with; none: what ssh finds by itself (agent, ~/.ssh/config).",
            _LOGIN, "terraform", secret=True, example="~/.ssh/id_ed25519",
        )
    )  # fmt: skip
    ai_ssh_public_key_file: Annotated[str | None, File("an SSH public key", " ", optional=True)] = setting(
        None, "Public key that may log in to a new VM; none: ai_ssh_key_file with .pub.",
        _LOGIN, "terraform", required="for a new VM, unless ai_ssh_key_file has a .pub beside it",
        example="~/.ssh/id_ed25519.pub",
    )  # fmt: skip
    ai_host_key: Annotated[str | None, KeyLine] = setting(
        None, "SSH key that the existing host must show; a new VM's is made and pinned.",
        _LOGIN, "terraform", required="if ai_machine is existing_host", example="ssh-ed25519 AAAA…",
    )  # fmt: skip
    ai_ssh_wait_s: Annotated[int, Whole(0, 7200, "seconds")] = setting(
        600, "How long to wait for a machine to answer on SSH with the expected key.", _LOGIN, "terraform"
    )

    ai_proxmox_endpoint: Annotated[str | None, Url(optional=True)] = setting(
        None, "Address of the Proxmox VE API.", _PROXMOX, "terraform",
        required="if ai_machine is proxmox_vm", example="https://pve.example.com:8006/",
    )  # fmt: skip
    ai_proxmox_token_file: Annotated[
        str | None, File("a Proxmox VE API token (USER@REALM!NAME=SECRET)", "!", private=True, optional=True)
    ] = setting(
        None, "File with the API token.", _PROXMOX, "terraform",
        secret=True, required="if ai_machine is proxmox_vm", example="~/.secrets/proxmox-token",
    )  # fmt: skip
    ai_proxmox_insecure: Annotated[bool, Flag()] = setting(
        False, "Whether a certificate of the API that nobody vouches for is accepted.", _PROXMOX, "terraform"
    )
    ai_proxmox_node: Annotated[str, Text("a node's name", r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?", "pve")] = (
        setting("pve", "Node of the cluster on which the VM runs.", _PROXMOX, "terraform")
    )
    ai_proxmox_vm_id: Annotated[int | None, Whole(100, 999_999_999, optional=True)] = setting(
        None, "Number of the VM; none: the next free one.", _PROXMOX, "terraform", example=120
    )
    ai_proxmox_storage: Annotated[str, Text("a storage's name", r"[A-Za-z][A-Za-z0-9._-]{0,99}", "local-lvm")] = (
        setting("local-lvm", "Storage of the VM's disk.", _PROXMOX, "terraform")
    )
    ai_proxmox_image_storage: Annotated[str, Text("a storage's name", r"[A-Za-z][A-Za-z0-9._-]{0,99}", "local")] = (
        setting("local", "Storage of the cloud image and of the first boot's settings; content import and iso.",
                _PROXMOX, "terraform")
    )  # fmt: skip
    ai_proxmox_bridge: Annotated[str, Text("a bridge's name", r"[A-Za-z][A-Za-z0-9_.-]{0,14}", "vmbr0")] = setting(
        "vmbr0", "Bridge that the VM's network card is on.", _PROXMOX, "terraform"
    )
    ai_proxmox_vlan: Annotated[int | None, Whole(1, 4094, optional=True)] = setting(
        None, "VLAN of that card; none: untagged.", _PROXMOX, "terraform"
    )
    ai_proxmox_pci_mapping: Annotated[
        str | None, Text("a hardware mapping's name", r"[A-Za-z][A-Za-z0-9_-]{1,99}", "gpu0", optional=True)
    ] = setting(
        None, "Hardware mapping (Datacenter, Resource Mappings) of the GPU that is passed through; none: no GPU.",
        _PROXMOX, "terraform", example="gpu0",
    )  # fmt: skip
    ai_proxmox_pci_path: Annotated[
        str | None,
        Text("a PCI address without function", r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}", "0000:01:00", optional=True),
    ] = setting(
        None, "PCI address of the GPU, to have that mapping made; none: the mapping is there already.",
        _PROXMOX, "terraform", example="0000:01:00",
    )  # fmt: skip
    ai_proxmox_pci_id: Annotated[
        str | None, Text("a PCI id", r"[0-9a-f]{4}:[0-9a-f]{4}", "10de:13f1", optional=True)
    ] = setting(
        None, "PCI id (vendor:device, as lspci -nn prints it) of the card at ai_proxmox_pci_path.",
        _PROXMOX, "terraform", required="with ai_proxmox_pci_path", example="10de:13f1",
    )  # fmt: skip
    ai_image_url: Annotated[str, Url()] = setting(
        IMAGE_URL, "Cloud image of a VM on Proxmox VE; an address whose content never changes.", _PROXMOX, "terraform"
    )
    ai_image_checksum: Annotated[str, Text("a SHA-512 checksum of 128 hex digits", r"[0-9a-f]{128}", "a733…e93c")] = (
        setting(IMAGE_CHECKSUM, "SHA-512 checksum of that image.", _PROXMOX, "terraform")
    )

    ai_digitalocean_token_file: Annotated[
        str | None, File("a DigitalOcean API token", private=True, optional=True)
    ] = setting(
        None, "File with the DigitalOcean API token.", _CLOUD, "terraform",
        secret=True, required="if ai_machine is digitalocean_vm", example="~/.secrets/digitalocean-token",
    )  # fmt: skip
    ai_digitalocean_region: Annotated[str, Text("a region", r"[a-z]{3}[0-9]", "tor1")] = setting(
        "tor1", "Region of the droplet; GPUs are not in all of them.", _CLOUD, "terraform"
    )
    ai_digitalocean_size: Annotated[
        str, Text("a droplet size", r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+", "gpu-4000adax1-20gb")
    ] = setting("gpu-4000adax1-20gb", "Size of the droplet; those with a GPU begin with gpu-.", _CLOUD, "terraform")
    ai_digitalocean_image: Annotated[str, Text("a droplet image", r"[a-z0-9][a-z0-9-]{1,99}", "ubuntu-24-04-x64")] = (
        setting("ubuntu-24-04-x64", "Image of the droplet.", _CLOUD, "terraform")
    )

    ai_cloudflare_zone: Annotated[str | None, Domain(optional=True, example="example.com")] = setting(
        None, "Zone at Cloudflare that ai_domain is in.", _CLOUDFLARE, "terraform",
        required="if ai_dns is cloudflare_record", example="example.com",
    )  # fmt: skip
    ai_cloudflare_record_id: Annotated[
        str | None, RecordId
    ] = setting(
        None, "Existing record of ai_domain that is adopted and then kept; none: there must be none yet.",
        _CLOUDFLARE, "terraform",
    )  # fmt: skip
    ai_cloudflare_ipv6_record_id: Annotated[
        str | None, RecordId
    ] = setting(
        None, "The same for the AAAA record of ai_ipv6_address.", _CLOUDFLARE, "terraform",
    )  # fmt: skip
    ai_dns_ttl_s: Annotated[int, Whole(60, 86400, "seconds")] = setting(
        300, "How long resolvers may keep the record.", _CLOUDFLARE, "terraform"
    )
