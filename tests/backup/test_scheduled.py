"""What a host makes by itself: kept, noted, and noted too where it did not work (issue 6)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_services.backup.host import record, scheduled, store
from ai_services.backup.host.collect import CollectError, collect
from ai_services.backup.host.store import Folder, StoreError
from ai_services.doctor import observe_release

from . import world

# What `age` does here is to pass on; that it seals is shown on the lab's hosts.
AGE = "#!/bin/sh\nexec cat\n"
RUN = """
import sys
from pathlib import Path
from ai_services.backup.host import collect, record, scheduled
root = Path(sys.argv[1])
taken = collect.collect
scheduled.collect = lambda given: taken(given, root)
noted = record.note
scheduled.record.note = lambda news: noted(news, root / "opt/ai/backup.json")
scheduled.stop_with_words()
try:
    print(scheduled.run(root / "opt/ai/backup").where)
except scheduled.EXPECTED as error:
    sys.exit(scheduled.words(error))
"""


@pytest.fixture
def deployed(tmp_path: Path) -> Path:
    root = world.host(tmp_path / "host")
    world.put(tmp_path / "tools" / "age", AGE, 0o755)
    world.put(root / "opt/ai/backup/recipients", "age1x\n")
    world.put(root / "opt/ai/backup/plan.json", json.dumps({"to": str(tmp_path / "kept"), "keep": 2}))
    return root


@pytest.fixture
def run(deployed: Path, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    def begin() -> subprocess.Popen[str]:
        environment = {
            **os.environ, "PATH": f"{tmp_path / 'tools'}:{os.environ['PATH']}", "PYTHONPATH": str(world.PROGRAM),
        }  # fmt: skip
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [sys.executable, "-c", RUN, str(deployed)], env=environment, stdout=pipe, stderr=pipe, text=True
        )

    return begin


def noted(root: Path) -> dict[str, Any]:
    return dict(json.loads((root / "opt/ai/backup.json").read_text()))


def test_three_nights_leave_two(run: Callable[[], subprocess.Popen[str]], deployed: Path, tmp_path: Path) -> None:
    for _ in range(3):
        said, wrong = run().communicate()
        assert not wrong
    assert len(list((tmp_path / "kept").iterdir())) == 2
    assert (noted(deployed)["ok"], noted(deployed)["where"]) == (True, said.strip())


def test_one_that_is_told_to_stop_leaves_nothing_and_is_noted(
    run: Callable[[], subprocess.Popen[str]], deployed: Path, tmp_path: Path
) -> None:
    """As its unit is after six hours, or when the machine goes down."""
    world.put(tmp_path / "tools" / "age", "#!/bin/sh\nexec sleep 60\n", 0o755)
    process = run()
    until = time.monotonic() + 30
    while not list((tmp_path / "kept").glob(".*")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, wrong = process.communicate(timeout=30)
    assert "told to stop" in wrong
    assert list((tmp_path / "kept").iterdir()) == []
    assert not noted(deployed)["ok"]
    assert "told to stop" in noted(deployed)["detail"]


def test_one_that_is_told_to_stop_while_age_starts_leaves_no_age(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process was there and nobody had it: its end was waited for by whoever read the run's output."""
    begun: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def told(*_: Any, **more: Any) -> subprocess.Popen[bytes]:
        begun.append(start(["sleep", "60"], **more))
        signal.raise_signal(signal.SIGTERM)
        return begun[0]

    monkeypatch.setattr(subprocess, "Popen", told)
    nothing: Any = None
    before = signal.getsignal(signal.SIGTERM)
    scheduled.stop_with_words()
    try:
        with pytest.raises(CollectError, match="told to stop"):
            scheduled._seal(nothing, tmp_path / "recipients", nothing)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert begun[0].poll() == -signal.SIGKILL


class Fixed:
    """Takes the place of what cannot be had here; everything else of a run is real."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.patch = root, patch
        self.folder, self.note = root / "opt/ai/backup", root / "opt/ai/backup.json"
        taken, put = collect, record.note
        patch.setattr(scheduled, "collect", lambda given: taken(given, root))
        patch.setattr(record, "note", lambda news, path=self.note: put(news, path))
        patch.setattr(scheduled, "_seal", lambda found, recipients, out: out.write(b"sealed"))


@pytest.fixture
def fixed(deployed: Path, monkeypatch: pytest.MonkeyPatch) -> Fixed:
    return Fixed(deployed, monkeypatch)


def test_one_is_good_though_the_oldest_cannot_go(fixed: Fixed, tmp_path: Path) -> None:
    """The bucket's key may write and not delete: that is said, and the backup counts."""

    def refused(self: Folder, name: str) -> None:
        raise StoreError("The key may not do that there.")

    for _ in range(2):
        scheduled.run(fixed.folder)
    fixed.patch.setattr(Folder, "remove", refused)
    with pytest.raises(StoreError, match="is made and kept, and the oldest cannot be removed"):
        scheduled.run(fixed.folder)
    found = noted(fixed.root)
    assert not found["ok"]
    assert found["good"]["where"] == str(max((tmp_path / "kept").iterdir(), key=lambda path: path.stat().st_mtime_ns))


