"""The checks that read files: what they must find, what they must let pass, and that they find our own files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ai_services.checks import hygiene, locks, tree

HASH = "--hash=sha256:" + "0" * 64


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small repository in a path with blanks, without git."""
    top = tmp_path / "a checkout with blanks"
    (top / "requirements").mkdir(parents=True)
    (top / "docs").mkdir()
    (top / "pyproject.toml").write_text('[project]\nname = "ours"\nversion = "0"\ndependencies = ["typer>=0.1"]\n')
    for name in ("local", "dev"):
        (top / "requirements" / f"{name}.in").write_text("ours\n" if name == "local" else "-r local.in\nruff\n")
        pins = [f"typer==0.2 \\\n    {HASH}", *([f"ruff==1.0 \\\n    {HASH}"] if name == "dev" else [])]
        (top / "requirements" / f"{name}.txt").write_text("\n".join(pins) + "\n")
    (top / "docs" / "page.md").write_text(
        "# A page\n\n## Its second part\n\n[here](#its-second-part) [there](page.md)\n"
    )
    tree.files.cache_clear()
    return top


class TestTree:
    def test_without_git_made_things_are_left_out(self, checkout: Path) -> None:
        (checkout / ".venv").mkdir()
        (checkout / ".venv" / "made.py").touch()
        (checkout / "kept.py").touch()
        assert {path.name for path in tree.files(checkout) if path.suffix == ".py"} == {"kept.py"}

    @pytest.mark.skipif(not shutil.which("git"), reason="git is not installed; the walk without it is tested")
    def test_with_git_new_files_count_and_ignored_do_not(self, checkout: Path) -> None:
        subprocess.run(["git", "init", "-q"], cwd=checkout, check=True)
        (checkout / ".gitignore").write_text("ignored.py\n")
        (checkout / "ignored.py").touch()
        (checkout / "new.py").touch()
        assert {path.name for path in tree.files(checkout) if path.suffix == ".py"} == {"new.py"}

    def test_shell_scripts_are_known_by_name_or_first_line(self, checkout: Path) -> None:
        (checkout / "a.sh").touch()
        (checkout / "b").write_text("#!/usr/bin/env bash\n")
        (checkout / "c").write_text("#!/bin/sh\n")
        (checkout / "d").write_text("#!/usr/bin/env python3\n")
        assert [path.name for path in tree.shell_scripts(checkout)] == ["a.sh", "b", "c"]

    def test_ours_are_found(self) -> None:
        names = {str(path.relative_to(tree.root())) for path in tree.shell_scripts(tree.root())}
        assert {"ai", ".ci/run", ".ci/build-ollama", "requirements/compile.sh"} <= names


class TestLocks:
    def test_a_sound_lock_passes(self, checkout: Path) -> None:
        assert locks.findings(checkout) == []

    def test_a_name_that_is_asked_for_and_not_locked(self, checkout: Path) -> None:
        (checkout / "requirements" / "dev.in").write_text("-r local.in\nruff\nmypy\n")
        (found,) = locks.findings(checkout)
        assert "dev.txt lacks mypy, which requirements/dev.in asks for" in found

    def test_a_dependency_of_our_own_package(self, checkout: Path) -> None:
        project = checkout / "pyproject.toml"
        project.write_text(project.read_text().replace('"typer>=0.1"', '"typer>=0.1", "rich"'))
        assert any(
            "local.txt lacks rich, which pyproject.toml of the root asks for" in f for f in locks.findings(checkout)
        )

    def test_a_version_that_no_longer_fits(self, checkout: Path) -> None:
        project = checkout / "pyproject.toml"
        project.write_text(project.read_text().replace("typer>=0.1", "typer>=0.3"))
        assert any("pins typer to 0.2" in found for found in locks.findings(checkout))

    def test_a_pin_without_a_hash(self, checkout: Path) -> None:
        lock = checkout / "requirements" / "dev.txt"
        lock.write_text(lock.read_text().replace(f"ruff==1.0 \\\n    {HASH}", "ruff==1.0"))
        (found,) = locks.findings(checkout)
        assert "ruff has no sha256 hash" in found

    def test_users_and_tests_on_different_versions(self, checkout: Path) -> None:
        lock = checkout / "requirements" / "dev.txt"
        lock.write_text(lock.read_text().replace("typer==0.2", "typer==0.4"))
        (found,) = locks.findings(checkout)
        assert "typer is 0.2 in local.txt and 0.4 in dev.txt" in found

    def test_the_set_that_deploys_is_compared_too(self, checkout: Path) -> None:
        (checkout / "requirements" / "deploy.in").write_text("-r local.in\nansible\n")
        pins = f"typer==0.2 \\\n    {HASH}\nansible==12.0 \\\n    {HASH}\n"
        (checkout / "requirements" / "deploy.txt").write_text(pins)
        (found,) = locks.findings(checkout)
        assert "ansible is 12.0 in deploy.txt and missing in dev.txt" in found


class TestHygiene:
    def test_a_clean_tree_passes(self, checkout: Path) -> None:
        assert hygiene.findings(checkout) == []

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("see https://py" + "pi.org/project/x", "registry"),
            ("https://files.python" + "hosted.org/packages/x.whl", "registry"),
            ("deb http://" + "deb.deb" + "ian.org/x", "registry"),
            ("x = 1  # TO" + "DO: later", "left-over"),
            ("<" * 7 + " HEAD\n", "conflict"),
        ],
    )
    def test_what_must_not_stand_there(self, checkout: Path, text: str, words: str) -> None:
        (checkout / "a.py").write_text(f"first = 1\n{text}\n")
        (found,) = hygiene.findings(checkout)
        assert found.startswith("a.py:2: ")
        assert words in found

    def test_a_heavy_file(self, checkout: Path) -> None:
        (checkout / "model.bin").write_bytes(bytes(hygiene.MAX_FILE_BYTES + 1))
        (found,) = hygiene.findings(checkout)
        assert found.startswith("model.bin: 1000001 bytes")

    def test_a_lock_that_records_addresses(self, checkout: Path) -> None:
        (checkout / "uv.lock").touch()
        assert len(hygiene.findings(checkout)) == 1

    @pytest.mark.parametrize(
        ("link", "dead"),
        [
            ("[a](page.md)", False),
            ("[a](page.md#its-second-part)", False),
            ("[a](../pyproject.toml)", False),
            ("[a](/docs/page.md)", False),
            ("[a](https://example.org/nowhere)", False),
            ("```\n[a](nowhere.md)\n```", False),
            ("[a](nowhere.md)", True),
            ("![a](nowhere.png)", True),
            ("[a](page.md#its-third-part)", True),
            ("[a](#nothing)", True),
        ],
    )
    def test_links(self, checkout: Path, link: str, dead: bool) -> None:
        (checkout / "docs" / "other.md").write_text(f"# Other\n\n{link}\n")
        assert len(hygiene.findings(checkout)) == int(dead)
