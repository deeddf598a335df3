"""docs/local-stack.md says what the program says."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from ai_services import exits
from ai_services.cli import app
from ai_services.models.catalogue import catalogue

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "local-stack.md").read_text()


def test_exit_codes() -> None:
    told = dict(re.findall(r"^\| (\d+) \| (.+?) \|$", PAGE, re.MULTILINE))
    assert {int(code): meaning for code, meaning in told.items()} == exits.MEANINGS


def test_the_catalogue() -> None:
    told = re.findall(r"^\| `([^`]+)` \| (.+?) \| (\d+) \| (\d+) \| (.+?) \|$", PAGE, re.MULTILINE)
    known = [(e.name, e.purpose, str(e.size_mib), str(e.memory_mib), e.licence) for e in catalogue()]
    assert told == known


def test_verbs_and_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group, said to be a command
    assert set(re.findall(r"^\| `\./ai (\w+)", PAGE, re.MULTILINE)) == set(commands)
    told = set(re.findall(r"^\| `(--[\w-]+)` \|", PAGE, re.MULTILINE))
    options = {name for item in commands["up"].params for name in (*item.opts, *item.secondary_opts)}
    assert told == options - {"--help", "-h", "--proof"}
