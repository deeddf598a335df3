"""Terraform's own unit test of each validation: terraform/tests/refusals_*.tftest.hcl.

One run per validation, called after it, with one value that breaks it and nothing else. Three files, so that they can
be run side by side.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, Final

from ai_services.host.hcl_rules import literal
from ai_services.host.machine_settings import FOR_ALL, Address
from ai_services.host.settings_kinds import Branch, Choice, Domain, File, Kind, Networks, Several, Text, Url, Whole
from ai_services.host.terraform_files import MADE, Validation, all_variables, formatted, machine_variables, validations

_FILES: Final = "tests/files"
HOST_KEY: Final = f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'J' + '0' * 42}"

# What is right with everything: an existing host, nobody's record.
GOOD: Final[dict[str, Any]] = {
    "ai_machine": "existing_host",
    "ai_dns": "none",
    "ai_domain": "ai.example.com",
    "ai_address": "192.0.2.1",
    "ai_host_key": HOST_KEY,
    "ai_github_owner": "octo-org",
    "ai_cloudflare_token_file": f"{_FILES}/token",
}
# What a new VM needs beside that, and what it must not be given.
_PROXMOX: Final[dict[str, Any]] = {
    "ai_machine": "proxmox_vm",
    "ai_host_key": None,
    "ai_gateway_address": "192.0.2.254",
    "ai_ssh_public_key_file": f"{_FILES}/key.pub",
    "ai_proxmox_endpoint": "https://pve.example.com:8006/",
    "ai_proxmox_token_file": f"{_FILES}/proxmox-token",
}
_DROPLET: Final[dict[str, Any]] = {
    "ai_machine": "digitalocean_vm",
    "ai_host_key": None,
    "ai_address": None,
    "ai_ssh_public_key_file": f"{_FILES}/key.pub",
    "ai_digitalocean_token_file": f"{_FILES}/token",
    "ai_allowed_networks": ["203.0.113.0/24"],
}
_OWN: Final[dict[str, Any]] = {
    "ai_tls": "own",
    "ai_tls_certificate_file": f"{_FILES}/certificate.pem",
    "ai_tls_key_file": f"{_FILES}/key",
}
_CLOUDFLARE: Final[dict[str, Any]] = {"ai_dns": "cloudflare_record", "ai_cloudflare_zone": "example.com"}
_TWO: Final[dict[str, Any]] = {
    "ai_hosts": {
        "one": {"ai_domain": "one.example.com", "ai_address": "192.0.2.11"},
        "two": {"ai_domain": "two.example.com", "ai_address": "192.0.2.12"},
    }
}

# By the validation's id: what breaks it, upon GOOD.
_BROKEN: Final[dict[str, dict[str, Any]]] = {
    "ai_domain__needed": {"ai_domain": None},
    "ai_domain__unique": {"ai_hosts": {"one": {"ai_address": "192.0.2.1"}, "two": {"ai_address": "192.0.2.2"}}},
    "ai_ipv6_address__unique": {**_TWO, "ai_ipv6_address": "2001:db8::30"},
    "ai_proxmox_vm_id__unique": {**_TWO, "ai_proxmox_vm_id": 120},
    "ai_proxmox_pci_path__unique": {
        **_TWO, "ai_proxmox_pci_path": "0000:01:00", "ai_proxmox_pci_id": "10de:13f1", "ai_proxmox_pci_mapping": "gpu0"
    },
    "ai_cloudflare_record_id__unique": {**_TWO, "ai_cloudflare_record_id": "0" * 32},
    "ai_gateway_address__elsewhere": {**_PROXMOX, "ai_gateway_address": "192.0.3.1"},
    "ai_tls_certificate_file__needed": {**_OWN, "ai_tls_certificate_file": None},
    "ai_tls_certificate_file__unused": {"ai_tls_certificate_file": f"{_FILES}/certificate.pem"},
    "ai_tls_key_file__needed": {**_OWN, "ai_tls_key_file": None},
    "ai_tls_key_file__unused": {"ai_tls_key_file": f"{_FILES}/key"},
    "ai_cloudflare_token_file__needed": {"ai_cloudflare_token_file": None},
    "ai_allowed_networks__open_in_the_clear": {"ai_tls": "off", "ai_allowed_networks": ["any"]},
    "ai_allowed_networks__nobody": {**_DROPLET, "ai_allowed_networks": ["10.0.0.0/8"]},
    "ai_github_owner__needed": {"ai_github_owner": None},
    "ai_ghcr_token__twice": {"ai_ghcr_token": "not-a-token", "ai_ghcr_token_file": f"{_FILES}/token"},
    "ai_address__needed": {"ai_address": None},
    "ai_address__unused": {**_DROPLET, "ai_address": "192.0.2.1"},
    "ai_address__unique": {"ai_hosts": {"one": {"ai_domain": "a.example.com"}, "two": {"ai_domain": "b.example.com"}}},
    "ai_host_key__needed": {"ai_host_key": None},
    "ai_host_key__unused": {**_PROXMOX, "ai_host_key": HOST_KEY},
    "ai_gateway_address__needed": {**_PROXMOX, "ai_gateway_address": None},
    "ai_gateway_address__other_family": {**_PROXMOX, "ai_gateway_address": "2001:db8::1"},
    "ai_address_prefix__too_long": {**_PROXMOX, "ai_address_prefix": 64},
    "ai_ipv6_address__twice": {"ai_address": "2001:db8::30", "ai_ipv6_address": "2001:db8::31"},
    "ai_ipv6_address__unused": {**_DROPLET, "ai_ipv6_address": "2001:db8::31"},
    "ai_ssh_public_key_file__needed": {
        **_PROXMOX, "ai_ssh_public_key_file": None, "ai_ssh_key_file": f"{_FILES}/other-key"
    },
    "ai_proxmox_endpoint__needed": {**_PROXMOX, "ai_proxmox_endpoint": None},
    "ai_proxmox_token_file__needed": {**_PROXMOX, "ai_proxmox_token_file": None},
    "ai_proxmox_pci_mapping__needed": {"ai_proxmox_pci_path": "0000:01:00", "ai_proxmox_pci_id": "10de:13f1"},
    "ai_proxmox_pci_id__needed": {"ai_proxmox_pci_mapping": "gpu0", "ai_proxmox_pci_path": "0000:01:00"},
    "ai_digitalocean_token_file__needed": {**_DROPLET, "ai_digitalocean_token_file": None},
    "ai_cloudflare_zone__needed": {**_CLOUDFLARE, "ai_cloudflare_zone": None},
    "ai_cloudflare_zone__elsewhere": {**_CLOUDFLARE, "ai_cloudflare_zone": "xample.com"},
    "ai_cloudflare_ipv6_record_id__unused": {"ai_cloudflare_ipv6_record_id": "0" * 32},
    "ai_hosts__some": {"ai_hosts": {}},
    "ai_hosts__names": {"ai_hosts": {"Not_A_Name": {}}},
}  # fmt: skip


def breaking(rule: Validation) -> dict[str, Any]:
    """Return the variables that break this validation, and no other before it."""
    if rule.id in _BROKEN:
        return _BROKEN[rule.id]
    if rule.variable == "ai_hosts":
        return {"ai_hosts": {"ai": {rule.name: bad(all_variables()[rule.name].kind)}}}
    return {rule.variable: bad(all_variables()[rule.variable].kind)}


def failing(rule: Validation) -> list[str]:
    """Return what must fail in the run of this validation.

    What no host has of its own does not keep the output from being looked at, and the output says besides that the
    kind is not switched on: these runs need no provider.
    """
    is_on = breaking(rule).get("ai_machine", "existing_host") == "existing_host"
    return [f"var.{rule.variable}", *([] if is_on or rule.variable not in FOR_ALL else ["output.ai_hosts"])]


def pages() -> dict[str, str]:
    """Return the test files by name."""
    machine = machine_variables()
    groups: dict[str, list[Validation]] = {"machine": [], "settings": [], "hosts": []}
    for rule in validations():
        group = "hosts" if rule.variable == "ai_hosts" else "machine" if rule.variable in machine else "settings"
        groups[group].append(rule)
    return {f"refusals_{group}.tftest.hcl": page(rules) for group, rules in groups.items()}


def page(rules: list[Validation]) -> str:
    """Return a test file with a run for each of these."""
    parts = [
        MADE.format(source="terraform_tests.py"),
        "",
        "variables {",
        *(f"  {name} = {literal(value)}" for name, value in GOOD.items()),
        "}",
    ]
    for rule in rules:
        parts += [
            "",
            f'run "{rule.id}" {{',
            "  command = plan",
            "  variables {",
            *(f"    {name} = {_inline(value)}" for name, value in breaking(rule).items()),
            "  }",
            f"  expect_failures = [{', '.join(failing(rule))}]",
            "}",
        ]
    return formatted("\n".join(parts) + "\n")


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(entry)}" for key, entry in value.items()) + " }" if value else "{}"
    return literal(value)


@singledispatch
def bad(kind: Kind) -> Any:
    """Return a value that this kind refuses; of the right type, for Terraform looks at that before."""
    raise TypeError(f"{type(kind).__name__} has no bad example yet")


@bad.register
def _(_kind: Choice) -> str:
    return "nonsense"


@bad.register
def _(kind: Whole) -> int:
    return kind.most + 1


@bad.register
def _(_kind: Text) -> str:
    return "? ?"


@bad.register
def _(_kind: Domain) -> str:
    return "192.0.2.1"


@bad.register
def _(_kind: Url) -> str:
    return "ftp://example.com"


@bad.register
def _(kind: Branch) -> str:
    return str(kind.least - 1)


@bad.register
def _(kind: Address) -> str:
    return "300.1.2.3" if kind.family != 6 else "192.0.2.1"


@bad.register
def _(kind: Several) -> list[Any]:
    return [bad(kind.item)]


@bad.register
def _(_kind: Networks) -> list[str]:
    return ["10.1.2.3/8"]


@bad.register
def _(_kind: File) -> str:
    return f"{_FILES}/not-there"
