"""A change as a process of its own on the host, and the lock that it keeps though its operator is dead (B.3)."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import ai_stack
import pytest
from ai_stack import history, runs, tool
from ai_stack.journal import Journal
from ai_stack.lock import Lock, LockedError
from ai_stack.releases import Store, plan
from ai_stack.runs import RunError
from support.stack import wait_until

pytestmark = pytest.mark.promise("B.3")

SOURCES = Path(ai_stack.__file__).parents[1]
OWNER = {"user": "ann", "host": "laptop", "pid": "1"}
WORK = """
import sys
from pathlib import Path
from ai_stack import runs
teller = runs.Teller(sys.argv[1], aloud=False, directory=Path(sys.argv[2]))
teller.say("working")
sys.stdin.read(1)
teller.write({"end": "done", "done": []})
"""


def work(folder: Path, run: str) -> subprocess.Popen[bytes]:
    """A run that ends when a byte comes."""
    words = [sys.executable, "-c", WORK, run, str(folder)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCES)})
    wait_until(lambda: runs.is_begun(run, folder) and runs.lives(run, folder), "it works", 20)
    return process


def test_a_run_is_followed_to_its_end_also_from_the_middle(tmp_path: Path) -> None:
    process = work(tmp_path, "abcdef123456")
    lines = runs.follow("abcdef123456", directory=tmp_path)
    assert next(lines)["say"] == "working"
    assert runs.living(tmp_path) == ["abcdef123456"]
    process.communicate(b"x")
    assert next(lines)["end"] == "done"
    assert [line.get("end") for line in runs.follow("abcdef123456", 1, tmp_path)] == ["done"]
    assert runs.living(tmp_path) == []


def test_a_run_that_was_killed_is_not_waited_for(tmp_path: Path) -> None:
    process = work(tmp_path, "abcdef123456")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(RunError, match="killed before it had come to its end"):
        list(runs.follow("abcdef123456", directory=tmp_path))
    with pytest.raises(RunError, match="There is no change"):
        list(runs.follow("000000000000", directory=tmp_path))
    with pytest.raises(RunError, match="names no run"):
        runs.read("../../etc/passwd", tmp_path)


def test_what_ended_runs_have_told_does_not_pile_up(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number:012}.jsonl").write_text('{"end": "done"}\n')
        os.utime(tmp_path / f"{number:012}.jsonl", (number, number))
    runs.Teller("abcdef123456", aloud=False, directory=tmp_path).say("working")
    left = {path.stem for path in tmp_path.iterdir()}
    assert left == {"abcdef123456", *(f"{number:012}" for number in range(20, 40))}


def test_a_full_run_directory_stops_no_change_and_hides_no_later_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teller = runs.Teller("abcdef123456", aloud=False, directory=tmp_path)
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        write(descriptor, content[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    teller.say("lost")
    monkeypatch.setattr(os, "write", write)
    teller.say("torn with it")
    teller.write({"end": "done"})
    assert [line.get("end") for line in runs.read("abcdef123456", tmp_path)] == ["done"]


def test_a_change_holds_the_lock_and_is_named(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    with lock.change("one", OWNER, "rollback to release abc"):
        with pytest.raises(LockedError, match=r"ann on laptop .*rollback to release abc"):
            lock.acquire("two", OWNER, "deploy", 60)
        with pytest.raises(LockedError), lock.change("two", OWNER, "another"):
            pytest.fail("two changes at once")
    assert lock.holder() is None
    assert not (tmp_path / "lock.json").exists()


def test_the_lock_of_a_dead_run_stays_while_its_change_is_at_work(tmp_path: Path) -> None:
    lock = Lock(tmp_path)
    operator = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lock.acquire("one", OWNER, "upgrade to 0.2.0", 60, operator.pid)
    with lock.change("one", OWNER, "the same"):
        operator.kill()
        operator.wait()
        assert not lock.release("one"), "also not taken from a run that is known to be dead"
        with pytest.raises(LockedError, match=r"upgrade to 0\.2\.0"):
            lock.acquire("two", OWNER, "deploy", 60)
    wait_until(lambda: lock.holder() is None, "the lock is free after the change", 20)


def test_history_knows_what_serves_what_served_and_what_did_not_work(tmp_path: Path) -> None:
    store, log = Store(tmp_path), Journal(tmp_path / "journal.jsonl", "ann@laptop")
    made = [plan(tmp_path, {"compose.yaml": str(number), ".env": ""}, {}) for number in range(4)]
    for number, release in enumerate(made):
        store.stage(release, {"version": f"0.{number}.0", "created": f"2026-01-0{number + 1}"})
    for number in (0, 1, 2):
        with log.step("activate", made[number].id):
            store.switch(made[number].id)
    with pytest.raises(RuntimeError), log.step("activate", made[3].id):
        raise RuntimeError("the model says nothing\nlogs")
    rows = history.releases(tmp_path)
    assert [(row["version"], row["state"]) for row in rows] == [
        ("0.0.0", "ready"), ("0.1.0", "previous"), ("0.2.0", "serves"), ("0.3.0", "failed"),
    ]  # fmt: skip
    assert rows[3]["why"] == "the model says nothing"
    assert history.back(tmp_path) == made[1].id


def test_a_mending_that_failed_closes_no_way_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A served, was not to be mended once, and was left for B: it is what a rollback goes to."""
    store, log = Store(tmp_path), Journal(tmp_path / "journal.jsonl", "ann@laptop")
    a, b = (plan(tmp_path, {"compose.yaml": name, ".env": ""}, {}).id for name in "ab")
    for name in "ab":
        store.stage(plan(tmp_path, {"compose.yaml": name, ".env": ""}, {}), {})
    with log.step("activate", a):
        store.switch(a)
    with pytest.raises(RuntimeError), log.step("activate", a):
        raise RuntimeError("a container was not to be mended")
    with log.step("activate", b):
        store.switch(b)
    assert history.back(tmp_path) == a
    with pytest.raises(RuntimeError), log.step("activate", a):
        raise RuntimeError("it does not start any more")
    with log.step("restore", b):
        pass
    assert history.back(tmp_path) is None
    with pytest.raises(SystemExit) as refused:
        tool.main(["rollback", "--root", str(tmp_path)])
    assert refused.value.code == tool.USAGE
    assert f"Release {a}, which served before, did not work" in capsys.readouterr().err


