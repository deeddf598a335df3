"""B.5: `./ai doctor HOST`: what comes back is shown as it comes, and a doctor that does not end is said in words."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import examination
from ai_services.host.target import Target

pytestmark = pytest.mark.promise("B.5")


def test_this_very_machine_is_examined_by_the_file_that_would_be_sent() -> None:
    found = list(examination.inside(Target("localhost", is_root=True), fix=False, only=["disk", "release"]))
    assert [one.kind for one in found] == ["begin", "check", "check", "report"]
    assert {one.content["name"] for one in found if one.kind == "check"} == {"disk", "release"}
    assert examination.clock(found[0].content["utc"])["state"] == "ok"


def _ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Target:
    fake = tmp_path / "ssh"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return Target("far.example", is_root=True)


def test_a_greeting_of_the_shell_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = _ssh(tmp_path, monkeypatch, "echo Welcome; echo '[1]'; cat >/dev/null; echo '{\"report\": {}}'")
    assert [found.kind for found in examination.inside(target, fix=False)] == ["report"]


def test_a_doctor_that_dies_is_said_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = _ssh(tmp_path, monkeypatch, "echo 'python3: not found' >&2; exit 127")
    with pytest.raises(OperatorError) as caught:
        list(examination.inside(target, fix=False))
    assert caught.value.exit_code == BLOCKED
    assert "exit code 127" in caught.value.message
    assert "python3: not found" in caught.value.detail


@pytest.mark.parametrize(("off_s", "state"), [(0, "ok"), (-30, "warning"), (90, "failed")])
def test_the_two_clocks_are_compared(off_s: int, state: str) -> None:
    row = examination.clock((datetime.now(UTC) + timedelta(seconds=off_s)).isoformat())
    assert row["state"] == state
    assert bool(row["mend"]) == (state != "ok")


def test_a_host_that_tells_no_time_is_skipped() -> None:
    assert examination.clock("soon")["state"] == "skipped"


def test_nothing_is_asked_from_outside_of_a_host_without_a_release() -> None:
    assert list(examination.outside({}, "127.0.0.1")) == []
