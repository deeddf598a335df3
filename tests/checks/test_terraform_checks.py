"""The checks of terraform/ see what is wrong, and say what they could not look at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ai_services.checks import terraform
from ai_services.checks.phases import STATIC

pytestmark = pytest.mark.long

KIND = """terraform {
  required_providers {
    cloud = {
      source  = "nobody/cloud"
      version = "1.0.0"
    }
  }
}

provider "cloud" {}
"""
VARIABLE = 'variable "a" {\n  description = "One."\n  type        = string\n  default     = null\n}\n'


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A checkout with a root of one variable, one kind and one module."""
    root = tmp_path / "terraform"
    (root / "kinds" / "cloud_vm").mkdir(parents=True)
    (root / "modules" / "small").mkdir(parents=True)
    (root / "kinds" / "cloud_vm" / "cloud_vm.tf").write_text(KIND)
    for folder in (root, root / "modules" / "small"):
        (folder / "main.tf").write_text('terraform {\n  required_version = ">= 1.11"\n}\n')
        (folder / "outputs.tf").write_text('output "b" {\n  description = "Two."\n  value       = var.a\n}\n')
        (folder / "variables.tf").write_text(VARIABLE)
    (tmp_path / "bootstrap" / "ai" / "cloud-init").mkdir(parents=True)
    return tmp_path


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH; .ci/run has it there")


def without(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    folders = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(f for f in folders if not (Path(f) / program).exists()))


def test_sound_files_pass_and_a_kind_whose_provider_is_not_here_is_named(top: Path) -> None:
    needs("terraform")
    outcome = terraform.form_and_validity(top)
    assert (outcome.passed, outcome.failed) == (1, 0), outcome.output
    assert [skip.what for skip in outcome.skips] == ["terraform: cloud_vm"]
    assert "nobody/cloud is not on this machine" in outcome.skips[0].reason


def test_a_file_out_of_form_fails_with_the_command_that_mends_it(top: Path) -> None:
    needs("terraform")
    (top / "terraform" / "variables.tf").write_text(VARIABLE.replace("type        =", "type ="))
    outcome = terraform.form_and_validity(top)
    assert not outcome.ok
    assert "mend: terraform fmt -recursive terraform" in outcome.output


def test_what_is_not_valid_fails(top: Path) -> None:
    needs("terraform")
    main = top / "terraform" / "outputs.tf"
    main.write_text(main.read_text().replace("var.a", "var.c"))
    outcome = terraform.form_and_validity(top)
    assert not outcome.ok
    assert "Reference to undeclared input variable" in outcome.output


def test_a_rule_that_is_broken_in_a_module_fails_the_linter(top: Path) -> None:
    needs("tflint")
    (top / "terraform" / ".tflint.hcl").write_text('plugin "terraform" {\n  enabled = true\n  preset  = "all"\n}\n')
    assert terraform.lint(top).ok
    variables = top / "terraform" / "modules" / "small" / "variables.tf"
    variables.write_text(variables.read_text() + '\nvariable "unused" {\n  description = "x"\n  type = string\n}\n')
    outcome = terraform.lint(top)
    assert not outcome.ok
    assert "modules/small" in outcome.output
    assert "terraform_unused_declarations" in outcome.output


def test_a_secret_in_a_file_fails_the_scanner(top: Path) -> None:
    needs("checkov")
    assert terraform.scan(top).ok
    # Put together here, so that nobody takes it for a real one.
    key = "AKIA" + "IOSFODNN7" + "Q3XBTEZ"
    (top / "terraform" / "provider.tf").write_text(f'locals {{\n  aws_access_key = "{key}"\n}}\n')
    outcome = terraform.scan(top)
    assert not outcome.ok
    assert "AWS Access Key" in outcome.output


@pytest.mark.parametrize(
    ("program", "name"),
    [("terraform", "terraform"), ("tflint", "terraform-lint"), ("checkov", "terraform-scan")],
)
def test_without_the_program_a_phase_is_left_out_with_a_sentence(
    top: Path, monkeypatch: pytest.MonkeyPatch, program: str, name: str
) -> None:
    without(monkeypatch, program)
    phase = next(phase for phase in STATIC if phase.name == name)
    outcome = phase.check(top)
    assert (outcome.passed, outcome.failed) == (0, 0)
    assert [skip.what for skip in outcome.skips] == [name]
    assert f"{program} is not installed" in outcome.skips[0].reason
