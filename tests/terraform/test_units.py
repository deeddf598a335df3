"""Terraform's own unit tests: the root's, and each module's with its provider mocked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ai_services.host.terraform_tests import GOOD
from terraform import mirror

from .copies import TOP, copy, initialised, run

MODULES = sorted(path.name for path in (TOP / "terraform" / "modules").iterdir() if path.is_dir())


def results(root: Path, *words: str, providers: Path | None = None) -> dict[str, str]:
    """What `terraform test` says of each run."""
    done = run(root, "test", "-json", *words, mirror=providers)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    found = {
        line["test_run"]["run"]: line["test_run"]["status"]
        for line in said
        if line.get("type") == "test_run" and line["test_run"].get("progress") == "complete"
    }
    wrong = [line["diagnostic"] for line in said if "diagnostic" in line]
    assert done.returncode == 0, json.dumps(wrong, indent=1)
    return found


def named(folder: Path) -> set[str]:
    """The runs in a folder's test files."""
    return {
        name
        for path in folder.glob("*.tftest.hcl")
        for name in re.findall(r'^run "(\w+)"', path.read_text(), re.MULTILINE)
    }


def test_hosts_have_what_they_are_given(tmp_path: Path) -> None:
    root = initialised(tmp_path)
    found = results(root, "-filter=tests/hosts.tftest.hcl")
    assert set(found.values()) == {"pass"}
    assert len(found) >= 7


@pytest.mark.long
def test_a_machine_of_a_kind_that_is_off_is_one_error_and_asks_nobody(tmp_path: Path) -> None:
    """Also where its name is to be made: no provider is asked for what will not be."""
    mirror.make(tmp_path / "providers")
    root = initialised(tmp_path / "work", "cloudflare_record", mirror=tmp_path / "providers" / "mirror")
    values = GOOD | {
        "ai_machine": "digitalocean_vm", "ai_dns": "cloudflare_record", "ai_cloudflare_zone": "example.com",
        "ai_address": None, "ai_host_key": None, "ai_ssh_public_key_file": "tests/files/key.pub",
        "ai_digitalocean_token_file": "tests/files/token", "ai_allowed_networks": ["203.0.113.0/24"],
    }  # fmt: skip
    (root / "given.auto.tfvars.json").write_text(json.dumps(values))
    done = run(root, "plan", "-json", mirror=tmp_path / "providers" / "mirror")
    said = [json.loads(line) for line in done.stdout.splitlines()]
    (wrong,) = [line["diagnostic"]["detail"] for line in said if line.get("type") == "diagnostic"]
    assert wrong.startswith("ai_machine = digitalocean_vm: this kind is not switched on here")


@pytest.mark.long
@pytest.mark.parametrize("group", ["machine", "settings", "hosts"])
def test_every_validation_refuses(tmp_path: Path, group: str) -> None:
    root = initialised(tmp_path)
    found = results(root, f"-filter=tests/refusals_{group}.tftest.hcl")
    assert set(found.values()) == {"pass"}
    assert len(found) > 50


@pytest.mark.long
@pytest.mark.parametrize("name", MODULES)
def test_a_module_asks_for_what_it_should(name: str, tmp_path: Path) -> None:
    if name == "proxmox_vm" and mirror.real() is None:
        pytest.skip(mirror.NO_PROXMOX)
    mirror.make(tmp_path / "providers")
    providers = tmp_path / "providers" / "mirror"
    module = copy(tmp_path / "work") / "modules" / name
    assert named(module / "tests"), f"module {name} has no tests"
    done = run(module, "init", "-no-color", mirror=providers)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(module, providers=providers)
    assert set(found) == named(module / "tests")
    assert set(found.values()) == {"pass"}
