"""Keys of a host: made once, each service its own copy, and none of it ever told (S0.12)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.promise("S0.12"), pytest.mark.long]

MODULES = Path(__file__).parents[2] / "ansible" / "plugins"
ANSIBLE = Path(sys.executable).with_name("ansible")
CANARY = "canary-token-4711"
WANTED: dict[str, Any] = {
    "made": ["salt", "api.key", "internal.key"],
    "copies": {
        "gateway": {"api_keys": {"of": ["api.key", "internal.key"], "uid": os.getuid()}},
        "whisper-api": {"api_keys": {"of": ["internal.key"], "uid": os.getuid()}},
    },
    "registry": "ghcr.io",
    "registry_token": CANARY,
}


def make(root: Path, *options: str, **more: Any) -> dict[str, Any]:
    """Run the module as a play does; its result."""
    arguments = json.dumps({"root": str(root), **WANTED, **more})
    done = subprocess.run(
        [
            str(ANSIBLE), "localhost", "-i", "localhost,", "-c", "local", "-M", str(MODULES / "modules"),
            "-e", f"ansible_python_interpreter={sys.executable}", "-m", "ai_secrets", "-a", arguments, *options,
        ],
        env={
            **os.environ, "ANSIBLE_MODULE_UTILS": str(MODULES / "module_utils"), "ANSIBLE_HOME": str(root.parent / "a"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline", "ANSIBLE_LOCALHOST_WARNING": "0",
        },
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert CANARY not in done.stdout + done.stderr
    for key in root.glob("*.key") if root.is_dir() else ():
        assert key.read_text().strip() not in done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])
    return found


def test_keys_are_made_once_and_copied_to_who_reads_them(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    first = make(root, "--diff")
    assert first["changed"]
    keys = {name: (root / name).read_text() for name in ("api.key", "internal.key")}
    assert len(keys["api.key"].strip()) >= 40
    assert keys["api.key"] != keys["internal.key"]
    assert (root / "gateway" / "api_keys").read_text() == keys["api.key"] + keys["internal.key"]
    assert (root / "whisper-api" / "api_keys").read_text() == keys["internal.key"]
    modes = {str(path.relative_to(root)): path.stat().st_mode & 0o777 for path in root.rglob("*")}
    assert modes["gateway"] == 0o700
    assert modes["gateway/api_keys"] == 0o400
    assert modes["docker/config.json"] == 0o600
    second = make(root)
    assert not second["changed"]
    assert second["marks"] == first["marks"]


def test_check_mode_writes_nothing(tmp_path: Path) -> None:
    assert make(tmp_path / "secrets", "--check")["changed"]
    assert not (tmp_path / "secrets").exists()


def test_given_keys_take_the_place_of_made_ones_and_only_their_readers_change(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    before = make(root)["marks"]
    after = make(root, api_keys="one-key\n\n  another-key \n")["marks"]
    assert (root / "api.key").read_text() == "one-key\nanother-key\n"
    assert before["gateway"] != after["gateway"]
    assert before["whisper-api"] == after["whisper-api"]


def test_a_token_that_is_no_longer_given_is_no_longer_kept(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    make(root)
    make(root, registry_token="")
    assert not (root / "docker" / "config.json").exists()


def test_rights_that_somebody_loosened_are_tightened_again(tmp_path: Path) -> None:
    root = tmp_path / "secrets"
    make(root)
    (root / "api.key").chmod(0o644)
    assert make(root)["written"] == [str(root / "api.key")]
    assert (root / "api.key").stat().st_mode & 0o777 == 0o600
