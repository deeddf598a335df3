"""How `./ai test` talks: one line per phase, a failing phase's words in full, every skip's reason, one last line."""

from __future__ import annotations

import json as jsonlib
import sys
import threading
import time
from collections import defaultdict

from rich.console import Console
from rich.status import Status

from ai_services.checks.outcome import Outcome, Skip

# Without a terminal there is no line to redraw; one line in this many seconds shows that it is alive.
HEARTBEAT_S = 30.0


class Report:
    """Collects outcomes and tells them. Safe to call from several threads."""

    def __init__(self, *, json: bool = False) -> None:
        self._json = json
        self._console = Console(stderr=json, highlight=False, markup=False, emoji=False, soft_wrap=True)
        self._lock = threading.RLock()
        self._outcomes: dict[str, Outcome] = {}
        self._running: dict[str, tuple[float, str]] = {}
        self._started = self._last_heartbeat = time.monotonic()
        self._status: Status | None = None
        if self._console.is_terminal:
            self._status = self._console.status("", spinner="dots")

    def began(self, name: str) -> None:
        """A phase runs from now on."""
        with self._lock:
            self._running[name] = (time.monotonic(), "")
            self._last_heartbeat = time.monotonic()
            self._redraw()

    def progress(self, name: str, words: str) -> None:
        """A phase has come so far."""
        with self._lock:
            since, _ = self._running[name]
            self._running[name] = (since, words)
            self._redraw()
            now = time.monotonic()
            if self._status is None and now - self._last_heartbeat >= HEARTBEAT_S:
                self._last_heartbeat = now
                self._console.print(f"  …     {name}: {words}, {now - since:.0f} s")

    def ended(self, name: str, outcome: Outcome) -> None:
        """A phase is over: one line, and its words when it failed."""
        with self._lock:
            self._running.pop(name, None)
            self._outcomes[name] = outcome
            self._redraw()
            if not outcome.ok:
                self._console.rule(f"{name} failed; its words:", characters="-")
                self._console.print(outcome.output.rstrip())
                self._console.rule(characters="-")
            self._console.print(_line(name, outcome))

    def interrupted(self) -> None:
        """Say that it was stopped; nothing after this is a result."""
        self._hide()
        self._console.print("stopped; what was running has been ended")

    def summary(self) -> bool:
        """The end: timings, skips, and the counts in one line of their own. True when nothing failed."""
        self._hide()
        passed = sum(outcome.passed for outcome in self._outcomes.values())
        failed = sum(outcome.failed for outcome in self._outcomes.values())
        skips = [skip for outcome in self._outcomes.values() for skip in outcome.skips]
        seconds = time.monotonic() - self._started
        self._console.print()
        self._console.print(f"{seconds:.0f} s in all")
        for reason, what in _by_reason(skips).items():
            others = f" and {len(what) - 1} more" if len(what) > 1 else ""
            self._console.print(f"  skipped: {what[0]}{others}: {reason}")
        for name, outcome in self._outcomes.items():
            if not outcome.ok:
                self._console.print(f"  FAILED: {name}")
        self._console.print(f"{passed} passed, {failed} failed, {len(skips)} skipped")
        if self._json:
            document = {
                "passed": passed,
                "failed": failed,
                "skipped": len(skips),
                "seconds": round(seconds, 1),
                "skips": [{"what": skip.what, "reason": skip.reason} for skip in skips],
                "phases": [
                    {"name": name, "ok": o.ok, "passed": o.passed, "failed": o.failed, "seconds": round(o.seconds, 1)}
                    for name, o in self._outcomes.items()
                ],
            }
            sys.stdout.write(jsonlib.dumps(document, indent=2) + "\n")
        return failed == 0

    def _redraw(self) -> None:
        if self._status is None:
            return
        if not self._running:
            self._status.stop()
            return
        self._status.update(", ".join(f"{name} {words}".strip() for name, (_, words) in self._running.items()))
        self._status.start()

    def _hide(self) -> None:
        if self._status is not None:
            self._status.stop()


def _line(name: str, outcome: Outcome) -> str:
    word = "ok" if outcome.ok else "FAILED"
    counts = ""
    if outcome.passed + outcome.failed > 1 or outcome.skips:
        counts = f"  {outcome.passed} passed, {outcome.failed} failed, {len(outcome.skips)} skipped"
    if outcome.ok and outcome.passed == 0 and outcome.skips:
        word = "skip"
    return f"{word:<6}  {name:<12}{outcome.seconds:7.1f} s{counts}"


def _by_reason(skips: list[Skip]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = defaultdict(list)
    for skip in skips:
        grouped[skip.reason].append(skip.what)
    return grouped
