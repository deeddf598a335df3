"""Roles and the model agree: names, types, defaults, choices; and every role has the same rooms."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ai_services.host.settings_table import variables

ROLES = Path(__file__).resolve().parents[2] / "ansible" / "roles"
NAMES = sorted(path.parents[1].name for path in ROLES.glob("*/meta/argument_specs.yml"))
PLANNED = [
    "ai_stack", "backup", "base", "certbot_cloudflare", "container_toolkit", "docker", "firewall", "nginx",
    "nvidia_driver",
]  # fmt: skip
# What preflight and the roles themselves set, beside the settings.
LEARNED = {"ai_plan", "ai_facts"}


def read(role: str, file: str) -> Any:
    path = ROLES / role / file
    return (yaml.safe_load(path.read_text()) or {}) if path.is_file() else {}


def options(role: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(role, "meta/argument_specs.yml")["argument_specs"]["main"].get(
        "options", {}
    )
    return found


def test_every_role_of_the_design_is_there() -> None:
    assert NAMES == PLANNED


@pytest.mark.parametrize("role", NAMES)
class TestRole:
    def test_its_rooms(self, role: str) -> None:
        tasks = {path.stem for path in (ROLES / role / "tasks").glob("*.yml")}
        assert {"main", "validate", "install", "configure", "verify", "remove"} <= tasks
        for room in ("defaults/main.yml", "meta/argument_specs.yml", "meta/main.yml", "README.md"):
            assert (ROLES / role / room).is_file(), room

    def test_specs_say_what_the_model_says(self, role: str) -> None:
        for name, spec in options(role).items():
            if not name.startswith("ai_") or name.startswith("ai_stack_"):
                assert name.startswith(f"{role}_"), f"{name} is neither a setting nor the role's own"
                continue
            row = variables().get(name)
            if row is None:
                assert name in LEARNED, f"{name} is no setting"
                continue
            assert spec["type"] == row.kind.ansible_type, name
            assert spec.get("default") == (row.default if row.default is not None else None), name
            assert spec.get("choices") == row.kind.choices(), name
            assert (spec.get("elements") == "str") is (row.kind.ansible_type == "list"), name
            assert spec["description"], name

    def test_defaults_say_what_the_specs_say(self, role: str) -> None:
        defaults, specs = read(role, "defaults/main.yml"), options(role)
        for name, value in defaults.items():
            assert name in specs, f"{name} has a default and no spec"
            if "{{" not in str(value):  # what is taken from the plan has no default to tell
                assert specs[name].get("default") == value, name
        for name, spec in specs.items():
            assert spec.get("required") or name in defaults or name in LEARNED, f"{name} has a spec and no default"

    def test_every_setting_that_it_uses_is_in_its_specs(self, role: str) -> None:
        """So that the role can be used alone, and its README tells all of it."""
        known, used = set(options(role)) | LEARNED, set()
        for path in (ROLES / role).rglob("*"):
            if path.suffix in (".yml", ".j2") and path.parent.name in ("tasks", "templates", "handlers", "vars"):
                used |= {
                    name for name in re.findall(r"(?<![\w./-])ai_[a-z0-9_]+", path.read_text()) if name in variables()
                }
        assert used - known == set()

    def test_what_it_remembers_begins_with_its_name(self, role: str) -> None:
        """ansible-lint's rule for it is off, because settings have one name everywhere."""
        for path in (ROLES / role / "tasks").rglob("*.yml"):
            for name in re.findall(r"^\s*register: (\w+)", path.read_text(), re.MULTILINE):
                assert name.startswith(f"{role}_"), f"{path.name}: {name}"
