"""What a check is: a pure function from what was seen to a verdict, with its name and what its verdicts mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ai_services.doctor.bounded import Unseen

OK = "ok"
WARNING = "warning"
FAILED = "failed"
SKIPPED = "skipped"

# Kept equal to ai_services.exits, which is not on the host; a test compares them.
EXIT_CODES = {OK: 0, SKIPPED: 0, WARNING: 6, FAILED: 1}
NOTHING_DEPLOYED = 3


@dataclass(frozen=True)
class Fix:
    """Something safe that `--fix` may do: which hand (see `fixing`) on which thing."""

    hand: str
    thing: str


@dataclass(frozen=True)
class Verdict:
    """`state`, what was `seen`, how to `mend` it (empty when there is nothing to mend), and what `--fix` may do."""

    state: str
    seen: str
    mend: str = ""
    fixes: tuple[Fix, ...] = ()


def ok(seen: str) -> Verdict:
    """All is well."""
    return Verdict(OK, seen)


def warning(seen: str, mend: str, *fixes: Fix) -> Verdict:
    """It works, but somebody should look at it."""
    return Verdict(WARNING, seen, mend, fixes)


def failed(seen: str, mend: str, *fixes: Fix) -> Verdict:
    """Something does not work, or is open that must not be."""
    return Verdict(FAILED, seen, mend, fixes)


def skipped(why: str, mend: str = "") -> Verdict:
    """Nothing to judge here, and why."""
    return Verdict(SKIPPED, why, mend)


class Seen:
    """What was observed, by name. Looking at what could not be observed raises `Unseen` with the reason."""

    def __init__(self, look: Callable[[str], Any]) -> None:
        self._look = look

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Seen:
        """Return a view on plain values; an `Unseen` among them is raised when it is looked at."""

        def look(name: str) -> Any:
            value = values.get(name, Unseen(f"{name} was not looked at"))
            if isinstance(value, Unseen):
                raise value
            return value

        return cls(look)

    def __getitem__(self, name: str) -> Any:
        return self._look(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the observation, or `default` where it could not be made."""
        try:
            return self._look(name)
        except Unseen:
            return default


@dataclass(frozen=True)
class Check:
    """One check: `name` for people and scripts, `group` it stands under, its judge, whose docstring is its manual."""

    name: str
    group: str
    judge: Callable[[Seen], Verdict]

    @property
    def meaning(self) -> str:
        """What the check means and how to mend what it finds, as Markdown."""
        return inspect.cleandoc(self.judge.__doc__ or "")

    def __call__(self, seen: Seen) -> Verdict:
        """Judge; what cannot be seen is skipped with the reason, and a stumble costs this check alone."""
        try:
            return self.judge(seen)
        except Unseen as error:
            return skipped(str(error))
        except Exception as error:
            return warning(
                f"could not be judged: {type(error).__name__}: {str(error)[:200]}",
                "Something here has a shape that the doctor does not know; look at it by hand, and report this line.",
            )


@dataclass
class Register:
    """The checks in the order in which they are shown."""

    checks: list[Check] = field(default_factory=list)

    def add(self, name: str, group: str) -> Callable[[Callable[[Seen], Verdict]], Callable[[Seen], Verdict]]:
        """Return a decorator that enters a judge under `name`."""

        def enter(judge: Callable[[Seen], Verdict]) -> Callable[[Seen], Verdict]:
            if any(check.name == name for check in self.checks):
                raise ValueError(f"two checks are called {name}")
            self.checks.append(Check(name, group, judge))
            return judge

        return enter


REGISTER = Register()
check = REGISTER.add
