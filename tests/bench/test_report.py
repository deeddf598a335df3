"""The published figures (S0.11): docs/performance.md is what was measured, and the README quotes nothing else."""

import re

import pytest

from bench import report
from bench.report import Bound, Measurement

pytestmark = pytest.mark.promise("S0.11")

RIGS = ("chat", "memory", "speech")


def _rows(markdown: str) -> list[list[str]]:
    return [line.strip("|").split("|") for line in markdown.splitlines() if line.startswith("|")]


def test_every_measurement_stands_in_the_documentation_as_it_was_taken() -> None:
    measurements = report.load()
    document = report.PERFORMANCE.read_text()
    assert tuple(sorted(measurements)) == RIGS
    for rig, measurement in measurements.items():
        assert report.block(document, rig) == measurement.markdown(), f"{rig}: edited by hand, or never rendered"


@pytest.mark.parametrize("rig", RIGS)
def test_tables_are_well_formed_and_name_their_machine(rig: str) -> None:
    block = report.block(report.PERFORMANCE.read_text(), rig)
    assert block is not None
    rows = _rows(block)
    assert len(rows) >= 3
    assert len({len(row) for row in rows}) == 1, "rows of different length"
    assert re.fullmatch(r"-+(-+:)*", "".join(cell.strip() for cell in rows[1]))
    assert any(re.search(r"\d", cell) for row in rows[2:] for cell in row[1:])
    assert re.search(r"Taken on: date \d{4}-\d\d-\d\d .*; cpu .*cores; memory .*; python 3\.", block)


def test_readme_quotes_exactly_what_was_measured() -> None:
    assert report.block(report.README.read_text(), report.SUMMARY) == report.summary(report.load())


def test_readme_quotes_no_other_figure_of_speed() -> None:
    """A number with a unit of speed outside the rendered block is one that nothing measured keeps true."""
    readme = report.README.read_text()
    quoted = report.block(readme, report.SUMMARY) or ""
    prose = re.sub(r"```.*?```", "", readme.replace(quoted, ""), flags=re.DOTALL)
    found = re.findall(r"\d[\d.,]*\s?(?:ms\b|requests?/s|req/s|times (?:faster|real time)|MB\b)", prose)
    assert found == []


def test_rendering_replaces_blocks_and_leaves_the_rest() -> None:
    document = "before\n<!-- bench:chat:begin (x) -->\nold\n<!-- bench:chat:end -->\nafter"
    bound = Bound("chat: speed", "2 ms", "≤ 1 ms", met=False)
    measurement = Measurement(["what", "figure"], [["a", "2 ms"]], [bound], {"cpu": "one"})
    rendered = report.rendered(document, {"chat": measurement})
    assert rendered.startswith("before\n<!-- bench:chat:begin (x) -->\n| what | figure |\n| --- | ---: |\n| a | 2 ms |")
    assert "**2 ms** (bound ≤ 1 ms, **missed**)" in rendered
    assert rendered.endswith("Taken on: cpu one.\n<!-- bench:chat:end -->\nafter")
    assert "old" not in rendered
