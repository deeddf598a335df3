"""What is made from the settings and never written by hand: `python -m ai_services.host.documents` writes it all.

bootstrap/ai/ai.example.yml   every variable with its default, commented out
bootstrap/ai/ai.schema.json   JSON schema of ai.yml, for editors
docs/settings.md              every variable in words
docs/gpus.md                  every card of the table, and what it can run
terraform/{variables,settings,hosts}.tf, terraform/tests/refusals_*.tftest.hcl
                              Terraform's variables with their validations, and a test of each
docs/terraform-reference.md, terraform/modules/*/README.md
                              inputs and outputs
ansible/roles/*/README.md     each role's, from its meta/argument_specs.yml
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import yaml

from ai_services.host import gpu_document, terraform_files, terraform_pages, terraform_tests
from ai_services.host.settings_table import Variable, renamed, variables

_MADE: Final = "Made by `python -m ai_services.host.documents`; change src/ai_services/host/settings.py instead."


def documents(top: Path) -> dict[Path, str]:
    """Return every generated file and what it must hold; roles are those under `top`/ansible/roles."""
    made = {
        top / "bootstrap" / "ai" / "ai.example.yml": example(),
        top / "bootstrap" / "ai" / "ai.schema.json": schema(),
        top / "docs" / "settings.md": page(),
        top / "docs" / "gpus.md": gpu_document.render(),
        top / "terraform" / "variables.tf": terraform_files.variables_file(),
        top / "terraform" / "settings.tf": terraform_files.settings_file(),
        top / "terraform" / "hosts.tf": terraform_files.hosts_file(),
    }
    made |= {top / "terraform" / "tests" / name: text for name, text in terraform_tests.pages().items()}
    made |= terraform_pages.pages(top)
    for specs in sorted((top / "ansible" / "roles").glob("*/meta/argument_specs.yml")):
        made[specs.parents[1] / "README.md"] = role_page(specs.parents[1].name, yaml.safe_load(specs.read_text()))
    return made


def outdated(top: Path) -> list[str]:
    """Return a line for each file that is not what the settings make of it."""
    mend = "write it: .venv/bin/python -m ai_services.host.documents"
    return [
        f"{path.relative_to(top)} is not what the settings and role specs make of it; {mend}"
        for path, text in documents(top).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def example() -> str:
    """Return ai.example.yml: what must be given stands bare, everything else is a comment with its default."""
    lines = [
        "# yaml-language-server: $schema=ai.schema.json",
        "# Settings of a host. Copy it (cp bootstrap/ai/ai.example.yml ai.yml), fill in what stands bare, and take the",
        "# mark of a comment from whatever you want otherwise. A relative path is meant from where you call ./ai.",
        f"# {_MADE}",
    ]
    for group, rows in _groups():
        lines += ["", f"# --- {group}"]
        for row in rows:
            lines += ["", *(f"# {line}" for line in textwrap.wrap(row.text, 116))]
            notes = [f"Needed {row.about.required}." if row.about.required else "", f"Give {row.kind.words()}."]
            lines += [f"# {line}" for line in textwrap.wrap(" ".join(filter(None, notes)), 116)]
            bare = row.name in _BARE
            lines.append(_yaml_line(row.name, row.about.example if bare else _to_show(row), bare=bare))
    return "\n".join(lines) + "\n"


# What a first host needs and no default can know.
_BARE: Final = ("ai_domain", "ai_cloudflare_token_file", "ai_github_owner")


def _to_show(row: Variable) -> Any:
    return row.default if row.default not in (None, []) or row.about.example is None else row.about.example


def _yaml_line(name: str, value: Any, *, bare: bool) -> str:
    written = yaml.safe_dump(value, default_flow_style=True, width=1000).removesuffix("\n").removesuffix("\n...")
    return f"{'' if bare else '# '}{name}: {written}"


def schema() -> str:
    """Return the JSON schema of ai.yml; names that are not settings are refused by it as they are by `ai`."""
    properties = {
        row.name: {
            **row.kind.json_schema(),
            "description": row.text,
            "default": row.default,
        }
        for row in variables().values()
    }
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of an ai-services host (ai.yml)",
        "description": _MADE,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """Return docs/settings.md."""
    parts = [
        "# Settings of a host",
        "",
        f"<!-- {_MADE} -->",
        "",
        "Every setting has one name, the same in `ai.yml`, on the command line (`--set NAME=VALUE`), in the "
        "environment (`TF_VAR_ai_domain` or `AI_DOMAIN`) and as Ansible's extra variable. "
        f"There are {len(variables())}; "
        "a first host needs three. [Deploying a host](host.md) says how they are given; "
        "[ai.example.yml](../bootstrap/ai/ai.example.yml) has them all, commented out.",
        "",
        "Wrong values are refused by name before the host is touched. Paths are of files on the machine that deploys; "
        "a relative one is meant from where the command is called. A file with a secret must be closed to others.",
    ]
    for group, rows in _groups():
        parts += [
            "",
            f"## {group}",
            "",
            "| setting | default | what may be given | what it does |",
            "|---|---|---|---|",
        ]
        for row in rows:
            needed = f" Needed {row.about.required}." if row.about.required else ""
            secret = " Secret." if row.about.secret else ""
            cells = [f"`{row.name}`", _cell(row.default), row.kind.words(), row.text + needed + secret]
            parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if renamed():
        parts += ["", "## Former names", "", "Refused with today's name in the message.", ""]
        parts += ["| then | today |", "|---|---|", *(f"| `{old}` | `{new}` |" for old, new in renamed().items())]
    return "\n".join(parts) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return ", ".join(f"`{entry}`" for entry in value) or "empty"
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def role_page(name: str, specs: dict[str, Any]) -> str:
    """Return a role's README from its argument specs (the entry point `main`)."""
    main = specs["argument_specs"]["main"]
    described = main.get("description", [])
    sentences = [described] if isinstance(described, str) else described
    parts = [
        f"# {name}",
        "",
        "<!-- Made from meta/argument_specs.yml by `python -m ai_services.host.documents`. -->",
        "",
        f"{main['short_description'].rstrip('.')}.",
        "",
        *(f"- {_plain(sentence)}" for sentence in sentences),
        "",
        "| variable | type | default | what it does |",
        "|---|---|---|---|",
    ]
    for option, spec in main.get("options", {}).items():
        kind = spec["type"] + (f" of {spec['elements']}" if spec.get("elements") else "")
        if choices := spec.get("choices"):
            kind = ", ".join(f"`{choice}`" for choice in choices)
        text = spec.get("description", "")
        text = " ".join(text) if isinstance(text, list) else text
        cells = [f"`{option}`", kind, _cell(spec.get("default")), _plain(" ".join(text.split()))]
        parts.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    parts += [
        "",
        "What all roles have in common: [Roles](../README.md). Settings: [Settings](../../../docs/settings.md).",
    ]
    return "\n".join(parts) + "\n"


def _plain(text: str) -> str:
    """Turn Ansible's markup (C(code), V(value), O(option)) into Markdown's."""
    return re.sub(r"\b[CVOIB]\(([^)]*)\)", r"`\1`", text)


def _groups() -> list[tuple[str, list[Variable]]]:
    return [(group, list(rows)) for group, rows in groupby(variables().values(), key=lambda row: row.about.group)]


def main() -> None:
    """Write every generated file that differs, and say which."""
    from ai_services.host.playbook import ROOT

    for path, text in documents(ROOT).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
