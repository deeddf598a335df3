"""The fault matrix as a page of the documentation: docs/fault-matrix.md, written by the run of the whole matrix."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from host.lab.place import REPOSITORY
from host.matrix.chain import Cell
from host.matrix.faults import FAULTS, Fault

PAGE = REPOSITORY / "docs" / "fault-matrix.md"
RESULTS = Path(__file__).parent / "results.json"
MARKS = ("<!-- tables: begin, made by tests/host/matrix -->", "<!-- tables: end -->")


def diagonal(steps: Sequence[str], offset: int, faults: Sequence[Fault] = FAULTS) -> dict[str, Fault]:
    """The `offset`th of len(faults) ways to have one fault at each step; together they are every cell."""
    return {step: faults[(number + offset) % len(faults)] for number, step in enumerate(steps)}


def keep(change: str, cells: Iterable[Cell]) -> None:
    """Remember cells of `change` (migrate, upgrade, ...) in results.json; each replaces what was known of it."""
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    rows = known.setdefault(change, {})
    for cell in cells:
        rows.setdefault(cell.step, {})[cell.fault] = {key: asdict(cell)[key] for key in ("run", "after")}
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


def render(change: str, rows: Mapping[str, Mapping[str, Mapping[str, str]]], steps: Sequence[str]) -> str:
    """The Markdown table of `change`: a row a step, a column a fault."""
    lines = [
        f"### {change}",
        "",
        "| step | " + " | ".join(fault.words for fault in FAULTS) + " |",
        "|---" * (len(FAULTS) + 1) + "|",
    ]
    for step in steps:
        found = [rows.get(step, {}).get(fault.name) for fault in FAULTS]
        lines.append(f"| {step} | " + " | ".join(_words(cell) for cell in found) + " |")
    return "\n".join(lines) + "\n"


def write(steps_of: Mapping[str, Sequence[str]]) -> None:
    """Put the tables of all known results into the page, between its marks."""
    known = json.loads(RESULTS.read_text())
    tables = "\n".join(render(change, known.get(change, {}), steps) for change, steps in steps_of.items())
    before, begin, rest = PAGE.read_text().partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    PAGE.write_text(f"{before}{begin}\n\n{tables}\n{end}{after}")


def _words(cell: Mapping[str, str] | None) -> str:
    if cell is None:
        return "not run"
    return f"{cell['run']}; {cell['after']} served"
