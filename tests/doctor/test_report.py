"""B.5: what is printed: aligned, in colour on a terminal only, one line a check when piped, nothing unprintable."""

from __future__ import annotations

import io
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from ai_services.doctor.manual import manual
from ai_services.doctor.report import Printer, row_of, summary, worst
from ai_services.doctor.verdict import Check, Seen, Verdict, failed, ok

pytestmark = pytest.mark.promise("B.5")
CHECK = Check("disk", "machine", lambda _: ok(""))


def _row(state: str, name: str = "disk") -> dict[str, Any]:
    return {"name": name, "group": "g", "state": state, "ok": True, "seen": "s", "mend": "", "fixable": []}


def test_piped_lines_are_plain_and_whole() -> None:
    out = io.StringIO()
    Printer(out).row(row_of(CHECK, failed("seen " * 60, "mend " * 60)))
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b" not in out.getvalue()


def test_a_terminal_gets_colour_and_lines_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    theirs, ours = pty.openpty()
    with os.fdopen(ours, "w", encoding="utf-8") as terminal:
        Printer(terminal).row(row_of(CHECK, failed("seen " * 30, "mend")))
        text = os.read(theirs, 65536).decode()
    os.close(theirs)
    assert "\x1b[31m" in text
    plain = text.replace("\x1b[31m", "").replace("\x1b[0m", "")
    assert max(len(line) for line in plain.splitlines()) <= 80
    assert len({line.index("seen") for line in plain.splitlines() if "seen" in line}) == 1, "not aligned"


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Printer(stream).row(row_of(CHECK, failed("müde", "ruhen")))
    stream.flush()
    assert raw.getvalue().startswith(b"x disk")


def test_control_characters_do_not_reach_the_terminal() -> None:
    row = row_of(CHECK, Verdict("failed", "a\x1b[2Jb\r\nc\x00", "d\x07"))
    assert row["seen"] == "a [2Jb c"[: len(row["seen"])] or "\x1b" not in row["seen"]
    assert all(char.isprintable() for char in row["seen"] + row["mend"])


@pytest.mark.parametrize(
    ("states", "word", "code"),
    [
        (["ok", "skipped"], "ok", 0),
        (["ok", "warning"], "warning", 6),
        (["warning", "failed", "ok"], "failed", 1),
        ([], "ok", 0),
    ],
)
def test_the_exit_code_says_the_worst(states: list[str], word: str, code: int) -> None:
    report = summary("h", [_row(state) for state in states], [])
    assert (report["state"], report["exit_code"]) == (word, code)
    assert worst([_row(state) for state in states]) in (word, "skipped")


def test_nothing_deployed_has_a_code_of_its_own() -> None:
    assert summary("h", [_row("skipped", "release"), _row("ok")], [])["exit_code"] == 3
    assert summary("h", [_row("skipped", "release"), _row("failed")], [])["exit_code"] == 1


def test_a_check_that_stumbles_says_so() -> None:
    def stumbles(_: Seen) -> Verdict:
        raise KeyError("odd")

    found = Check("x", "machine", stumbles)(Seen.of({}))
    assert found.state == "warning"
    assert "could not be judged: KeyError" in found.seen


def test_the_manual_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs/doctor.md"
    assert page.read_text(encoding="utf-8") == manual(), "python -m ai_services.doctor.manual docs/doctor.md"
