"""Releases on a host's disk: named by content, whole or absent, switched in one step (B.3)."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from ai_stack import journal
from ai_stack.releases import Plan, ReleaseError, Store, plan

pytestmark = pytest.mark.promise("B.3")

OLD = {"compose.yaml": "old @@config/gateway@@\n", ".env": "A=1\n", "deep/er.txt": "x"}
NEW = {"compose.yaml": "new @@config/gateway@@\n", ".env": "A=2\n"}
OLD_CONFIG = {"gateway": {"backends.json": "{}"}}
NEW_CONFIG = {"gateway": {"backends.json": '{"backends": []}'}}


def serving(root: Path) -> Plan:
    """Let a first release serve in `root`."""
    first = plan(root, OLD, OLD_CONFIG)
    store = Store(root)
    store.stage(first, {"version": "1"})
    store.switch(first.id)
    return first


def test_the_same_content_is_the_same_release(tmp_path: Path) -> None:
    again = plan(tmp_path, dict(reversed(OLD.items())), OLD_CONFIG)
    assert plan(tmp_path, OLD, OLD_CONFIG) == again
    assert len(again.id) == 12


@pytest.mark.parametrize(
    ("files", "config"),
    [
        (NEW, OLD_CONFIG),
        (OLD, NEW_CONFIG),
        ({**OLD, "more": ""}, OLD_CONFIG),
        ({**OLD, "deep/er.tx": "tx"}, OLD_CONFIG),
    ],
    ids=["another file", "another mounted file", "one more", "another name"],
)
def test_another_content_is_another_release(
    tmp_path: Path, files: dict[str, str], config: dict[str, dict[str, str]]
) -> None:
    assert plan(tmp_path, files, config).id != plan(tmp_path, OLD, OLD_CONFIG).id


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../b", "release.json", ""])
def test_a_file_that_leads_out_of_the_release_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ReleaseError):
        plan(tmp_path, {name: "x"}, {})


def test_a_mounted_group_that_is_not_given_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="gateway"):
        plan(tmp_path, OLD, {})


def test_what_is_mounted_stays_where_it_is_while_only_other_files_change(tmp_path: Path) -> None:
    """A container is made anew only when what it mounts has changed."""
    first, second = plan(tmp_path, OLD, OLD_CONFIG), plan(tmp_path, {**OLD, ".env": "A=3"}, OLD_CONFIG)
    assert first.id != second.id
    assert first.files["compose.yaml"] == second.files["compose.yaml"]


def test_what_a_container_has_mounted_is_not_exchanged_under_it(tmp_path: Path) -> None:
    """Another release with the same configuration: the directory that is mounted stays that directory."""
    first = serving(tmp_path)
    mounted = tmp_path / "config" / next(iter(first.config))
    before = mounted.stat().st_ino
    second = plan(tmp_path, NEW, OLD_CONFIG)
    assert second.config == first.config
    assert Store(tmp_path).stage(second, {})
    assert mounted.stat().st_ino == before


def test_a_release_says_what_is_in_it(tmp_path: Path) -> None:
    first = serving(tmp_path)
    about = Store(tmp_path).about(first.id)
    assert about["id"] == first.id
    assert about["version"] == "1"
    mounted = tmp_path / "config" / next(iter(first.config)) / "backends.json"
    assert set(about["files"]) == {*OLD, str(mounted)}
    assert about["files"][str(mounted)] == hashlib.sha256(mounted.read_bytes()).hexdigest()
    assert (tmp_path / "compose.yaml").read_text() == first.files["compose.yaml"]
    assert (tmp_path / ".env").read_text() == "A=1\n"


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    first = serving(tmp_path)
    assert not Store(tmp_path).stage(first, {"version": "1"})
    assert not Store(tmp_path).switch(first.id)


def test_a_damaged_release_is_written_anew(tmp_path: Path) -> None:
    first = serving(tmp_path)
    (tmp_path / "releases" / first.id / ".env").write_text("somebody was here")
    assert Store(tmp_path).stage(first, {"version": "1"})
    assert (tmp_path / ".env").read_text() == "A=1\n"


def test_the_previous_release_is_known_after_a_switch(tmp_path: Path) -> None:
    first = serving(tmp_path)
    second = plan(tmp_path, NEW, NEW_CONFIG)
    store = Store(tmp_path)
    store.stage(second, {})
    assert store.current == first.id, "staging changes nothing that serves"
    store.switch(second.id)
    assert (store.current, store.previous) == (second.id, first.id)
    with pytest.raises(ReleaseError, match=first.id):
        store.switch("0123456789ab")


def test_pruning_keeps_the_current_and_the_previous_release(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = []
    for number in range(6):
        made.append(plan(tmp_path, {**OLD, ".env": f"N={number}"}, {"gateway": {"backends.json": str(number)}}))
        store.stage(made[-1], {"created": f"2026-01-0{number + 1}"})
    store.switch(made[0].id)
    store.switch(made[1].id)
    gone = store.prune(3)
    assert set(store.ids()) == {made[0].id, made[1].id, made[5].id}
    assert len(gone) == 3
    assert {path.name for path in (tmp_path / "config").iterdir()} == {
        name for kept in (made[0], made[1], made[5]) for name in kept.config
    }


@pytest.mark.parametrize("damage", ["", "{", '{"id": "x"}'])
def test_pruning_spares_what_serves_also_when_its_record_is_damaged(tmp_path: Path, damage: str) -> None:
    first = serving(tmp_path)
    second = plan(tmp_path, NEW, NEW_CONFIG)
    store = Store(tmp_path)
    store.stage(second, {})
    record = tmp_path / "releases" / first.id / "release.json"
    record.write_text(damage) if damage else record.unlink()
    store.prune(1)
    assert store.is_intact(first)


# -- the power goes ---------------------------------------------------------------------------------------------------

_STEPS = ("fsync", "rename", "symlink", "mkdir", "unlink", "rmdir", "open", "replace")


def dies_at(step: int, work: Callable[[], None]) -> bool:
    """Run `work` in a process that is killed before its `step`-th call that touches the disk. Whether it was."""
    child = os.fork()
    if child == 0:
        left = [step]

        def counting(call: Callable[..., object]) -> Callable[..., object]:
            def counted(*arguments: object, **options: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*arguments, **options)

            return counted

        for name in _STEPS:
            setattr(os, name, counting(getattr(os, name)))
        try:
            work()
        finally:
            sys.stderr.flush()
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_killed_at_any_step_of_a_switch_the_host_has_a_whole_old_or_a_whole_new_release(tmp_path: Path) -> None:
    seen: set[bool] = set()
    for step in range(400):
        root = tmp_path / str(step)
        root.mkdir()
        first = serving(root)
        second = plan(root, NEW, NEW_CONFIG)
        store = Store(root)

        def work(root: Path = root, store: Store = store, second: Plan = second) -> None:
            log = journal.Journal(root / "journal.jsonl", "test@here")
            with log.step("stage", second.id):
                store.stage(second, {"version": "2"})
            with log.step("activate", second.id):
                store.switch(second.id)
            store.prune(5)

        killed = dies_at(step, work)
        serves = {first.id: first, second.id: second}[str(store.current)]
        seen.add(store.current == second.id)
        assert store.is_intact(serves), f"killed at step {step}: {serves.id} is broken"
        assert (root / "compose.yaml").read_text() == serves.files["compose.yaml"]
        assert all(isinstance(line, dict) for line in journal.read(root / "journal.jsonl"))
        work()
        assert store.current == second.id
        assert store.previous == first.id
        assert not [path for path in root.rglob(".*") if path.name != ".env"], "a later run clears away what was left"
        last = journal.read(root / "journal.jsonl")[-1]
        assert (last["step"], last["state"], last["release"]) == ("activate", "done", second.id)
        if not killed:
            break
    else:
        pytest.fail("the work never came to its end")
    assert len(seen) == 2, "the kills hit both sides of the switch"
    assert step > 20


# -- the journal ------------------------------------------------------------------------------------------------------


def test_the_journal_has_a_line_before_and_after_each_step(tmp_path: Path) -> None:
    log = journal.Journal(tmp_path / "journal.jsonl", "somebody@somewhere")
    with log.step("pull", "abc"):
        assert [line["state"] for line in journal.read(log.path)] == ["begun"]
    with pytest.raises(RuntimeError), log.step("activate", "abc"):
        raise RuntimeError("the disk is full")
    lines = journal.read(log.path)
    assert [(line["step"], line["state"]) for line in lines] == [
        ("pull", "begun"), ("pull", "done"), ("activate", "begun"), ("activate", "failed"),
    ]  # fmt: skip
    assert lines[-1]["detail"] == "the disk is full"
    assert lines[-1]["by"] == "somebody@somewhere"
    assert lines[-1]["time"].endswith("Z")


def test_a_line_torn_by_a_power_loss_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    log = journal.Journal(path, "a@b")
    log.write("one", "done", None)
    with path.open("a") as file:
        file.write('{"time": "2026-')
    log.write("two", "done", None)
    assert [line["step"] for line in journal.read(path)] == ["one", "two"]
    assert json.loads(path.read_text().splitlines()[-1])["step"] == "two"


def test_a_journal_does_not_grow_for_ever(tmp_path: Path) -> None:
    log = journal.Journal(tmp_path / "journal.jsonl", "a@b")
    for number in range(100):
        log.write(f"step {number}", "done", None)
    before = log.path.read_bytes()
    assert not journal.trim(log.path)
    assert log.path.read_bytes() == before
    assert journal.trim(log.path, 1000)
    assert 300 < log.path.stat().st_size <= 500
    log.write("step 100", "done", None)
    steps = [line["step"] for line in journal.read(log.path)]
    assert steps == [f"step {number}" for number in range(101 - len(steps), 101)]
