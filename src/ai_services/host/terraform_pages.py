"""Pages on Terraform's inputs and outputs: docs/terraform-reference.md, and a README of each module."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from ai_services.host.machine_settings import FOR_ALL
from ai_services.host.settings_table import Variable
from ai_services.host.terraform_files import machine_variables, per_host
from ai_services.host.terraform_read import Entry, entries

_NOTE: Final = "<!-- Made by `python -m ai_services.host.documents`. -->"
# Modules that stand behind the same three words, and what stands beside them.
_PARTS: Final = {
    "existing_host": "A machine that is there already: an address, a user, the key it must show. Needs no provider.",
    "proxmox_vm": "A machine made as a VM on Proxmox VE, with a GPU passed through.",
    "digitalocean_vm": "A machine made as a droplet with a GPU at DigitalOcean.",
    "host_key": "The SSH key of a new machine, made before it; used by the two modules that make one.",
    "cloudflare_record": "The name of a machine: its A and AAAA records at Cloudflare.",
    "deployment": "What is put upon a machine: the same deploy as by hand, and the guard before its data.",
}


def pages(top: Path) -> dict[Path, str]:
    """Return every page on Terraform that is made, by its path; modules are those under `top`/terraform/modules."""
    root = top / "terraform"
    made = {top / "docs" / "terraform-reference.md": reference(entries(root))}
    for folder in sorted(path for path in (root / "modules").iterdir() if path.is_dir()):
        made[folder / "README.md"] = module_page(folder.name, entries(folder))
    return made


def reference(root: list[Entry]) -> str:
    """Return docs/terraform-reference.md: inputs beyond the host's settings, and outputs."""
    parts = [
        "# Terraform: inputs and outputs",
        "",
        _NOTE,
        "",
        "How they are used: [Terraform](terraform.md). Every [setting of a host](settings.md) is an input of the same "
        "name besides these. Give them as `TF_VAR_NAME`, in `terraform.tfvars`, or to `./ai provision`.",
        "",
        "## Inputs",
    ]
    group = ""
    for row in machine_variables().values():
        if row.about.group != group:
            group = row.about.group
            parts += [
                "",
                f"### {group}",
                "",
                "| input | default | what may be given | what it does |",
                "|---|---|---|---|",
            ]
        parts.append(_row(row))
    parts += [
        "",
        "### Several hosts",
        "",
        f"`ai_hosts` is a map: a short name for each host, and for any of {len(per_host())} inputs and settings "
        "a value of its own. What a host does not say comes from the single input of that name; without it there is "
        f"one host, called `ai`. Given once for all hosts only: {', '.join(f'`{name}`' for name in sorted(FOR_ALL))}.",
        "",
        "```hcl",
        'ai_cloudflare_zone = "example.com"',
        "ai_hosts = {",
        '  gpu-1 = { ai_domain = "one.example.com", ai_address = "192.168.20.31", ai_proxmox_pci_mapping = "gpu0" }',
        '  gpu-2 = { ai_domain = "two.example.com", ai_address = "192.168.20.32", ai_proxmox_pci_mapping = "gpu1" }',
        "}",
        "```",
        "",
        "Mind your spelling there: Terraform drops a name inside `ai_hosts` that it does not know without a word. "
        "`./ai provision` refuses it.",
        "",
        "## Outputs",
        "",
        "| output | what it says |",
        "|---|---|",
        *(f"| `{entry.name}` | {entry.description} |" for entry in root if entry.kind == "output"),
        "",
        "Of each host in `ai_hosts`: " + ", ".join(f"`{name}`" for name in _fields(root)) + ".",
        "",
        "## Modules",
        "",
        *(f"- [{name}](../terraform/modules/{name}/README.md): {text}" for name, text in _PARTS.items()),
    ]
    return "\n".join(parts) + "\n"


def _row(row: Variable) -> str:
    needed = f" Needed {row.about.required}." if row.about.required else ""
    once = " For all hosts." if row.name in FOR_ALL else ""
    default = "none" if row.default is None else "empty" if row.default == [] else f"`{_text(row.default)}`"
    return _cells([f"`{row.name}`", default, row.kind.words(), row.text + needed + once])


def _text(value: object) -> str:
    text = {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    return f"{text[:4]}…{text[-4:]}" if re.fullmatch(r"[0-9a-f]{64,}", text) else text


def _fields(root: list[Entry]) -> list[str]:
    value = next(entry.arguments["value"] for entry in root if entry.kind == "output" and entry.name == "ai_hosts")
    return re.findall(r"^      (\w+) +=", value, re.MULTILINE)


def module_page(name: str, found: list[Entry]) -> str:
    """Return a module's README."""
    inputs = [entry for entry in found if entry.kind == "variable"]
    outputs = [entry for entry in found if entry.kind == "output"]
    parts = [
        f"# {name}",
        "",
        _NOTE,
        "",
        _PARTS[name],
        "",
        "| input | type | default | what it is |",
        "|---|---|---|---|",
    ]
    for entry in inputs:
        default = entry.arguments.get("default")
        shown = "needed" if default is None else "none" if default == "null" else f"`{default}`"
        secret = " Secret: never in state, plan or logs." if entry.is_secret else ""
        kind = " ".join(entry.arguments["type"].split())
        parts.append(_cells([f"`{entry.name}`", f"`{kind}`", shown, entry.description + secret]))
    parts += ["", "| output | what it is |", "|---|---|"]
    parts += [_cells([f"`{entry.name}`", entry.description]) for entry in outputs]
    parts += ["", "What the whole takes: [Terraform: inputs and outputs](../../../docs/terraform-reference.md)."]
    return "\n".join(parts) + "\n"


def _cells(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