def test_an_error_that_nobody_expected_is_noted_as_well(fixed: Fixed) -> None:
    def strange(*_: Any) -> None:
        raise RuntimeError("of a library")

    fixed.patch.setattr(scheduled, "_seal", strange)
    with pytest.raises(RuntimeError):
        scheduled.run(fixed.folder)
    assert noted(fixed.root)["detail"] == "of a library"


def test_a_run_that_was_killed_is_noted_by_its_unit(fixed: Fixed) -> None:
    scheduled.note_the_killed({"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"})
    scheduled.note_the_killed({"SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"})
    assert not fixed.note.exists(), "it has noted that itself"
    scheduled.note_the_killed({"SERVICE_RESULT": "oom-kill", "EXIT_CODE": "killed", "EXIT_STATUS": "KILL"})
    assert "oom-kill" in noted(fixed.root)["detail"]


def test_history_shows_what_failed_and_the_doctor_takes_it_for_no_change(fixed: Fixed) -> None:
    home = fixed.root / "opt/ai"
    failed = '{"step": "activate", "state": "failed", "detail": "no gateway"}\n{"torn'
    (home / "journal.jsonl").write_text(failed)
    scheduled.run(fixed.folder)
    assert (home / "journal.jsonl").read_text() == failed, "one that went well every night would be all there is to see"
    fixed.patch.setattr(store, "_sum", lambda read: ("0" * 64, 1))
    with pytest.raises(StoreError):
        scheduled.run(fixed.folder)
    record.note({"proven": {"id": "1", "made": "2026-11-21T20:30:00Z", "how": "verified"}}, fixed.note)
    lines = [json.loads(line) for line in (home / "journal.jsonl").read_text().splitlines() if line.endswith("}")]
    assert [(line["step"], line["state"]) for line in lines[1:]] == [("backup", "failed"), ("backup", "verified")]
    assert observe_release.journal(home)["failed"] == "step 'activate': no gateway"


def test_two_pieces_of_news_at_a_time_are_both_kept(tmp_path: Path) -> None:
    """The timer's, and that an operator has proven one."""
    path = tmp_path / "backup.json"
    code = "import sys\nfrom pathlib import Path\nfrom ai_services.backup.host import record\n"
    each = [
        "{'made': {'ok': True, 'id': '1', 'where': 'x'}}",
        "{'proven': {'id': '1', 'made': 'x', 'how': 'verified'}}",
    ]
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", f"{code}for _ in range(30): record.note({news}, Path({str(path)!r}))"],
            env={**os.environ, "PYTHONPATH": str(world.PROGRAM)},
        )
        for news in each
    ]
    assert [process.wait() for process in runs] == [0, 0]
    found = json.loads(path.read_text())
    assert (found["ok"], found["proven"]["how"]) == (True, "verified")


def test_a_host_that_is_being_changed_makes_none(fixed: Fixed, tmp_path: Path) -> None:
    import fcntl

    fixed.patch.setattr(scheduled, "RUN_LOCK", tmp_path / "lock")
    fixed.patch.setattr(scheduled, "_WAIT_S", 0.0)
    fixed.patch.setattr(scheduled, "_LOOK_EVERY_S", 0.01)
    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(CollectError, match="has been changing this host"):
            scheduled.run(fixed.folder)
    assert scheduled.run(fixed.folder).size == len(b"sealed")


def test_when_the_next_one_is_due_is_noted_for_the_doctor(fixed: Fixed, tmp_path: Path) -> None:
    """One that comes round every Monday is not late on a Thursday; and a backup by hand takes nothing of that away."""
    world.put(tmp_path / "bin" / "systemctl", "#!/bin/sh\necho 'Mon 2026-11-23 03:37:12 UTC'\n", 0o755)
    fixed.patch.setattr(scheduled, "_PLAIN", {"PATH": f"{tmp_path / 'bin'}:/bin", "LC_ALL": "C"})
    scheduled.run(fixed.folder)
    record.note({"made": {"ok": True, "id": "1", "where": "by hand"}}, fixed.note)
    assert observe_release.backup(fixed.root / "opt/ai")["next"] == "2026-11-23T03:37:12Z"
    world.put(tmp_path / "bin" / "systemctl", "#!/bin/sh\necho n/a\n", 0o755)
    scheduled.run(fixed.folder)
    assert observe_release.backup(fixed.root / "opt/ai")["next"] == ""
