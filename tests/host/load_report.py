"""What became of a load: figures a kind, every failure with its time, a table, JSON, and the judgement."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

# As many durations a kind are kept; figures beyond are of the last ones. Bounds the memory of a load of hours.
MAX_DURATIONS = 100_000


@dataclass
class Figures:
    """Of one kind: how many requests ended, how many of them wrongly, and how long they took, in seconds."""

    count: int = 0
    errors: int = 0
    cut: int = 0
    queued: int = 0
    longest_s: float = 0.0
    longest_at: str = ""
    durations_s: list[float] = field(default_factory=list)

    def add(self, seconds: float, began: datetime, *, queued: bool) -> None:
        """Count a request that took `seconds`; `queued` when it was told its place in a queue."""
        self.count += 1
        self.queued += queued
        if seconds > self.longest_s:
            self.longest_s, self.longest_at = round(seconds, 3), began.isoformat()
        if len(self.durations_s) < MAX_DURATIONS:
            self.durations_s.append(round(seconds, 3))
        else:
            self.durations_s[self.count % MAX_DURATIONS] = round(seconds, 3)

    def percentile_s(self, percent: int) -> float:
        """The duration that `percent` of 100 requests did not exceed."""
        ordered = sorted(self.durations_s)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0


@dataclass(frozen=True)
class Failure:
    """One request that a caller would call failed; `at` is when it began (UTC), after `seconds` it was lost."""

    at: str
    seconds: float
    kind: str
    what: str
    connection: str
    request_id: str

    def line(self) -> str:
        """For people."""
        known = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.at} {self.kind}, {self.connection} connection, after {self.seconds:.1f} s: {self.what}{known}"


@dataclass
class Result:
    """All of it. `failures` holds the first few hundred; the figures count every one."""

    kinds: dict[str, Figures]
    failures: list[Failure]
    lasted_s: float

    @property
    def longest_s(self) -> float:
        """The longest that any request took."""
        return max((figures.longest_s for figures in self.kinds.values()), default=0.0)

    @property
    def errors(self) -> int:
        """How many requests failed."""
        return sum(figures.errors for figures in self.kinds.values())

    def table(self) -> str:
        """A markdown table, a row a kind."""
        rows = ["| kind | requests | failed | cut | queued | p50 s | p95 s | longest s |", "|---" + "|---:" * 7 + "|"]
        rows += [
            f"| {name} | {f.count} | {f.errors} | {f.cut} | {f.queued} | {f.percentile_s(50):.2f} "
            f"| {f.percentile_s(95):.2f} | {f.longest_s:.2f} |"
            for name, f in self.kinds.items()
        ]
        return "\n".join(rows)

    def assert_no_failure(self, least: int = 1) -> None:
        """AssertionError that shows every failure, or a kind of which fewer than `least` requests ended."""
        shown = [failure.line() for failure in self.failures[:20]]
        if self.errors > len(shown):
            shown.append(f"… and {self.errors - len(shown)} more")
        idle = [name for name, figures in self.kinds.items() if figures.count < least]
        if shown or idle or not self.kinds:
            few = [f"of {', '.join(idle)} fewer than {least} requests ended: this load shows nothing"] if idle else []
            said = [f"{self.errors} requests failed within {self.lasted_s:.0f} s", self.table(), *shown, *few]
            raise AssertionError("\n".join(said))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def read(cls, members: dict[str, Any]) -> Result:
        """What `as_dict` gave."""
        kinds = {name: Figures(**figures) for name, figures in members["kinds"].items()}
        return cls(kinds, [Failure(**failure) for failure in members["failures"]], members["lasted_s"])
