"""A pytest plugin: writes one JSON line per finished test, so that `./ai test` can count, show progress and list skips.

Load it with `-p ai_services.checks.pytest_lines --lines-to FILE`. Under xdist only the controller writes.
A line is `{"id", "outcome": "passed"|"failed"|"skipped", "reason", "seconds"}`; the first is `{"collected": N}`.
Lines are there as soon as the test ends: a run that dies half-way has told what it did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO, Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--lines-to`."""
    parser.addoption("--lines-to", default=None, help="append one JSON line per finished test to this file")


def pytest_configure(config: pytest.Config) -> None:
    """Start writing, in the process that sees every report."""
    target = config.getoption("--lines-to")
    if target and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Lines(Path(target)), "ai-services-lines")


class Lines:
    """Turns reports (one per stage of a test) into one line per test."""

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("a", encoding="utf-8", buffering=1)
        # id -> what its stages said so far; a test is told when its teardown has ended
        self._open: dict[str, dict[str, Any]] = {}

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Tell how many tests there are (without xdist; with it the workers collect)."""
        if session.items:
            self._write({"collected": len(session.items)})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Tell how many tests there are (with xdist, once per worker, always the same number)."""
        self._write({"collected": len(ids)})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A module that cannot be imported is a failure; one that skips itself is a skip."""
        if report.failed:
            self._write({"id": report.nodeid, "outcome": "failed", "reason": "could not be collected", "seconds": 0})
        elif report.skipped:
            self._write({"id": report.nodeid, "outcome": "skipped", "reason": _reason(report), "seconds": 0})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the stages; the worst of them is the test's outcome."""
        told = self._open.setdefault(
            report.nodeid, {"id": _without_group(report.nodeid), "outcome": "passed", "reason": "", "seconds": 0}
        )
        told["seconds"] += report.duration
        if report.failed:
            told["outcome"] = "failed"
        elif report.skipped and told["outcome"] == "passed":
            told["outcome"], told["reason"] = "skipped", _reason(report)
        # A worker that crashed reports its test once, as a call, and no teardown ever follows.
        if report.when == "teardown" or (report.failed and report.when not in {"setup", "call", "teardown"}):
            self._write(self._open.pop(report.nodeid))

    def pytest_sessionfinish(self) -> None:
        """Tell what never came to its teardown."""
        for told in self._open.values():
            self._write(told)
        self._file.close()


def _without_group(test: str) -> str:
    """The test's id without the `@group` that xdist puts behind it."""
    return test[: test.rfind("@")] if test.rfind("@") > test.rfind("]") else test


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """The sentence given to `skip`; for an expected failure, what was expected."""
    expected: str | None = getattr(report, "wasxfail", None)
    if expected is not None:
        return f"known to fail: {expected.removeprefix('reason: ')}"
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return str(report.longrepr)
