"""What the role ai_stack would put on a host, rendered by Ansible itself with the role's own variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "ansible" / "roles" / "ai_stack"
# What earlier tasks of the role have found out by the time the files are rendered.
FOUND = {
    "role_path": str(ROLE),
    "ai_github_owner": "octo-org",
    "ai_stack_secrets": {"marks": {"gateway": "0a" * 6, "whisper-api": "0b" * 6, "prometheus": "0c" * 6}},
    "ai_stack_images_found": {"api": "1.45"},
    "ai_stack_pins": (
        "{{ dict(ai_stack_images.keys() | zip(ai_stack_images.values()"
        " | map('regex_replace', '$', '@sha256:' ~ 'ab' * 32))) }}"
    ),
}


@dataclass(frozen=True)
class Rendered:
    """The files of one release: `files` in it, `config` by group, both as text."""

    files: dict[str, str]
    config: dict[str, dict[str, str]]

    @property
    def compose(self) -> dict[str, Any]:
        """The compose file, parsed."""
        found: dict[str, Any] = yaml.safe_load(self.files["compose.yaml"])
        return found


def render(folder: Path, cases: dict[str, dict[str, Any]]) -> dict[str, Rendered]:
    """Render every case (name -> variables) in one run of ansible-playbook; `folder` takes what it needs."""
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "tasks": [
            {
                "name": name,
                "ansible.builtin.copy": {
                    "dest": str(folder / f"{name}.json"),
                    "content": "{{ {'files': ai_stack_files, 'config': ai_stack_config} | to_json }}",
                    "mode": "0600",
                },
                "vars": {**FOUND, **variables},
            }
            for name, variables in cases.items()
        ],
    }
    (folder / "play.json").write_text(json.dumps([play]))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            str(folder / "play.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_HOME": str(folder / "ansible")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: Rendered(**json.loads((folder / f"{name}.json").read_text())) for name in cases}
