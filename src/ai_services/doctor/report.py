"""How verdicts are shown: aligned lines for people, in colour on a terminal only, and JSON for scripts."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Any, TextIO

from ai_services.doctor.verdict import EXIT_CODES, FAILED, NOTHING_DEPLOYED, OK, SKIPPED, WARNING, Check, Verdict

SCHEMA = 1
_ORDER = (OK, SKIPPED, WARNING, FAILED)
_MARKS = {OK: "✔", WARNING: "!", FAILED: "✘", SKIPPED: "·"}
_COLOURS = {OK: "32", WARNING: "33", FAILED: "31", SKIPPED: "2"}
NAME_WIDTH, STATE_WIDTH = 14, 7
# The mark, two blanks between columns.
_INDENT = 2 + NAME_WIDTH + 2 + STATE_WIDTH + 2


def row_of(check: Check, verdict: Verdict) -> dict[str, Any]:
    """Return one check as JSON has it: `name`, `group`, `state`, `ok`, `seen`, `mend`, `fixable`."""
    return {
        "name": check.name,
        "group": check.group,
        "state": verdict.state,
        "ok": verdict.state in (OK, SKIPPED),
        "seen": clean(verdict.seen),
        "mend": clean(verdict.mend),
        "fixable": [f"{fix.hand} {fix.thing}" for fix in verdict.fixes],
    }


def clean(text: str) -> str:
    """Return `text` on one line without control characters: logs and answers may hold any."""
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))


def worst(rows: Iterable[dict[str, Any]]) -> str:
    """Return the worst state among rows; ok when there are none."""
    return max((str(row["state"]) for row in rows), key=_ORDER.index, default=OK)


def summary(host: str, rows: list[dict[str, Any]], fixed: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the whole report as JSON has it."""
    state = worst(rows)
    counts = {word: sum(row["state"] == word for row in rows) for word in reversed(_ORDER)}
    code = EXIT_CODES[state]
    if code == 0 and any(row["name"] == "release" and row["state"] == SKIPPED for row in rows):
        code = NOTHING_DEPLOYED
    return {
        "schema": SCHEMA,
        "host": host,
        "state": OK if state == SKIPPED else state,
        "exit_code": code,
        "counts": counts,
        "checks": rows,
        "fixed": fixed,
    }


class Printer:
    """Prints rows as they come."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._colour = self._stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        # Piped lines are not broken: they are for grep.
        self._width = max(shutil.get_terminal_size().columns, 60) if self._stream.isatty() else 0
        encoding = (getattr(self._stream, "encoding", None) or "ascii").lower()
        self._plain = not encoding.startswith("utf")

    def row(self, row: dict[str, Any]) -> None:
        """Print one check: mark, name, verdict, what was seen; beneath it how to mend it."""
        state = str(row["state"])
        mark = {"✔": "+", "✘": "x", "·": "-"}.get(_MARKS[state], "!") if self._plain else _MARKS[state]
        head = f"{mark} {row['name']:<{NAME_WIDTH}}  {state:<{STATE_WIDTH}}  "
        lines = self._wrap(str(row["seen"]))
        self._write(self._paint(state, head) + lines[0])
        for line in lines[1:]:
            self._write(" " * _INDENT + line)
        if row["mend"]:
            for number, line in enumerate(self._wrap(str(row["mend"]), 2)):
                self._write(" " * _INDENT + ("  " if number else "> " if self._plain else "→ ") + line)

    def fixed(self, note: dict[str, Any]) -> None:
        """Print what `--fix` did."""
        state = OK if note["done"] else FAILED
        self._write(self._paint(state, f"{'  fixed' if note['done'] else '  not fixed'}: ") + str(note["said"]))

    def end(self, report: dict[str, Any]) -> None:
        """Print the counts."""
        counts = report["counts"]
        parts = [f"{counts[word]} {word}" for word in (FAILED, WARNING, SKIPPED, OK) if counts[word]]
        self._write(self._paint(str(report["state"]), ", ".join(parts) or "nothing was checked"))

    def _wrap(self, text: str, less: int = 0) -> list[str]:
        if not self._width:
            return [text]
        return textwrap.wrap(text, max(30, self._width - _INDENT - less), break_on_hyphens=False) or [""]

    def _paint(self, state: str, text: str) -> str:
        return f"\x1b[{_COLOURS[state]}m{text}\x1b[0m" if self._colour else text

    def _write(self, line: str) -> None:
        if self._plain:
            line = line.encode("ascii", "replace").decode()
        self._stream.write(line + "\n")
        self._stream.flush()
