"""`./ai test` itself: it counts rightly, tells every skip, fails when something fails, ends in a plain line."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression

from ai_services.checks import runner, testing, tree
from ai_services.checks.outcome import Outcome
from ai_services.checks.phases import (
    CHOSEN_MARKS,
    LONG_CHOSEN_MARKS,
    LONG_MARKS,
    LONG_STACK_MARKS,
    STACK_MARKS,
    UNIT_MARKS,
    Phase,
)
from ai_services.checks.report import Report

LAST_LINE = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$")

MIXED = """
import os
import pathlib
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
@pytest.fixture
def broken():
    yield
    raise RuntimeError("in teardown")
def test_broken_teardown(broken): pass
def test_skipped(): pytest.skip("no elephant here")
@pytest.mark.skip(reason="never")
def test_marked(): pass
@pytest.mark.xfail(reason="a known gap", strict=True)
def test_known(): assert False
"""

GROUPED = """
import os
import pathlib
import pytest

@pytest.mark.parametrize("number", range(8))
@pytest.mark.xdist_group("one")
def test_together(number):
    with open(pathlib.Path(__file__).with_name("pids"), "a") as pids:
        pids.write(f"{os.getpid()}\\n")

@pytest.mark.parametrize("number", range(8))
def test_apart(number): pass
"""

SKIPS_IN_A_GROUP = """
import pytest

@pytest.mark.xdist_group("one")
def test_skips(): pytest.skip("why not")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with tests that pytest takes for a project of its own."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow: slow\n")
    return tmp_path


def _run(project: Path, *extra: str, marks: str = "") -> Outcome:
    return testing.run_tests(project, marks, extra, lambda _: None, processes=2)


def test_outcomes_are_counted(project: Path) -> None:
    (project / "test_mixed.py").write_text(MIXED)
    outcome = _run(project)
    assert (outcome.passed, outcome.failed) == (1, 2)
    assert {skip.what.partition("::")[2]: skip.reason for skip in outcome.skips} == {
        "test_skipped": "no elephant here",
        "test_marked": "never",
        "test_known": "known to fail: a known gap",
    }
    assert "assert 1 == 2" in outcome.output


def test_a_module_that_cannot_be_imported_is_a_failure(project: Path) -> None:
    (project / "test_broken.py").write_text("import no_such_module\n")
    assert _run(project).failed >= 1


def test_a_worker_that_dies_is_a_failure(project: Path) -> None:
    (project / "test_dies.py").write_text("import os\n\ndef test_dies(): os._exit(3)\n")
    assert _run(project).failed == 1


def test_no_test_at_all_is_a_failure_unless_a_choice_was_made(project: Path) -> None:
    (project / "test_one.py").write_text("def test_one(): pass\n")
    assert _run(project, marks="slow").failed == 1
    assert _run(project, "-k", "another", marks="slow").failed == 0


def test_a_wrong_option_is_a_failure(project: Path) -> None:
    assert _run(project, "--no-such-option").failed == 1


def test_tests_of_one_group_share_a_process(project: Path) -> None:
    """What the stacks' fixtures rely on, and what a newer pytest breaks without a word."""
    (project / "test_groups.py").write_text(GROUPED)
    (project / "test_skips.py").write_text(SKIPS_IN_A_GROUP)
    outcome = _run(project)
    assert outcome.failed == 0
    assert [skip.what for skip in outcome.skips] == ["test_skips.py::test_skips"], (
        "the group's name is no part of the id"
    )
    assert len(set((project / "pids").read_text().split())) == 1


def test_every_test_is_in_one_run_and_in_one_only() -> None:
    """Whole machines and benchmarks are in none; a choice by path leaves out nothing else."""
    marks = ("stack", "long", "ollama", "bench", "host")
    for carried in itertools.chain.from_iterable(itertools.combinations(marks, n) for n in range(len(marks) + 1)):

        def runs(expression: str, names: tuple[str, ...] = carried) -> bool:
            return Expression.compile(expression).evaluate(lambda name, /, **_: name in names)

        expected = 0 if {"bench", "host"} & set(carried) else 1
        assert sum(runs(one) for one in (UNIT_MARKS, STACK_MARKS, LONG_MARKS, LONG_STACK_MARKS)) == expected, carried
        assert runs(CHOSEN_MARKS) == bool(expected), carried
        assert runs(LONG_CHOSEN_MARKS) == (runs(LONG_MARKS) or runs(LONG_STACK_MARKS)), carried


def test_the_real_summary(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    for name, outcome in {
        "lint": Outcome.of_check(True),
        "types": Outcome.of_check(False, "x.py:1: wrong"),
        "unit tests": Outcome(passed=5, failed=1, output="the words of a failing test"),
    }.items():
        report.began(name)
        report.ended(name, outcome)
    assert report.summary() is False
    lines = capsys.readouterr().out.splitlines()
    counted = LAST_LINE.match(lines[-1])
    assert counted is not None
    assert counted.groups() == ("6", "2", "0")
    assert "x.py:1: wrong" in lines
    assert "the words of a failing test" in lines


def test_the_document_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(json=True)
    report.ended("lint", Outcome.of_check(True))
    assert report.summary() is True
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["passed"], document["failed"], document["skipped"]) == (1, 0, 0)
    assert LAST_LINE.match(captured.err.splitlines()[-1])


def test_a_check_that_breaks_is_a_failure_with_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(_: Path) -> Outcome:
        raise FileNotFoundError("ruff is not in the environment")

    monkeypatch.setattr(
        runner, "STATIC", (Phase("lint", "", breaks), Phase("other", "", lambda _: Outcome.of_check(True)))
    )
    monkeypatch.setattr(testing, "run_tests", lambda *_: Outcome(passed=1))
    assert runner.run([], fast=True) == 1
    said = capsys.readouterr().out
    assert "ruff is not in the environment" in said
    assert LAST_LINE.match(said.splitlines()[-1])


def test_the_checkout_is_found() -> None:
    assert os.access(tree.root() / "ai", os.X_OK)
