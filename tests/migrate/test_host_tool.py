"""The host's half of a migration, called as the operator's side calls it: what it is asked, and what it answers."""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
from ai_stack.engine import Engine
from ai_stack.journal import Journal
from ai_stack.migration import front, keeping, relay, takeover, tool
from ai_stack.migration.state import MigrationError, State

from ai_services.host.remote import Done
from ai_services.migrate import host_tool
from ai_services.migrate.host_tool import HostTool, LockedError
from ai_services.migrate.on_host import look

ORDER = {"id": "20261121-210000-abcdef", "old": {"containers": [], "units": []}, "keep_files": []}


def test_each_port_has_a_helper_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-p 9000:9000 -p 9001:9000`: nginx takes no two doors on one port."""
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**ORDER, "redirects": [9000, 9001], "needs_relay": True})))
    order = tool._begin(argparse.Namespace(by="me@here"))["state"]["order"]
    assert len({*order["in_place_of"].values(), order["relay_port"]}) == 3


def test_an_answer_may_have_what_others_call_an_end_of_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A comment in a site of nginx, copied from a page, is part of the plan that the host keeps."""
    words = "server { # Whisper\u2028behind nginx\u0085\n}"
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**ORDER, "found": words})))
    tool._begin(argparse.Namespace(by="me@here"))

    class Remote:
        """Says what the tool says there."""

        def run(self, *_: Any, **__: Any) -> Done:
            with pytest.raises(SystemExit):
                tool.main(["state"])
            return Done(0, capsys.readouterr().out.encode(), b"")

    monkeypatch.setattr(tool, "_busy", list)
    assert HostTool(cast("Any", Remote())).call("state")["state"]["order"]["found"] == words


def test_so_may_what_a_long_step_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "_busy", list)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(ORDER)))
    tool._begin(argparse.Namespace(by="me@here"))
    said = ['{"say": "no\u2028model"}', '{"ok": true}']
    (tmp_path / "migration" / str(ORDER["id"]) / "whisper.said").write_text("\n".join(said) + "\n", encoding="utf-8")
    answer = tool._said(argparse.Namespace(arguments=["whisper", "0"]))
    assert answer["lines"] == said
    assert tool._said(argparse.Namespace(arguments=["whisper", "1"]))["lines"] == said[1:]


def test_a_file_of_two_names_is_kept_under_both(tmp_path: Path) -> None:
    """And what stands behind it in the archive can be read."""
    one, two, three = (tmp_path / name for name in ("a.conf", "b.conf", "c.conf"))
    one.write_text("server {}\n" * 100)
    two.hardlink_to(one)
    three.write_text("behind them\n")
    state = State.begin(tmp_path / "ai", {**ORDER, "keep_files": [str(one), str(two), str(three)]})
    keeping.keep(state, Engine())
    with tarfile.open(state.folder / "files.tar") as archive:
        kept = {member.name: archive.extractfile(member) for member in archive}
        contents = [found.read() for found in kept.values() if found]
    assert contents == [one.read_bytes(), one.read_bytes(), three.read_bytes()]


def test_a_sweep_that_is_cut_off_leaves_a_host_that_can_be_migrated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its state went before the folder that has it: the next run was told of a migration of which nothing was known."""
    state = State.begin(tmp_path, ORDER)
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(look, "MIGRATIONS", str(tmp_path / "migration"))
    for where, name in ((takeover, "no_guard"), (relay, "down"), (front, "no_redirect")):
        monkeypatch.setattr(where, name, lambda: None)

    def cut_off(_: Path) -> None:
        (state.folder / "state.json").unlink()
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", cut_off)
    with pytest.raises(KeyboardInterrupt):
        tool._sweep(argparse.Namespace(by="me@here", token=""))
    assert look.migration() == {}


class TestGone:
    """Asked where no migration is known; the tool that asks leaves no trace there."""

    CHOSEN = argparse.Namespace(by="me@here", token="")

    @pytest.fixture(autouse=True)
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        root = tmp_path / "ai"
        (root / "migration").mkdir(parents=True)
        monkeypatch.setattr(tool, "ROOT", root)
        monkeypatch.setattr("sys.argv", [str(root / "migration" / "tool")])
        for name in ("tool", ".made-root"):
            (root / "migration" / name).write_text("")
        return root

    def test_a_host_that_never_was_migrated_is_as_it_was(self, root: Path) -> None:
        assert tool._gone(self.CHOSEN) == {"back": None}
        assert not root.exists()

    def test_one_whose_sweep_was_cut_off_is_swept(self, root: Path) -> None:
        (root / "migration" / str(ORDER["id"])).mkdir()
        Journal(root / "journal.jsonl", "ann@laptop").write("migrate:undo:sweep", "done", None)
        back = tool._gone(self.CHOSEN)["back"]
        assert back["by"] == "ann@laptop"
        assert [path.name for path in root.iterdir()] == ["journal.jsonl"]

    def test_a_deploy_after_it_is_another_story(self, root: Path) -> None:
        for step in ("migrate:undo:sweep", "activate"):
            Journal(root / "journal.jsonl", "ann@laptop").write(step, "done", None)
        assert tool._gone(self.CHOSEN) == {"back": None}

    def test_what_is_kept_of_a_host_stays_though_its_state_cannot_be_read(self, root: Path) -> None:
        (root / "migration" / str(ORDER["id"])).mkdir()
        assert tool._gone(self.CHOSEN) == {"back": None}
        assert (root / "migration" / str(ORDER["id"])).is_dir()


def test_the_release_that_is_to_serve_is_on_the_disk_before_its_step_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power loss left an empty file behind a step that was done: no run could go on from there."""
    state = State.begin(tmp_path, {**ORDER, "old": {"api": "unknown"}})
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    written: list[Path] = []
    monkeypatch.setattr(tool, "write_file", lambda path, *_, **__: written.append(path))
    place = state.folder / takeover.WHOLE
    place.write_text("")
    with pytest.raises(MigrationError, match="not written yet"):
        tool._standby(argparse.Namespace(by="me@here"))
    place.write_text("0123456789ab\n")
    tool._standby(argparse.Namespace(by="me@here"))
    assert written == [place]


@pytest.mark.parametrize("is_taken", [False, True])
def test_a_machine_that_slept_takes_the_host_again_or_stops(monkeypatch: pytest.MonkeyPatch, is_taken: bool) -> None:
    """A lease of a minute ends while a laptop sleeps. Ansible went on where it had been, beside whoever came after."""
    locks: list[str] = []
    looked = threading.Event()

    def call(_: HostTool, command: str, *arguments: str, **__: Any) -> dict[str, Any]:
        if command == "lock":
            locks.append(arguments[0])
        elif is_taken:
            raise LockedError("ann on laptop has been at work on this host", {})
        if len(locks) > 1:
            looked.set()
        return {"held": len(locks) > 1}

    nobody: Any = None
    monkeypatch.setattr(host_tool, "_REFRESH_S", 0.01)
    monkeypatch.setattr(HostTool, "call", call)
    held = HostTool(nobody)
    held.lock("migrate")
    if is_taken:
        with pytest.raises(LockedError, match="ann on laptop"):
            _until_it_insists(held)
    else:
        assert looked.wait(5)
        held.insist()
        assert locks == ["migrate", "migrate"]
    monkeypatch.setattr(HostTool, "call", lambda *_, **__: {"released": True})
    held.release()


def _until_it_insists(held: HostTool) -> None:
    ends_at = time.monotonic() + 5
    while time.monotonic() < ends_at:
        held.insist()
        time.sleep(0.01)