def test_a_damaged_journal_and_a_damaged_record_are_told_as_far_as_they_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path)
    made = plan(tmp_path, {"compose.yaml": "a", ".env": ""}, {})
    store.stage(made, {"version": None, "images": None})
    store.switch(made.id)
    (tmp_path / "journal.jsonl").write_bytes(
        b'{"step": "one"}\n\xff\xfe\n[1]\n' + b"[" * 100_000 + b'\n{"time": 5, "state": ["x"]}\n{"step": "two", "st'
    )
    for words in (["history", "--json"], ["history"]):
        with pytest.raises(SystemExit) as ended:
            tool.main([*words, "--root", str(tmp_path)])
        assert ended.value.code == 0
    said = json.loads(capsys.readouterr().out.splitlines()[0])
    assert set(said) == {"releases", "journal", "back"}
    assert set(said["releases"][0]) == {"id", "version", "created", "state", "why", "changed", "images"}
    assert said["releases"][0] | {"created": ""} == {
        "id": made.id, "version": "", "created": "", "state": "serves", "why": "", "changed": "", "images": {},
    }  # fmt: skip
    assert [line["step"] for line in said["journal"]] == ["one", ""]
    assert all(set(line) == {"time", "release", "step", "state", "by", "detail"} for line in said["journal"])
    assert all(isinstance(value, str) for line in said["journal"] for value in line.values())


def test_a_release_that_is_more_than_one_step_of_the_data_behind_is_refused(tmp_path: Path) -> None:
    """Migrations are backward compatible by one release; the first service with a database joins by `schemas`."""
    store = Store(tmp_path)
    made = {step: plan(tmp_path, {"compose.yaml": str(step), ".env": ""}, {}).id for step in (1, 2, 3)}
    for step in made:
        store.stage(plan(tmp_path, {"compose.yaml": str(step), ".env": ""}, {}), {"schemas": {"jobs": step}})
    store.switch(made[3])
    tool._check(tmp_path, made[2])
    with pytest.raises(tool.Refused, match=r"2 steps ahead .*one release at a time"):
        tool._check(tmp_path, made[1])
    with pytest.raises(tool.Refused, match="no release"):
        tool._check(tmp_path, "0123456789ab")
