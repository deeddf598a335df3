"""`./ai backup` and `./ai restore` on the command line: what is refused before anybody is asked anything (issue 6)."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.doors import Untouched
from typer.testing import CliRunner

from ai_services.backup.sealing import Seal
from ai_services.cli import app

from .archives import archive, identity, sealed


@pytest.fixture
def untouched() -> Iterator[Untouched]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Untouched(listener)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AI_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def refused(untouched: Untouched, verb: str, *words: str, code: int) -> str:
    done = CliRunner().invoke(app, [verb, f"127.0.0.1:{untouched.port}", *words])
    assert done.exit_code == code, done.output
    assert not untouched.was_contacted(), "the host was contacted"
    return done.output


def test_a_bad_archive_is_refused_before_the_host_is_contacted(untouched: Untouched, tmp_path: Path) -> None:
    key, public = identity(tmp_path)
    whole = sealed(tmp_path / "a.age", archive(), Seal((public,))).read_bytes()
    bad = tmp_path / "bad.age"
    for content, words in (
        (whole[:-10], "damaged, or cut off"),
        (b"PK\3\4" * 100, "no backup of ai-services"),
        (
            sealed(tmp_path / "b.age", archive()[:-2000], Seal((public,))).read_bytes(),
            "This archive is refused. It is cut off",
        ),
    ):
        bad.write_bytes(content)
        for more in (["--verify"], ["--yes"]):
            assert words in refused(untouched, "restore", str(bad), "--identity", str(key), *more, code=5)


def test_what_cannot_be_opened_is_said(untouched: Untouched, tmp_path: Path) -> None:
    _, public = identity(tmp_path)
    other, _ = identity(tmp_path, "other.txt")
    path = str(sealed(tmp_path / "a.age", archive(), Seal((public,))))
    assert "Nothing was given to open it with" in refused(untouched, "restore", path, code=2)
    assert "None of the given identities" in refused(untouched, "restore", path, "--identity", str(other), code=2)
    assert "cannot be read" in refused(untouched, "restore", path, "--identity", "/nowhere", code=2)
    assert "cannot be read" in refused(untouched, "restore", str(tmp_path / "none.age"), code=2)


def test_what_is_no_file_is_not_waited_for(untouched: Untouched, tmp_path: Path) -> None:
    """Nobody may ever write into a pipe; a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path, "/dev/zero"):
        said = refused(untouched, "restore", str(place), code=2)
        assert "is no file" in said
        assert "s3://BUCKET/PREFIX/NAME.age" in said
    for place in ("s3://", "s3://bucket", "s3://bucket/"):
        assert f"{place} names no archive" in refused(untouched, "restore", place, code=2)


def test_nobody_is_asked_for_a_passphrase_where_nobody_is(untouched: Untouched, tmp_path: Path) -> None:
    assert "--passphrase-file" in refused(untouched, "backup", "--passphrase", code=2)
    empty = tmp_path / "empty"
    empty.write_text("\n")
    assert "is empty" in refused(untouched, "backup", "--passphrase-file", str(empty), code=2)


def test_a_private_key_is_no_recipient_and_is_not_repeated(untouched: Untouched, tmp_path: Path) -> None:
    key, _ = identity(tmp_path)
    for words in (key.read_text().splitlines()[-1], str(key)):
        said = refused(untouched, "backup", "--recipient", words, code=2)
        assert "private key" in said
        assert "AGE-SECRET-KEY-1" not in said.replace("AGE-SECRET-KEY-1…", "")
    assert "no recipient" in refused(untouched, "backup", "--recipient", "ann", code=2)


def test_recipients_and_a_passphrase_exclude_each_other(untouched: Untouched, tmp_path: Path) -> None:
    _, public = identity(tmp_path)
    (tmp_path / "words").write_text("correct horse\n")
    words = ["--recipient", public, "--passphrase-file", str(tmp_path / "words")]
    assert "both given" in refused(untouched, "backup", *words, code=2)


def test_a_place_that_names_no_bucket_is_refused(untouched: Untouched) -> None:
    assert "names no bucket" in refused(untouched, "backup", "--to", "s3://", code=2)


def test_a_refused_command_makes_no_key(untouched: Untouched, home: Path) -> None:
    refused(untouched, "backup", "--to", "s3://", code=2)
    assert not home.exists() or not list(home.rglob("*identity*"))
