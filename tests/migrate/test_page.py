"""docs/migrate.md shows what the program says, and names what it has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from ai_services import __version__
from ai_services.cli import app
from ai_services.host import connect
from ai_services.host.remote import Remote
from ai_services.verbs import migrate

from .worlds import seen

TOP = Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "migrate.md").read_text()
TROUBLES = (TOP / "docs" / "troubleshooting.md").read_text()


def transcript(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a dry run says of the recorded host with other sites, under names of examples."""
    world = seen("venv-sites")
    (folder / "ai.yml").write_text('ai_github_owner: octo-org\nai_tls: "off"\n')
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AI_HOME", str(folder / "home"))
    monkeypatch.setattr(connect, "reach", lambda target, *_, **__: target)
    monkeypatch.setattr(Remote, "open", classmethod(lambda cls, target, screen=None: cls(target)))
    monkeypatch.setattr(migrate, "look", lambda *_: world)
    said = CliRunner().invoke(app, ["migrate", "deployer@192.168.20.30", "--dry-run"]).stdout
    said = said.replace(f":{__version__}", ":1.2.3")
    return re.sub(r"(whisper|family|notes)-[\w-]+\.lab\.test", r"\1.example.com", said)


def test_the_transcript(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line in this order; "…" stands for lines that are left out."""
    said = iter(transcript(tmp_path, monkeypatch).splitlines())
    block = PAGE.split("```text\n", 1)[1].split("```", 1)[0]
    shown = [line for line in block.splitlines() if line.strip() != "…"]
    assert len(shown) > 30
    assert [line for line in shown if line not in said] == []


def test_every_option() -> None:
    command = typer.main.get_command(app).commands["migrate"]  # type: ignore[attr-defined]  # a group, said to be a command
    options = {name for item in command.params for name in item.opts if name.startswith("--")}
    assert {name for name in options if f"`{name}`" not in PAGE} == set()


def test_every_refusal_and_warning_is_explained() -> None:
    codes = set()
    for path in (TOP / "src/ai_services/migrate").glob("plan*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if isinstance(node, ast.Call) and name in ("notes.refuse", "notes.warn", "Note"):
                code = node.args[0]
                codes.add(code.value if isinstance(code, ast.Constant) else "port_…")
    section = TROUBLES.split("### What a migration refuses\n", 1)[1].split("\n## ", 1)[0]
    told = set(re.findall(r"^\| `([\w…]+)` \|", section, re.MULTILINE))
    assert len(codes) > 15
    assert told == codes
