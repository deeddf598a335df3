"""The phases that run pytest: how many processes, which tests, and the reading of what happened."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ai_services.checks import commands
from ai_services.checks.outcome import Outcome, Skip

# More processes than this only fight for memory: each holds models of its own.
MAX_WORKERS = 6

NO_TESTS = 5  # pytest's exit status when nothing matched


@dataclass
class Tally:
    """The plugin's lines so far, read as they come."""

    path: Path
    total: int = 0
    outcomes: dict[str, str] = field(default_factory=dict)
    skips: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    _offset: int = 0

    def read(self) -> None:
        """Take in the whole lines written since the last time."""
        with self.path.open("rb") as opened:
            opened.seek(self._offset)
            fresh = opened.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._offset += len(whole)
        for raw in whole.splitlines():
            line = json.loads(raw)
            if "collected" in line:
                self.total = max(self.total, line["collected"])
                continue
            self.outcomes[line["id"]] = line["outcome"]
            self.seconds[line["id"]] = line["seconds"]
            if line["outcome"] == "skipped":
                self.skips[line["id"]] = line["reason"]

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(1 for ended in self.outcomes.values() if ended == outcome)

    def __str__(self) -> str:
        failed = self.count("failed")
        return f"{len(self.outcomes)} of {self.total or '?'} tests" + (f", {failed} failed" if failed else "")


def workers() -> int:
    """Test processes that pay on this machine: one per core that we may use, within reason."""
    return min(
        MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    )


def run_tests(
    top: Path, marks: str, extra: Sequence[str], progress: Callable[[str], None], *, processes: int | None = None
) -> Outcome:
    """Run pytest on the tests that `marks` selects; `extra` are further arguments of pytest (paths, -k, …)."""
    with tempfile.TemporaryDirectory(prefix="ai-test-") as folder:
        tally = Tally(Path(folder) / "lines")
        tally.path.touch()

        def look() -> None:
            tally.read()
            progress(str(tally))

        command = [
            commands.tool("python"), "-m", "pytest",
            "-p", "ai_services.checks.pytest_lines", f"--lines-to={tally.path}",
            "-q", "--color=no", "--durations=10", "-n", str(processes or workers()), "--dist", "loadgroup",
            "-m", marks, *extra,
        ]  # fmt: skip
        status, output = commands.call(command, cwd=top, while_running=look)
        tally.read()
    outcome = Outcome(
        passed=tally.count("passed"),
        failed=tally.count("failed"),
        skips=[Skip(test, reason) for test, reason in sorted(tally.skips.items())],
        output=output,
    )
    nothing_to_do = status == NO_TESTS and bool(extra)
    if status != 0 and outcome.failed == 0 and not nothing_to_do:
        # pytest itself stumbled (wrong option, an internal error, a conftest that cannot be imported)
        outcome.failed = 1
    return outcome
