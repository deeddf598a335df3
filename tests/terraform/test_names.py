"""One name per thing: Terraform's variables, Ansible's arguments, the settings and their page are the same (S0.5)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_services.host.machine_settings import FOR_ALL, MachineSettings
from ai_services.host.settings import HostSettings
from ai_services.host.settings_table import renamed, table
from ai_services.host.terraform_read import Entry, entries, read

TOP = Path(__file__).resolve().parents[2]
ROOT = TOP / "terraform"
# What the roles learn on the way, and nobody gives.
LEARNED = {"ai_plan", "ai_facts"}
TYPES = {"str": "string", "path": "string", "int": "number", "bool": "bool", "list": "list(string)"}


def inputs() -> dict[str, Entry]:
    return {entry.name: entry for entry in entries(ROOT) if entry.kind == "variable"}


def arguments_of_roles() -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for path in sorted((TOP / "ansible" / "roles").glob("*/meta/argument_specs.yml")):
        options = yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options", {})
        found += [(path.parents[1].name, name, spec) for name, spec in options.items()]
    return [
        (role, name, spec)
        for role, name, spec in found
        if name.startswith("ai_") and not name.startswith("ai_stack_") and name not in LEARNED
    ]


def written(text: str) -> Any:
    """What a default is that is written as Terraform writes it."""
    return json.loads(text)


def test_the_roles_arguments_are_looked_at() -> None:
    assert len({name for _, name, _ in arguments_of_roles()}) > 40


@pytest.mark.parametrize(("role", "name", "spec"), arguments_of_roles(), ids=lambda value: str(value)[:60])
def test_what_ansible_takes_terraform_takes_under_the_same_name(role: str, name: str, spec: dict[str, Any]) -> None:
    assert name in inputs(), f"role {role} takes {name}, and terraform/ has no variable of that name"
    entry = inputs()[name]
    assert entry.arguments["type"] == TYPES[spec["type"]], name
    assert written(entry.arguments["default"]) == spec.get("default"), name
    if choices := spec.get("choices"):
        form = next(check for check in entry.checks if check.name == "form")
        assert form.condition.startswith(f"contains({json.dumps(choices)}, "), name


def test_every_setting_is_a_variable_and_every_variable_is_declared_once() -> None:
    names = [entry.name for entry in entries(ROOT) if entry.kind == "variable"]
    assert sorted(names) == sorted({*table(HostSettings), *table(MachineSettings), "ai_hosts"})


@pytest.mark.parametrize("name", sorted({**table(HostSettings), **table(MachineSettings)}))
def test_a_variable_is_typed_described_and_validated(name: str) -> None:
    entry = inputs()[name]
    row = {**table(HostSettings), **table(MachineSettings)}[name]
    assert entry.description.startswith(row.text)
    assert written(entry.arguments["default"]) == row.default
    assert ("nullable" in entry.arguments) is not row.kind.optional
    assert entry.checks or entry.arguments["type"] == "bool", f"{name} takes anything"


def test_only_a_secret_itself_is_kept_out_of_the_state_and_files_are_given_by_path() -> None:
    assert [entry.name for entry in inputs().values() if entry.is_secret] == ["ai_ghcr_token"]
    in_modules = [entry for folder in (ROOT / "modules").iterdir() for entry in entries(folder)]
    assert [entry.name for entry in in_modules if entry.is_secret] == ["ghcr_token"]


def test_a_host_may_have_its_own_of_all_but_what_is_for_all() -> None:
    own = set(re.findall(r"^    (\w+) += optional\(", inputs()["ai_hosts"].arguments["type"], re.MULTILINE))
    assert own == {*table(HostSettings), *table(MachineSettings)} - FOR_ALL


def test_every_name_is_on_a_page_and_no_former_name_is_left() -> None:
    pages = (TOP / "docs" / "settings.md").read_text() + (TOP / "docs" / "terraform-reference.md").read_text()
    assert [name for name in inputs() if f"`{name}`" not in pages] == []
    text = "".join(path.read_text() for path in ROOT.rglob("*.tf"))
    assert [name for name in renamed() if re.search(rf"\b{name}\b", text)] == []


def test_names_of_machine_and_host_are_different() -> None:
    assert set(table(MachineSettings)) & set(table(HostSettings)) == set()


def test_outputs_and_modules_inputs_are_described() -> None:
    for folder in (ROOT, *(ROOT / "modules").iterdir()):
        for entry in entries(folder):
            assert len(entry.description) > 10, f"{folder.name}: {entry.name}"
            assert entry.kind == "output" or "type" in entry.arguments, f"{folder.name}: {entry.name}"


def test_the_reader_finds_what_is_there() -> None:
    text = """variable "a" {
  description = "One \\"word\\"."
  type = object({
    x = string
  })

  # form
  validation {
    condition     = var.a != "}"
    error_message = "a: give ${"x"}."
  }

  # second
  validation {
    condition     = true
    error_message = "b"
  }
}

output "b" {
  description = "Two."
  value       = 1
}
"""
    first, second = read(text)
    assert (first.kind, first.name, first.description) == ("variable", "a", 'One "word".')
    assert [check.name for check in first.checks] == ["form", "second"]
    assert first.checks[0].condition == 'var.a != "}"'
    assert " ".join(first.arguments["type"].split()) == "object({ x = string })"
    assert (second.kind, second.name) == ("output", "b")
