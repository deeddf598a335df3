"""Every validation has its test, and refuses by name with a sentence that mends (bad input, one table)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_services.host.terraform_files import Validation, all_variables, per_host, validations
from ai_services.host.terraform_read import entries
from ai_services.host.terraform_tests import GOOD, bad, breaking

from .copies import TOP, initialised, run

ROOT = TOP / "terraform"
RULES = {rule.id: rule for rule in validations()}


def declared() -> dict[str, set[str]]:
    """The validations in the files: their ids, and the variables that each asks for."""
    return {
        f"{entry.name}__{check.name}": set(re.findall(r"var\.(ai_\w+)", check.condition))
        for entry in entries(ROOT)
        if entry.kind == "variable"
        for check in entry.checks
    }


def runs() -> dict[str, str]:
    """The runs that expect a failure: what each is called, and what must fail in it."""
    text = "".join(path.read_text() for path in sorted((ROOT / "tests").glob("*.tftest.hcl")))
    blocks = re.findall(r'^run "(\w+)" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL)
    expected = {name: re.search(r"expect_failures = \[(.*)\]", body) for name, body in blocks}
    return {name: hit[1] for name, hit in expected.items() if hit}


def test_no_validation_is_forgotten_by_the_tests_and_no_test_by_its_validation() -> None:
    """Compared as they stand in the files, whoever wrote them."""
    tested = {name for name in runs() if "__" in name}
    assert len(tested) > 200
    assert set(declared()) - tested == set(), "validations without a test"
    assert tested - set(declared()) == set(), "tests of validations that are gone"
    # Outputs say what no variable can; each of their preconditions has a run as well.
    preconditions = {f"output.{entry.name}" for entry in entries(ROOT) if entry.kind == "output" and entry.checks}
    assert preconditions <= set(runs().values())


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_test_expects_its_own_variable_to_fail(name: str) -> None:
    assert runs()[name].split(", ")[0] == f"var.{name.split('__', maxsplit=1)[0]}"


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_message_names_the_variable_and_says_what_to_give(name: str) -> None:
    rule = RULES[name]
    message = rule.message.strip('"')
    assert message.startswith((f"{rule.variable}: ", f"{rule.variable} (host ")), message
    assert re.search(r"\b([Gg]ive|Set|Leave|Keep|Name)\b|first a letter", message), message
    assert message.endswith("."), message


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which no provider is needed."""
    return initialised(tmp_path_factory.mktemp("validations"))


def plan(root: Path, values: dict[str, Any]) -> list[str]:
    """What `terraform plan` says is wrong."""
    (root / "given.auto.tfvars.json").write_text(json.dumps(GOOD | values))
    done = run(root, "plan", "-json", "-input=false", "-lock=false", "-refresh=false")
    (root / "given.auto.tfvars.json").unlink()
    said = [json.loads(line) for line in done.stdout.splitlines()]
    found = [line["diagnostic"] for line in said if line.get("type") == "diagnostic"]
    return [
        " ".join(f"{entry['summary']}: {entry['detail']}".split()) for entry in found if entry["severity"] == "error"
    ]


def asks() -> dict[str, set[str]]:
    """For each variable, all those that must be right before its own validations are heard."""
    found: dict[str, set[str]] = {}
    for rule_id, names in declared().items():
        variable = rule_id.split("__", maxsplit=1)[0]
        found.setdefault(variable, set()).update(names - {variable})
    grown = True
    while grown:
        grown = False
        for names in found.values():
            more = set().union(*(found.get(name, set()) for name in names)) - names
            names.update(more)
            grown = grown or bool(more)
    return found


def batches() -> Iterator[list[Validation]]:
    """Forms that can be wrong side by side: who asks for a variable that is wrong is not heard any more."""
    needs = asks()
    forms = [rule for rule in RULES.values() if rule.name == "form"]
    while forms:
        batch: list[Validation] = []
        for rule in forms:
            if not any(
                rule.variable in needs[other.variable] or other.variable in needs[rule.variable] for other in batch
            ):
                batch.append(rule)
        yield batch
        forms = [rule for rule in forms if rule not in batch]


@pytest.fixture(scope="module")
def refusals(root: Path) -> dict[str, list[str]]:
    """For each single variable, what a plan said in which its value was wrong."""
    said: dict[str, list[str]] = {}
    for batch in batches():
        errors = plan(root, {name: value for rule in batch for name, value in breaking(rule).items()})
        said |= {rule.variable: errors for rule in batch}
    return said


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if rule.name == "form"])
def test_a_wrong_value_is_refused_by_name(refusals: dict[str, list[str]], name: str) -> None:
    rule = RULES[name]
    message = " ".join(json.loads(rule.message).split())
    hits = [error for error in refusals[rule.variable] if error.startswith(f"Invalid value for variable: {message}")]
    assert len(hits) == 1, "\n".join(refusals[rule.variable])


@pytest.fixture(scope="module")
def refusals_of_a_host(root: Path) -> list[str]:
    """What a plan said of a host in ai_hosts with whose every value something is wrong."""
    wrong = {name: bad(row.kind) for name, row in per_host().items() if f"ai_hosts__{name}" in RULES}
    return plan(root, {"ai_hosts": {"good": {}, "gpu-2": wrong}})


@pytest.mark.parametrize("name", [rule.name for rule in RULES.values() if rule.variable == "ai_hosts"][2:])
def test_a_hosts_own_wrong_value_is_refused_by_its_name(refusals_of_a_host: list[str], name: str) -> None:
    start = f"Invalid value for variable: ai_hosts (host gpu-2): {name}: give "
    assert len([error for error in refusals_of_a_host if error.startswith(start)]) == 1, refusals_of_a_host


@pytest.mark.parametrize("name", [name for name, row in all_variables().items() if row.kind.ansible_type != "str"])
def test_a_value_of_another_type_is_refused(name: str) -> None:
    """Terraform itself does that, before any validation: what is left to us is that every variable has a type."""
    entry = next(entry for entry in entries(ROOT) if entry.name == name)
    assert entry.arguments["type"] in ("number", "bool", "list(string)", "string")


def test_what_is_right_is_not_refused(root: Path) -> None:
    assert plan(root, {}) == []


def test_a_kind_that_is_off_is_refused_with_the_command_that_switches_it_on(root: Path) -> None:
    (error,) = plan(
        root, breaking(RULES["ai_proxmox_endpoint__needed"]) | {"ai_proxmox_endpoint": "https://pve.example.com:8006/"}
    )
    assert "ai_machine = proxmox_vm: this kind is not switched on here" in error
    assert "ln -s kinds/KIND/*.tf . && terraform init" in error


def test_a_secret_that_is_wrong_is_not_shown(root: Path) -> None:
    errors = plan(root, {"ai_ghcr_token": "canary with spaces"})
    assert [error for error in errors if "ai_ghcr_token: give a token" in error]
    assert not [error for error in errors if "canary" in error]
