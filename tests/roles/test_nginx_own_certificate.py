"""The role nginx: an own certificate that came, and a run that ends before nginx was told of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROLE = Path(__file__).resolve().parents[2] / "ansible" / "roles" / "nginx"


@pytest.mark.skipif(os.geteuid() != 0, reason="the role gives its files to root")
def test_a_certificate_that_nginx_was_not_told_of_is_owed(tmp_path: Path) -> None:
    """The next run finds the files right, and would leave nginx with the certificate of before until it expires."""
    owed = tmp_path / "run" / "nginx-reload"
    for name in ("their.crt", "their.key"):
        (tmp_path / name).write_text("of before\n")

    def run_that_is_cut_off() -> str:
        play = {
            "hosts": "localhost", "connection": "local", "gather_facts": False,
            "vars": {
                "nginx_own_files": [
                    {"src": str(tmp_path / f"their.{kind}"), "dest": str(tmp_path / f"own.{kind}"), "mode": "0600"}
                    for kind in ("crt", "key")
                ],
                "nginx_owed": str(owed), "ansible_python_interpreter": sys.executable,
            },
            "handlers": [{"name": "Reload nginx", "ansible.builtin.debug": {"msg": "reloaded"}}],
            "tasks": [
                {"ansible.builtin.import_tasks": str(ROLE / "tasks" / "own_certificate.yml")},
                {"ansible.builtin.fail": {"msg": "cut off"}},
            ],
        }  # fmt: skip
        (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(tmp_path / "play.yml")],
            capture_output=True, text=True, check=False, timeout=120,
            env={**os.environ, "ANSIBLE_LOCAL_TEMP": str(tmp_path / "tmp")},
        )  # fmt: skip
        assert "cut off" in done.stdout
        return done.stdout

    assert "reloaded" not in run_that_is_cut_off()
    assert (tmp_path / "own.crt").read_text() == "of before\n"
    assert owed.exists()
    owed.unlink()
    assert "changed=0" in run_that_is_cut_off()
    assert not owed.exists()
    (tmp_path / "their.key").write_text("of now\n")
    run_that_is_cut_off()
    assert owed.exists()
