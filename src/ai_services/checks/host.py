"""Checks of what makes a host: playbooks and roles, images, workflows, documents that are made from the settings."""

from __future__ import annotations

import shutil
from pathlib import Path

from ai_services.checks import commands, tree
from ai_services.checks.outcome import Outcome, Skip


def ansible_lint(top: Path) -> Outcome:
    """ansible-lint's strictest profile over playbooks and roles; needs no network and no host."""
    command = [commands.tool("ansible-lint"), "--offline", "--nocolor", "-q", "ansible"]
    status, output = commands.call(command, cwd=top, env=_quiet(top))
    return Outcome.of_check(status == 0, output)


def ansible_syntax(top: Path) -> Outcome:
    """Every playbook is read as a run would read it, roles included, from the top folder and without ansible.cfg."""
    playbooks = sorted(str(path.relative_to(top)) for path in (top / "ansible" / "playbooks").glob("*.yml"))
    command = [commands.tool("ansible-playbook"), "-i", "localhost,", "--syntax-check", *playbooks]
    status, output = commands.call(command, cwd=top, env=_quiet(top) | {"ANSIBLE_CONFIG": "/nonexistent/ansible.cfg"})
    return Outcome.of_check(status == 0 and bool(playbooks), output)


def dockerfiles(top: Path) -> Outcome:
    """Hadolint over every Dockerfile."""
    files = [str(path.relative_to(top)) for path in tree.files(top) if path.name == "Dockerfile"]
    status, output = commands.call([commands.tool("hadolint"), *files], cwd=top)
    return Outcome.of_check(status == 0 and bool(files), output)


def workflows(top: Path) -> Outcome:
    """Actionlint over the workflows, where the program is to be had: no package index carries it for every machine."""
    files = [str(path.relative_to(top)) for path in sorted((top / ".github" / "workflows").glob("*.y*ml"))]
    program = shutil.which("actionlint", path=commands.environment()["PATH"])
    if not files or program is None:
        why = (
            "there are no workflows"
            if not files
            else "actionlint is not installed; the workflows are checked by yamllint only"
        )
        return Outcome(skips=[Skip("workflows", why)])
    status, output = commands.call([program, "-no-color", "-oneline", *files], cwd=top)
    return Outcome.of_check(status == 0, output)


def made_documents(top: Path) -> Outcome:
    """Whether what is made from settings and role specs is what they make of it today."""
    from ai_services.host import documents

    return Outcome.of_findings(documents.outdated(top))


def _quiet(top: Path) -> dict[str, str]:
    return {"ANSIBLE_CONFIG": str(top / "ansible" / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", "NO_COLOR": "1"}
