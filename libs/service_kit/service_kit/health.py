"""Readiness: what a process still waits for before it may be sent work."""

from __future__ import annotations

from typing import TypedDict


class Check(TypedDict):
    """One thing that must hold: whether it does, and what was seen."""

    ok: bool
    detail: str


class Readiness:
    """Named checks, set by whoever knows; ready when all of them hold. No checks means ready."""

    def __init__(self, *waiting_for: str) -> None:
        self._checks: dict[str, Check] = {name: Check(ok=False, detail="starting") for name in waiting_for}

    def set(self, name: str, ok: bool, detail: str = "") -> None:
        """Record that `name` holds, or does not, with a word why."""
        self._checks[name] = Check(ok=ok, detail=detail)

    @property
    def ready(self) -> bool:
        """Whether every check holds."""
        return all(check["ok"] for check in self._checks.values())

    def report(self) -> dict[str, object]:
        """The answer of /readyz."""
        return {"status": "ok" if self.ready else "unavailable", "checks": self._checks}
