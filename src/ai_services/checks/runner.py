"""Runs the phases: the cheap ones side by side, then the tests, each of which uses every core by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from ai_services import exits
from ai_services.checks import testing, tree
from ai_services.checks.outcome import Outcome, Skip
from ai_services.checks.phases import (
    CHOSEN_MARKS,
    LONG_CHOSEN_MARKS,
    LONG_MARKS,
    LONG_STACK_MARKS,
    STACK_MARKS,
    STATIC,
    UNIT_MARKS,
    Check,
)
from ai_services.checks.report import Report

FAST_REASON = "--fast leaves out what starts the whole stack"
LONG_REASON = "./ai test --long has what takes longest, and what needs a real Ollama; .ci/run has part of it"
HOST_REASON = (
    "whole machines in Docker take half an hour: .ci/run has them, or .venv/bin/python -m pytest -m host tests/host"
)


def run(argv_extra: Sequence[str], *, fast: bool = False, long: bool = False, json: bool = False) -> int:
    """Check the repository; 0 when nothing failed, 1 when something did, 130 after Ctrl-C.

    `argv_extra` goes to pytest (paths, `-k`, …); then only the tests run, for somebody who is after one of them.
    `fast` leaves out the tests that start the stack; `long` runs those alone that are left out otherwise, all of them
    or those of the chosen ones. `json`
    prints one document on standard output at the end (`passed`, `failed`, `skipped`, `skips[]`, `phases[]`), and tells
    everything else on standard error.
    """
    top = tree.root()
    report = Report(json=json)
    try:
        if argv_extra:
            chosen = LONG_CHOSEN_MARKS if long else CHOSEN_MARKS
            _tests("chosen tests", top, chosen + (" and not stack" if fast else ""), argv_extra, report)
        elif long:
            _tests("long tests", top, LONG_MARKS, (), report)
            _tests("long stack tests", top, LONG_STACK_MARKS, (), report)
        else:
            _all(top, report, fast=fast)
    except KeyboardInterrupt:
        report.interrupted()
        return exits.INTERRUPTED
    return exits.OK if report.summary() else exits.FAILED


def _all(top: Path, report: Report, *, fast: bool) -> None:
    _static(top, report)
    _tests("unit tests", top, UNIT_MARKS, (), report)
    if not fast:
        _tests("stack tests", top, STACK_MARKS, (), report)
    left_out = {"stack tests": FAST_REASON} if fast else {}
    for name, reason in (left_out | {"long tests": LONG_REASON, "host tests": HOST_REASON}).items():
        report.ended(name, Outcome(skips=[Skip(name, reason)]))


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
