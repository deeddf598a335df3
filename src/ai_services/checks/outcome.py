"""What a check leaves behind: counts, words, and the reasons for whatever was not run."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Skip:
    """One thing that was not run: `what` (a test id or a phase) and `reason`, a sentence."""

    what: str
    reason: str


@dataclass
class Outcome:
    """The result of one phase.

    A phase that is one check counts as one; a phase that runs tests counts its tests. `output` is shown in full when
    the phase failed and not at all otherwise. `seconds` is wall time.
    """

    passed: int = 0
    failed: int = 0
    skips: list[Skip] = field(default_factory=list)
    output: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return self.failed == 0

    @classmethod
    def of_check(cls, ok: bool, output: str = "") -> Outcome:
        """The outcome of a phase that is a single check."""
        return cls(passed=int(ok), failed=int(not ok), output=output)

    @classmethod
    def of_findings(cls, findings: list[str]) -> Outcome:
        """The outcome of a check that lists what is wrong, one line each; an empty list is a pass."""
        return cls.of_check(not findings, "\n".join(findings))
