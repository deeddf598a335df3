"""docs/terraform-state.md says what is: its examples are Terraform's, and what it promises happens."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from ai_services.host.terraform_tests import GOOD, HOST_KEY

from .copies import TOP, initialised, run, terraform_program
from .proxmox.access import MODULE_PRIVILEGES

PAGE = (TOP / "docs" / "terraform-state.md").read_text()
EXAMPLES = re.findall(r"```hcl\n(.*?)```", PAGE, re.DOTALL)
BACKENDS = [text for text in EXAMPLES if 'backend "' in text]


def test_the_privileges_are_those_that_were_seen_to_be_needed() -> None:
    """Each of them is taken away once in test_proxmox_standin.py, and is missed."""
    told = re.search(r"<!-- privileges: begin -->(.*?)<!-- privileges: end -->", PAGE, re.DOTALL)
    assert told
    assert set(re.findall(r"`([\w.]+)`", told[1])) == MODULE_PRIVILEGES


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: " ".join(text.split())[:50])
def test_an_example_is_written_as_terraform_writes(text: str) -> None:
    done = subprocess.run(
        [terraform_program(), "fmt", "-"], input=text, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == text


@pytest.mark.parametrize("text", BACKENDS, ids=lambda text: " ".join(text.split())[:50])
def test_a_backend_is_one_that_terraform_has(text: str, tmp_path: Path) -> None:
    """Its arguments too: Terraform says which it does not know before it asks anybody for anything."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "backend.tf").write_text(text.replace("}\n}", '  no_such_argument = "x"\n  }\n}', 1))
    wrong = run(tmp_path / "root", "init", "-no-color", "-input=false")
    assert wrong.stderr.count("Unsupported argument") + wrong.stderr.count("not expected here") >= 1, wrong.stderr
    assert set(re.findall(r'argument named "(\w+)" is not expected', " ".join(wrong.stderr.split()))) == {
        "no_such_argument"
    }


def test_which_versions_are_pinned() -> None:
    pins = dict(
        re.findall(
            r'source += "([\w/]+)"\n +version = "([^"]+)"',
            "".join(path.read_text() for path in sorted((TOP / "terraform" / "kinds").glob("*/*.tf"))),
        )
    )
    assert pins == {
        "bpg/proxmox": "0.106.0",
        "cloudflare/cloudflare": "5.22.0",
        "digitalocean/digitalocean": "~> 2.60",
    }
    in_modules = "".join(path.read_text() for path in sorted((TOP / "terraform" / "modules").glob("*/main.tf")))
    assert dict(re.findall(r'source += "([\w/]+)"\n +version = "([^"]+)"', in_modules)) == pins
    assert not (TOP / "terraform" / ".terraform.lock.hcl").exists(), "a lock made without the registry fits nobody"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An existing host, with an `ai` that only notes how it is called."""
    made = initialised(tmp_path)
    (tmp_path / "ai").write_text('#!/bin/sh\necho "$*" >>"$(dirname "$0")/called"\n')
    (tmp_path / "ai").chmod(0o755)
    return made


def apply(root: Path, **values: object) -> tuple[int, int, int]:
    """Apply; what was added, changed and destroyed."""
    (root / "given.auto.tfvars.json").write_text(json.dumps(GOOD | values))
    done = run(root, "apply", "-auto-approve", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = re.search(r"(\d+) added, (\d+) changed, (\d+) destroyed", done.stdout)
    assert counts
    return int(counts[1]), int(counts[2]), int(counts[3])


@pytest.mark.long
def test_a_host_that_is_renamed_by_moved_is_not_touched(root: Path) -> None:
    own = {"ai_domain": "ai.example.com", "ai_address": "192.0.2.1", "ai_host_key": HOST_KEY}
    assert apply(root, ai_hosts={"ai": own}) == (3, 0, 0)
    calls = (root.parent / "called").read_text()
    (root / "moved.tf").write_text("\n".join(text for text in EXAMPLES if "moved {" in text))
    added, _, destroyed = apply(root, ai_hosts={"gpu-1": own})
    assert (added, destroyed) == (0, 0)
    assert (root.parent / "called").read_text() == calls


@pytest.mark.long
def test_one_host_is_replaced_and_taken_away_without_the_others(root: Path) -> None:
    one = {"ai_domain": "one.example.com", "ai_address": "192.0.2.11"}
    two = {"ai_domain": "two.example.com", "ai_address": "192.0.2.12"}
    apply(root, ai_hosts={"one": one, "two": two})
    (root.parent / "called").unlink()
    assert apply(root, ai_hosts={"one": one | {"ai_ollama_model": "qwen2.5:1.5b"}, "two": two}) == (1, 1, 1)
    calls = (root.parent / "called").read_text().splitlines()
    assert [line.split()[:2] for line in calls] == [["deploy", "deployer@192.0.2.11"]]
    assert apply(root, ai_hosts={"two": two}) == (0, 0, 3)
    calls = (root.parent / "called").read_text().splitlines()
    assert [line.split()[:2] for line in calls[1:]] == [["destroy", "deployer@192.0.2.11"]]
    assert apply(root, ai_hosts={"two": two}) == (0, 0, 0)


@pytest.mark.long
def test_a_token_given_as_a_value_is_gone_when_the_deploy_is_over(root: Path) -> None:
    """In a file of this user while it runs; in no state, plan or log before and after, also when the deploy fails."""
    canary = "ghp_canary0123456789"
    (root.parent / "ai").write_text(
        f"#!/bin/sh\nstat -c %a .hosts/ai/ghcr-token >../mode\ncat .hosts/ai/ghcr-token >../seen\n"
        f"case $* in *{canary}*) echo in-ps >../mode;; esac\nenv >../environment\nexit 1\n"
    )
    (root / "given.auto.tfvars.json").write_text(json.dumps(GOOD | {"ai_ghcr_token": canary}))
    done = run(root, "apply", "-auto-approve", "-no-color")
    assert done.returncode == 1
    assert (root.parent / "mode").read_text() == "600\n"
    assert (root.parent / "seen").read_text() == f"{canary}\n"
    assert canary not in (root.parent / "environment").read_text()
    (root / "given.auto.tfvars.json").unlink()
    left = [path for path in root.rglob("*") if path.is_file() and canary in path.read_text(errors="replace")]
    assert left == []
    assert canary not in done.stdout + done.stderr
