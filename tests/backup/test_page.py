"""docs/backup.md: every command that it prints is one, every option is there, its settings are settings."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml
from support import fences

from ai_services.backup.host import archive, places
from ai_services.backup.sealing import PASSPHRASE_LIMIT_BYTES
from ai_services.cli import app
from ai_services.doctor.checks.upkeep import PROVEN_WARNING_S
from ai_services.host.settings_load import SettingsError, load

PAGE = Path(__file__).resolve().parents[2] / "docs" / "backup.md"
TEXT = PAGE.read_text()
BLOCKS = [block for block in fences.blocks() if block.path == PAGE]
COMMANDS = [line for block in BLOCKS if block.language == "bash" for line in block.code.splitlines()]
VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group, said to be a command


@pytest.mark.parametrize("line", COMMANDS)
def test_a_printed_command_is_one_that_ai_takes(line: str) -> None:
    program, verb, *words = shlex.split(line)
    assert program == "./ai"
    assert VERBS[verb].make_context(verb, words).params["host"]


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_every_option_is_explained(verb: str) -> None:
    section = TEXT.split("## Make one" if verb == "backup" else "## Restore\n")[1].split("\n## ")[0]
    told = {
        name for row in re.findall(r"^\| (`--.+?) \|", section, re.MULTILINE) for name in re.findall(r"--[\w-]+", row)
    }
    options = {
        name for item in VERBS[verb].params for name in (*item.opts, *item.secondary_opts) if name.startswith("--")
    }
    assert told == options - {"--help"}


def test_printed_settings_are_right() -> None:
    """Nothing is wrong with them but that their files are not on this machine."""
    (block,) = [block for block in BLOCKS if block.language == "yaml"]
    with pytest.raises(SettingsError) as caught:
        load(yaml.safe_load(block.code))
    assert all(problem.name.endswith("_file") and "is not there" in problem.what for problem in caught.value.problems)


def test_figures_and_names() -> None:
    assert f"up to {PASSPHRASE_LIMIT_BYTES >> 20} MiB" in TEXT
    assert PROVEN_WARNING_S // 86_400 in range(89, 94)
    assert f"/{places.DECLARED[1]}" in TEXT
    assert archive.PART_BYTES <= 4 * 2**20
