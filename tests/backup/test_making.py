"""A host that is backed up is not believed before its archive is whole, and cannot keep anybody waiting (issue 6)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup import making, onhost
from ai_services.backup.host.archive import Manifest
from ai_services.backup.host.store import Folder, StoreError
from ai_services.backup.making import Made
from ai_services.backup.sealing import Seal
from ai_services.console import Screen
from ai_services.exits import OperatorError
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.verbs import backup

from .archives import archive, identity, manifest

HOSTNAME = "its-own-name"


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Target]:
    """A host whose answer is what a piece of Python writes; what it was told afterwards lies in `told`."""

    def host(code: str) -> Target:
        script = tmp_path / "host.py"
        script.write_text(code)

        def command(self: Target, remote: str) -> list[str]:
            # The last word says what is asked: `collect` is the script's, `record` is noted.
            told = (
                f"import sys; raw = sys.stdin.buffer.read(); open({str(tmp_path / 'told')!r}, 'ab').write(raw[-200:])"
            )
            return [sys.executable, *([str(script)] if "collect" in remote else ["-c", told])]

        monkeypatch.setattr(Target, "command", command)
        monkeypatch.setattr(onhost, "_ALIVE", ())
        return Target.parse("gpu-1", home=tmp_path)

    return host


def whole(content: bytes) -> str:
    return f"import sys; sys.stdin.buffer.read(); sys.stdout.buffer.write({content!r})"


def made(target: Target, place: Any, public: str, keep: int = 0) -> Made:
    return making.make(target, place, lambda _: Seal((public,)), {}, keep, lambda done, total=None: None)


@pytest.mark.parametrize(
    "code",
    [
        "while True: sys.stdout.buffer.write(b'Welcome to this machine!' * 1000)",
        f"sys.stdout.buffer.write({archive()[:1500]!r})\nwhile True: sys.stdout.buffer.write(b'x' * 4096)",
    ],
    ids=["no archive", "no end"],
)
@pytest.mark.timeout(60)
def test_a_host_that_goes_on_talking_is_ended(code: str, says: Callable[[str], Target], tmp_path: Path) -> None:
    _, public = identity(tmp_path)
    target = says(f"import sys\nsys.stdin.buffer.read()\n{code}")
    with pytest.raises(OperatorError, match="no whole backup"):
        made(target, Folder(tmp_path / "kept"), public)
    assert not list((tmp_path / "kept").glob("*")) if (tmp_path / "kept").exists() else True


def test_a_host_that_fails_in_the_middle_says_why_and_nothing_is_kept(
    says: Callable[[str], Target], tmp_path: Path
) -> None:
    _, public = identity(tmp_path)
    content = archive(dumps={stream: bytes(2**20) for stream in manifest().streams})
    target = says(whole(content[: len(content) // 2]) + "; sys.stdout.flush(); sys.exit('the dump failed')")
    with pytest.raises(OperatorError, match="gpu-1: the dump failed"):
        backup.one(target, Folder(tmp_path / "kept"), lambda _: Seal((public,)), {}, 0, Screen(json=True))
    assert list((tmp_path / "kept").iterdir()) == []
    said = (tmp_path / "told").read_bytes()
    noted = json.loads(said[said.index(b'{"made"') :])
    assert not noted["made"]["ok"], "the doctor is to know of it"
    assert "the dump failed" in noted["made"]["detail"]


def test_an_archive_has_the_name_that_its_operator_gives_the_host(
    says: Callable[[str], Target], tmp_path: Path
) -> None:
    """A host that lies about its name must not push out another's archives."""
    _, public = identity(tmp_path)
    place = Folder(tmp_path / "kept")
    target = says(whole(archive(manifest(host="another"))))
    theirs = place.path / "ai-backup_another_20200101T000000Z_0123456789abcdef.age"
    theirs.parent.mkdir()
    theirs.touch()
    found = made(target, place, public, keep=1)
    assert Path(found.kept.where).name.startswith("ai-backup_gpu-1_")
    assert theirs.exists()


def test_one_that_is_kept_is_kept_though_the_oldest_cannot_go(says: Callable[[str], Target], tmp_path: Path) -> None:
    class Worm(Folder):
        def remove(self, name: str) -> None:
            raise StoreError("The key may not do that there.")

    _, public = identity(tmp_path)
    place = Worm(tmp_path / "kept")
    target = says(whole(archive()))
    old = place.path / "ai-backup_gpu-1_20200101T000000Z_0123456789abcdef.age"
    old.parent.mkdir()
    old.touch()
    found = made(target, place, public, keep=1)
    assert Path(found.kept.where).is_file()
    assert (found.removed, found.not_removed) == ([], "The key may not do that there.")


def test_one_that_is_kept_is_kept_though_the_host_cannot_be_told(
    says: Callable[[str], Target], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise OperatorError("the connection is gone")

    monkeypatch.setattr(backup, "record", gone)
    _, public = identity(tmp_path)
    place = Folder(tmp_path / "kept")
    found = backup.one(says(whole(archive())), place, lambda _: Seal((public,)), {}, 0, Screen(json=True))
    assert isinstance(found.manifest, Manifest)
    assert len(place.names()) == 1


def test_the_end_of_a_call_is_its_own_words(says: Callable[[str], Target]) -> None:
    target = says("import sys; sys.stdin.buffer.read(); sys.exit('Nothing is deployed here.')")
    with pytest.raises(OperatorError, match=r"gpu-1: Nothing is deployed here\."):
        onhost.ask(target, "collect")


def test_two_that_make_the_first_key_at_a_time_have_the_same(tmp_path: Path) -> None:
    """The later must not replace what an archive is sealed to already."""
    from concurrent.futures import ThreadPoolExecutor

    home = Home(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: backup.own_recipient(home, Screen(json=True)), range(8)))
    assert len(keys) == 1
    path = backup.identity_file(home)
    assert next(iter(keys)) in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_without_recipients_is_no_reason_to_take_another_key(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nobody yet\n")
    with pytest.raises(OperatorError, match="names no recipient"):
        backup.sealed_to(backup.Wish("gpu-1", recipients=[str(tmp_path / "empty.txt")]), None, None, {})  # type: ignore[arg-type]  # neither is asked


@pytest.mark.parametrize(("config", "opens"), [(None, "age1host"), ("ai.yml", "age1file")])
def test_an_ai_yml_that_merely_lies_here_seals_nothing_of_another_host(config: str | None, opens: str) -> None:
    """Its recipients are another host's; whoever names it means it."""
    given = {"ai_domain": "other.example.com", "ai_backup_recipients": ["age1file"]}
    decide = backup.sealed_to(backup.Wish("gpu-1", config=config), Home(Path("/nowhere")), Screen(json=True), given)
    assert decide(manifest(settings={"ai_backup_recipients": ["age1host"]})).recipients == (opens,)
    assert decide(manifest(domain="other.example.com")).recipients == ("age1file",)
