"""The checks of what makes a host find what is wrong, and say where."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ai_services.checks import host, tree

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A small repository with a playbook and an image."""
    playbooks = tmp_path / "ansible" / "playbooks"
    playbooks.mkdir(parents=True)
    shutil.copy(ROOT / "ansible" / "ansible.cfg", tmp_path / "ansible")
    shutil.copy(ROOT / ".ansible-lint", tmp_path)
    (playbooks / "site.yml").write_text(
        "---\n- name: One\n  hosts: all\n  tasks:\n    - name: Look\n      ansible.builtin.ping:\n"
    )
    (tmp_path / "Dockerfile").write_text("FROM debian:13\nUSER 1000\n")
    tree.files.cache_clear()
    return tmp_path


def test_what_is_right_passes(top: Path) -> None:
    assert host.ansible_syntax(top).ok
    assert host.ansible_lint(top).ok
    assert host.dockerfiles(top).ok


def test_a_playbook_that_names_a_role_that_is_not_there(top: Path) -> None:
    playbook = top / "ansible" / "playbooks" / "site.yml"
    playbook.write_text(playbook.read_text() + "  roles:\n    - role: nowhere\n")
    outcome = host.ansible_syntax(top)
    assert not outcome.ok
    assert "nowhere" in outcome.output


def test_a_short_module_name(top: Path) -> None:
    playbook = top / "ansible" / "playbooks" / "site.yml"
    playbook.write_text(playbook.read_text().replace("ansible.builtin.ping", "ping"))
    outcome = host.ansible_lint(top)
    assert not outcome.ok
    assert "fqcn" in outcome.output


def test_an_image_of_no_certain_version(top: Path) -> None:
    (top / "Dockerfile").write_text("FROM debian\n")
    outcome = host.dockerfiles(top)
    assert not outcome.ok
    assert "DL3006" in outcome.output


def test_workflows_are_left_out_with_a_sentence_or_checked(top: Path) -> None:
    assert [skip.reason for skip in host.workflows(top).skips] == ["there are no workflows"]
    folder = top / ".github" / "workflows"
    folder.mkdir(parents=True)
    (folder / "a.yml").write_text("on: push\njobs:\n  one:\n    runs-on: ubuntu-24.04\n    stepz: []\n")
    outcome = host.workflows(top)
    if outcome.skips:
        assert "actionlint is not installed" in outcome.skips[0].reason
    else:
        assert "stepz" in outcome.output
