"""Runs the phases: the cheap ones side by side, then the tests, each of which uses every core by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ai_services import exits
from ai_services.checks import testing, tree
from ai_services.checks.outcome import Outcome, Skip
from ai_services.checks.phases import STACK_MARKS, STATIC, UNIT_MARKS, Check
from ai_services.checks.report import Report

FAST_REASON = "--fast leaves out what starts the whole stack"
HOST_REASON = (
    "whole machines in Docker take half an hour: .ci/run has them, or .venv/bin/python -m pytest -m host tests/host"
)


def run(argv_extra: Sequence[str], fast: bool = False, json: bool = False) -> int:
    """Check the repository; 0 when nothing failed, 1 when something did, 130 after Ctrl-C.

    `argv_extra` goes to pytest (paths, `-k`, …); then only the tests run, for somebody who is after one of them.
    `fast` leaves out the tests that start the stack. `json` prints one document on standard output at the end
    (`passed`, `failed`, `skipped`, `skips[]`, `phases[]`), and tells everything else on standard error.
    """
    top = tree.root()
    report = Report(json=json)
    try:
        if not argv_extra:
            _static(top, report)
        _tests("unit tests", top, UNIT_MARKS, argv_extra, report)
        if fast:
            report.ended("stack tests", Outcome(skips=[Skip("stack tests", FAST_REASON)]))
        else:
            _tests("stack tests", top, STACK_MARKS, argv_extra, report)
        if not argv_extra:
            report.ended("host tests", Outcome(skips=[Skip("host tests", HOST_REASON)]))
    except KeyboardInterrupt:
        report.interrupted()
        return exits.INTERRUPTED
    return exits.OK if report.summary() else exits.FAILED


def _static(top: Path, report: Report) -> None:
    ordered = sorted(STATIC, key=lambda phase: -phase.cost)
    with ThreadPoolExecutor(max_workers=testing.workers()) as pool:
        for phase in ordered:
            report.began(phase.name)
        running = {pool.submit(_guarded, phase.check, top): phase for phase in ordered}
        try:
            for done in as_completed(running):
                report.ended(running[done].name, done.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _guarded(check: Check, top: Path) -> Outcome:
    """Run one check; a missing tool or a broken check is a failure with words, not the end of the others."""
    return _clocked(lambda: check(top))


def _tests(name: str, top: Path, marks: str, extra: Sequence[str], report: Report) -> None:
    report.began(name)
    outcome = _clocked(lambda: testing.run_tests(top, marks, extra, lambda words: report.progress(name, words)))
    report.ended(name, outcome)


def _clocked(work: Callable[[], Outcome]) -> Outcome:
    started = time.monotonic()
    try:
        outcome = work()
    except Exception as error:  # whatever it is, the person must read it and the other phases must run
        outcome = Outcome.of_check(False, f"{type(error).__name__}: {error}")
    outcome.seconds = time.monotonic() - started
    return outcome
