"""B.5: `./ai doctor` without a host looks at the stack on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.stack import Stack

from ai_services.doctor.verdict import Seen
from ai_services.exits import FAILED, NOT_RUNNING, USAGE
from ai_services.local import checkup

pytestmark = pytest.mark.promise("B.5")

_READY = {"name": "gateway", "state": "ready", "model": None, "restarts": 0, "restarting_often": False}
_LOOPS = {**_READY, "restarting_often": True}
_PROOF = {"why": "", "match": 1.0, "answered": True, "model": "m", "transcribe_s": 1.0, "answer_s": 1.0}


def ai(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ai_services.cli", "doctor", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "AI_HOME": str(home)},
    )


def status(*rows: dict[str, Any], supervisor: str = "ready") -> dict[str, Any]:
    return {"status": {"state": "ready", "components": list(rows), "supervisor": {"state": supervisor}}}


@pytest.mark.parametrize(
    ("name", "state", "words", "seen"),
    [
        ("components", "ok", "gateway", status(_READY)),
        ("components", "failed", "gateway is failed", status({**_READY, "state": "failed"})),
        ("components", "failed", "the supervisor is gone", status(_READY, supervisor="lost")),
        ("components", "warning", "still starting", status({**_READY, "state": "starting"})),
        ("restarts", "failed", "again and again in the last ten minutes: gateway", status(_LOOPS)),
        ("keys", "failed", "answered 200", {**status(_READY), "keyless": 200}),
        ("keys", "ok", "answered 401", {**status(_READY), "keyless": 401}),
        ("proof", "ok", "100 %", {**status(_READY), "proof": _PROOF}),
        ("proof", "failed", "50 %", {**status(_READY), "proof": {**_PROOF, "match": 0.5}}),
        ("proof", "failed", "no answer", {**status(_READY), "proof": {"why": "no answer"}}),
        ("disk", "failed", "100 MiB", {"disk": 100}),
        ("disk", "warning", "1.0 GiB", {"disk": 1024}),
        ("memory", "failed", "100 MiB", {"memory": 100}),
        ("memory", "warning", "300 MiB", {"memory": 300}),
        ("secrets", "failed", "/k has mode 0644", {"secrets": [{"path": "/k", "mode": 0o644}]}),
    ],
)
def test_what_is_seen_is_judged(name: str, state: str, words: str, seen: dict[str, Any]) -> None:
    (check,) = (check for check in checkup.checks() if check.name == name)
    found = check(Seen.of(seen))
    assert (found.state, words in found.seen) == (state, True), found
    assert bool(found.mend) == (state != "ok")


def test_nothing_running_has_the_exit_code_of_status(tmp_path: Path) -> None:
    ran = ai(tmp_path / "none", "--json")
    assert ran.returncode == NOT_RUNNING, ran.stderr
    assert json.loads(ran.stdout)["exit_code"] == NOT_RUNNING


def test_a_key_that_others_can_read_is_said_and_mended(tmp_path: Path) -> None:
    key = tmp_path / "secrets/api.key"
    key.parent.mkdir(mode=0o700)
    key.write_text("canary-of-the-test\n")
    key.chmod(0o644)
    ran = ai(tmp_path)
    assert ran.returncode == FAILED
    assert f"{key} has mode 0644" in ran.stdout
    ran = ai(tmp_path, "--fix")
    assert ran.returncode == NOT_RUNNING, "mended, and nothing runs"
    assert f"{key}: mode 0644 is now 0600" in ran.stdout
    assert key.stat().st_mode & 0o777 == 0o600
    assert "canary" not in ran.stdout + ran.stderr


def test_a_check_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    ran = ai(tmp_path, "--only", "dsik")
    assert ran.returncode == USAGE
    assert "dsik" in ran.stderr
    assert "disk" in ran.stderr


def test_a_host_that_is_not_there_is_said_in_words(tmp_path: Path) -> None:
    ran = ai(tmp_path, "nobody@127.0.0.1:9", "--json")
    assert ran.returncode == 5, ran.stderr
    assert ran.stdout == ""
    assert "127.0.0.1" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.stack
def test_a_running_stack_is_examined_with_real_answers(stack: Stack) -> None:
    ran = ai(stack.home, "--json")
    report = json.loads(ran.stdout)
    assert ran.returncode in (0, 6), report
    rows = {row["name"]: row for row in report["checks"]}
    assert rows["components"]["state"] == "ok"
    assert rows["proof"]["state"] == "ok"
    assert rows["keys"]["state"] == "ok"
    assert "window before you leave" not in ran.stdout
