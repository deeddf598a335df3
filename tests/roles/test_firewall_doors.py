"""The role firewall: what ufw is told of the front door and of the doors of an API of before, and what it forgets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "firewall"


def told(folder: Path, **variables: Any) -> dict[str, Any]:
    """What the role's own expressions come to."""
    tasks = yaml.safe_load((ROLE / "tasks" / "ufw.yml").read_text())
    ours = next(task["vars"]["firewall_ufw_ours"] for task in tasks if "firewall_ufw_ours" in task.get("vars", {}))
    names = ("firewall_ufw_rules", "firewall_ufw_ours", "firewall_closed")
    values = {
        "ai_firewall": "on", "ai_grafana_port": 3000, "ai_allowed_networks": ["10.0.0.0/8"],
        "ai_old_api_listeners": [], "firewall_beside": [], "firewall_read": {}, "firewall_ufw": {"stdout_lines": []},
        "firewall_sockets": {"stdout_lines": []}, "firewall_ufw_ours": ours, **variables,
    }  # fmt: skip
    play = {
        "hosts": "localhost", "connection": "local", "gather_facts": False, "vars": values,
        "vars_files": [str(ROLE / "vars" / "main.yml")],
        "tasks": [{"ansible.builtin.debug": {"msg": {name: f"{{{{ {name} }}}}" for name in names}}}],
    }  # fmt: skip
    (folder / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(folder / "play.yml")],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOCAL_TEMP": str(folder / "tmp")},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["localhost"]["msg"]
    return found


def test_old_doors_are_opened_with_the_front_and_never_closed(tmp_path: Path) -> None:
    """Port 8000 would else be whisper-api's, which nobody outside may reach."""
    doors = ["8000", "443 a.example.com certificate=/a key=/b", "80 a.example.com _"]
    found = told(tmp_path, ai_old_api_listeners=doors, firewall_beside=[19000])
    assert found["firewall_ufw_rules"] == ["10.0.0.0/8 80,443", "10.0.0.0/8 8000", "10.0.0.0/8 19000"]
    assert 8000 not in found["firewall_closed"]
    assert 8000 in told(tmp_path)["firewall_closed"]


def test_what_ufw_was_told_is_known_again(tmp_path: Path) -> None:
    said = [
        "Added user rules (see 'ufw status' for running firewall):", "ufw allow 22/tcp",
        "ufw allow from 10.0.0.0/8 to any port 80,443 proto tcp comment 'ai-services'",
        "ufw allow from fc00::/7 to any port 9000 proto tcp comment 'ai-services'",
        "ufw allow 80,443/tcp comment 'ai-services'", "ufw allow 9000/tcp comment 'ai-services'",
    ]  # fmt: skip
    found = told(tmp_path, firewall_ufw={"stdout_lines": said}, ai_allowed_networks=["any"], ai_firewall="off")
    assert found["firewall_ufw_rules"] == []
    assert found["firewall_ufw_ours"] == ["10.0.0.0/8 80,443", "fc00::/7 9000", "any 80,443", "any 9000"]
