"""What belongs together among Terraform's variables, said of every host: conditions in Terraform's own language.

`{ai_x}` in a condition stands for the host's own value, or where it has none for the single variable's.
A rule's variable may ask for others only if no rule of theirs asks back: Terraform refuses circles.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from ai_services.host.settings import HostSettings


@dataclass(frozen=True)
class Rule:
    """One validation of `variable`. `name` is unique there; `why` and `right` are the message that mends.

    `holds` is asked of each host; a rule `of_all` is asked once, and `hosts` in it is the list of all.
    """

    variable: str
    name: str
    holds: str
    why: str
    right: str
    of_all: bool = False


def _unique(variable: str, why: str) -> Rule:
    values = f"compact([for host in hosts : {{{variable}}}])"
    return Rule(
        variable, "unique", f"length({values}) == length(distinct({values}))", why,
        f"Give each host in ai_hosts {_AN.get(variable, 'a')} {variable} of its own.", of_all=True,
    )  # fmt: skip


_AN: Final = {"ai_domain": "an", "ai_address": "an", "ai_ipv6_address": "an"}
_PRIVATE: Final = HostSettings.model_fields["ai_allowed_networks"].default
_NEW_VM: Final = '{ai_machine} == "existing_host"'

RULES: Final = (
    Rule(
        "ai_domain", "needed", '({ai_tls} == "off" && {ai_dns} == "none") || {ai_domain} != null',
        "a certificate (ai_tls) and a record (ai_dns) are for a name",
        "Give a full domain name, as ai.internal.example.com.",
    ),
    _unique("ai_domain", "two hosts have the same name"),
    Rule(
        "ai_tls_certificate_file", "needed", '{ai_tls} != "own" || {ai_tls_certificate_file} != null',
        'ai_tls is "own"', "Give the path of a file with the certificate and its chain (PEM).",
    ),
    Rule(
        "ai_tls_certificate_file", "unused", '{ai_tls} == "own" || {ai_tls_certificate_file} == null',
        'it is given, but ai_tls is not "own"', 'Set ai_tls to "own", or leave it out.',
    ),
    Rule(
        "ai_tls_key_file", "needed", '{ai_tls} != "own" || {ai_tls_key_file} != null',
        'ai_tls is "own"', "Give the path of a file with the certificate's private key (PEM).",
    ),
    Rule(
        "ai_tls_key_file", "unused", '{ai_tls} == "own" || {ai_tls_key_file} == null',
        'it is given, but ai_tls is not "own"', 'Set ai_tls to "own", or leave it out.',
    ),
    Rule(
        "ai_cloudflare_token_file", "needed",
        '({ai_tls} != "letsencrypt" || {ai_cloudflare_token_file} != null) && '
        '({ai_dns} != "cloudflare_record" || var.ai_cloudflare_token_file != null)',
        "Let's Encrypt proves the domain by a record at Cloudflare (ai_tls), and the host's own record is made there "
        "with the one token of this run (ai_dns)",
        "Give the path of a file with a Cloudflare API token (permissions Zone:Read and DNS:Edit).",
    ),
    Rule(
        "ai_allowed_networks", "open_in_the_clear",
        '{ai_tls} != "off" || !contains({ai_allowed_networks}, "any")',
        'it is "any" while ai_tls is "off": keys and recordings would cross the internet in the clear',
        "Name your own networks, or use a certificate.",
    ),
    Rule(
        "ai_allowed_networks", "nobody",
        '{ai_machine} != "digitalocean_vm" || '
        f"length(setsubtract({{ai_allowed_networks}}, {json.dumps(_PRIVATE)})) > 0",
        "only private networks may reach the host, and a droplet has a public address",
        'Name the networks that you call from, as 203.0.113.0/24; "any" opens it to the internet.',
    ),
    Rule(
        "ai_github_owner", "needed",
        "({ai_gateway_image} != null && {ai_whisper_api_image} != null) || {ai_github_owner} != null",
        "the images are named after it", "Give a GitHub user or organisation, as octo-org.",
    ),
    Rule(
        "ai_ghcr_token", "twice",
        "var.ai_ghcr_token == null || alltrue([for host in hosts : {ai_ghcr_token_file} == null])",
        "it is given, and ai_ghcr_token_file too", "Keep the file.", of_all=True,
    ),
    Rule(
        "ai_address", "needed", '{ai_machine} == "digitalocean_vm" || {ai_address} != null',
        "an existing host is reached there, and a VM on Proxmox VE gets it as its static address",
        "Give an IP address, as 192.168.20.30.",
    ),
    Rule(
        "ai_address", "unused", '{ai_machine} != "digitalocean_vm" || {ai_address} == null',
        "DigitalOcean chooses the address of a droplet", "Leave it out.",
    ),
    _unique("ai_address", "two hosts have the same address"),
    Rule(
        "ai_host_key", "needed", '{ai_machine} != "existing_host" || {ai_host_key} != null',
        "no host key is taken on trust",
        "Give what `cat /etc/ssh/ssh_host_ed25519_key.pub` prints on the host itself.",
    ),
    Rule(
        "ai_host_key", "unused", '{ai_machine} == "existing_host" || {ai_host_key} == null',
        "a new VM's key is made and pinned by this run", "Leave it out.",
    ),
    Rule(
        "ai_gateway_address", "needed", '{ai_machine} != "proxmox_vm" || {ai_gateway_address} != null',
        "a VM with a static address must know its router", "Give an IP address, as 192.168.20.1.",
    ),
    Rule(
        "ai_gateway_address", "other_family",
        '{ai_gateway_address} == null || {ai_address} == null ? true : '
        'strcontains({ai_gateway_address}, ":") == strcontains({ai_address}, ":")',
        "it is of another family than ai_address", "Give both as IPv4, or both as IPv6.",
    ),
    Rule(
        "ai_gateway_address", "elsewhere",
        "{ai_gateway_address} == null || {ai_address} == null ? true : "
        'strcontains("${{ai_gateway_address}}${{ai_address}}", ":") || {ai_gateway_address} != {ai_address} && '
        'try(cidrhost("${{ai_gateway_address}}/${{ai_address_prefix}}", 0) == '
        'cidrhost("${{ai_address}}/${{ai_address_prefix}}", 0), true)',
        "it is not another address in the network of ai_address and ai_address_prefix",
        "Give the router's address there, as 192.168.20.1 for 192.168.20.30 with 24 bits.",
    ),
    Rule(
        "ai_address_prefix", "too_long",
        '{ai_address} == null ? true : strcontains({ai_address}, ":") || {ai_address_prefix} <= 32',
        "a prefix of an IPv4 network has at most 32 bits", "Give 1 to 32, as 24.",
    ),
    Rule(
        "ai_ipv6_address", "twice", '{ai_ipv6_address} == null ? true : !strcontains(coalesce({ai_address}, "-"), ":")',
        "ai_address is an IPv6 address already", "Leave it out.",
    ),
    Rule(
        "ai_ipv6_address", "unused", '{ai_machine} != "digitalocean_vm" || {ai_ipv6_address} == null',
        "DigitalOcean chooses the addresses of a droplet", "Leave it out.",
    ),
    _unique("ai_ipv6_address", "two hosts have the same address"),
    Rule(
        "ai_ssh_public_key_file", "needed",
        f'{_NEW_VM} || {{ai_ssh_public_key_file}} != null || '
        'try(fileexists(pathexpand("${{ai_ssh_key_file}}.pub")), false)',
        "a new VM lets in the owner of this key, and ai_ssh_key_file has no .pub beside it",
        "Give the path of a public key, as ~/.ssh/id_ed25519.pub.",
    ),
    Rule(
        "ai_proxmox_endpoint", "needed", '{ai_machine} != "proxmox_vm" || var.ai_proxmox_endpoint != null',
        'ai_machine is "proxmox_vm"', "Give the address of the API, as https://pve.example.com:8006/.",
    ),
    Rule(
        "ai_proxmox_token_file", "needed", '{ai_machine} != "proxmox_vm" || var.ai_proxmox_token_file != null',
        'ai_machine is "proxmox_vm"', "Give the path of a file with a token, as deploy@pve!terraform=SECRET.",
    ),
    Rule(
        "ai_proxmox_pci_mapping", "needed", "{ai_proxmox_pci_path} == null || {ai_proxmox_pci_mapping} != null",
        "ai_proxmox_pci_path is given, and the mapping that is made of it needs a name", "Give a name, as gpu0.",
    ),
    Rule(
        "ai_proxmox_pci_id", "needed", "({ai_proxmox_pci_path} == null) == ({ai_proxmox_pci_id} == null)",
        "a mapping is made of a card's PCI address and its id", "Give ai_proxmox_pci_path and ai_proxmox_pci_id both.",
    ),
    _unique("ai_proxmox_vm_id", "two VMs have the same number"),
    _unique("ai_proxmox_pci_path", "two hosts have the same card"),
    Rule(
        "ai_digitalocean_token_file", "needed",
        '{ai_machine} != "digitalocean_vm" || var.ai_digitalocean_token_file != null',
        'ai_machine is "digitalocean_vm"', "Give the path of a file with a DigitalOcean API token.",
    ),
    Rule(
        "ai_cloudflare_zone", "needed", '{ai_dns} != "cloudflare_record" || {ai_cloudflare_zone} != null',
        "the record of ai_domain is made in it", "Give the zone's name, as example.com.",
    ),
    Rule(
        "ai_cloudflare_zone", "elsewhere",
        '{ai_cloudflare_zone} == null || {ai_domain} == null ? true : '
        'endswith(".${trimsuffix(lower({ai_domain}), ".")}", ".${trimsuffix(lower({ai_cloudflare_zone}), ".")}")',
        "ai_domain is not in it", "Give the zone that ai_domain ends in.",
    ),
    _unique("ai_cloudflare_record_id", "two hosts adopt the same record"),
    Rule(
        "ai_cloudflare_ipv6_record_id", "unused",
        "{ai_cloudflare_ipv6_record_id} == null || {ai_ipv6_address} != null",
        "there is no AAAA record beside the A record without ai_ipv6_address", "Give ai_ipv6_address, or leave it out.",
    ),
)  # fmt: skip
