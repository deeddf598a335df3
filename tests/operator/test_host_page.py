"""docs/host.md: every command that it prints is one, every YAML block is settings, every option is there."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer.main
import yaml
from support import fences

from ai_services.cli import app
from ai_services.host import documents
from ai_services.host.settings_load import SettingsError, load

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "host.md"
BLOCKS = [block for block in fences.blocks() if block.path == PAGE]
COMMANDS = [line for block in BLOCKS if block.language == "bash" for line in block.code.splitlines()]
VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group, said to be a command


def test_it_has_commands_of_every_kind() -> None:
    assert sum(line.startswith("./ai deploy") for line in COMMANDS) > 5
    assert any(line.startswith("./ai destroy") for line in COMMANDS)


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("./ai")])
def test_a_printed_command_is_one_that_ai_takes(line: str) -> None:
    words = shlex.split(line)[1:]
    command = VERBS[words[0]]
    if "--help" not in words:
        assert command.make_context(words[0], words[1:]).params["host"]


@pytest.mark.parametrize("line", [line for line in COMMANDS if "ansible-playbook" in line])
def test_a_printed_playbook_is_there(line: str) -> None:
    (playbook,) = re.findall(r"\S+/playbooks/\S+\.yml", line)
    assert (ROOT / playbook).is_file()
    for name in re.findall(r"`(\w+\.yml)` (?:plans|only|removes)", PAGE.read_text()):
        assert (ROOT / playbook).with_name(name).is_file()


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language == "yaml"], ids=str)
def test_printed_settings_are_right(block: fences.Block) -> None:
    """Nothing is wrong with them but that their files are not on this machine."""
    with pytest.raises(SettingsError) as caught:
        load(yaml.safe_load(block.code))
    assert all(problem.name.endswith("_file") and "is not there" in problem.what for problem in caught.value.problems)


def test_every_option_is_explained() -> None:
    told = {
        name
        for row in re.findall(r"^\| (`--.+?) \|", PAGE.read_text(), re.MULTILINE)
        for name in re.findall(r"--[\w-]+", row)
    }
    options = {name for item in VERBS["deploy"].params for name in item.opts if name.startswith("--")}
    assert told == options - {"--help"}


def test_made_documents_are_up_to_date() -> None:
    assert documents.outdated(ROOT) == []


def test_a_made_document_that_was_changed_by_hand_is_found(tmp_path: Path) -> None:
    for part in ("terraform", "ansible"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns(".terraform", ".hosts", "molecule"))
    for path, text in documents.documents(tmp_path).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert documents.outdated(tmp_path) == []
    (tmp_path / "docs" / "settings.md").write_text("other")
    (found,) = documents.outdated(tmp_path)
    assert "docs/settings.md" in found
    assert ".venv/bin/python -m ai_services.host.documents" in found


def test_the_example_is_right_as_it_stands_and_with_everything_taken_in() -> None:
    """What is wrong is only that the example's files are not here; each setting stands there once."""
    text = documents.example()
    bare = yaml.safe_load(text)
    assert set(bare) == {"ai_domain", "ai_github_owner", "ai_cloudflare_token_file"}
    everything = yaml.safe_load(re.sub(r"^# (?=ai_\w+: )", "", text, flags=re.MULTILINE))
    for values in (bare, {name: value for name, value in everything.items() if not name.startswith("ai_tls_")}):
        with pytest.raises(SettingsError) as caught:
            load(values)
        assert {problem.name for problem in caught.value.problems} == {
            n for n in values if n.endswith("_file") and values[n]
        }
