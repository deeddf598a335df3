"""Tells a run of Ansible as phases: what is being done and for how long, what came of it, and why it stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from rich.markup import escape
from rich.status import Status

from ai_services.console import Screen

# A role's or play's name, and what a person reads in its place.
TITLES: Final = {
    "Settings": "Settings",
    "Preflight": "Looking at the host",
    "Host": "Reading the system",
    "base": "Base system",
    "docker": "Docker",
    "nvidia_driver": "NVIDIA driver",
    "container_toolkit": "Container toolkit",
    "certbot_cloudflare": "Certificate",
    "nginx": "nginx",
    "ai_stack": "Services and models",
    "backup": "Backups",
    "firewall": "Firewall",
    "Verify": "Asking from outside",
    "Bring": "Reading the system",
    "Remove": "Reading the system",
    "Migrate": "Reading the system",
}
# Plays that only prepare: not worth a line of their own when all went well.
_QUIET: Final = {"Settings", "Host", "Remove", "Migrate"}
# Where there is no line to redraw, a long task says so this often.
HEARTBEAT_S: Final = 15.0


@dataclass
class Phase:
    """One role or play: when it began (seconds since the epoch), how long its tasks took, what they did."""

    name: str
    began: float
    ended: float = 0.0
    changed: int = 0
    done: int = 0

    @property
    def title(self) -> str:
        """What a person reads."""
        return TITLES.get(self.name, self.name)

    @property
    def seconds(self) -> float:
        """From its first task's begin to its last task's end."""
        return max(0.0, self.ended - self.began)


@dataclass(frozen=True)
class Failure:
    """Why a run stopped: the phase's title, the task, what was said, and whether the host was lost on the way."""

    phase: str
    task: str
    message: str
    unreachable: bool = False


@dataclass
class Told:
    """What the events said, for the summary and for --json."""

    phases: list[Phase] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    verified: list[dict[str, Any]] = field(default_factory=list)
    released: dict[str, Any] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    diffs: int = 0

    @property
    def changed(self) -> int:
        """How many tasks changed something."""
        return sum(phase.changed for phase in self.phases)


class Story:
    """Takes events as they come, shows them, and keeps what the end needs. `now` gives seconds since the epoch."""

    def __init__(self, screen: Screen, *, checking: bool = False, now: Callable[[], float] = time.time) -> None:
        self.told = Told()
        self._screen, self._checking, self._now = screen, checking, now
        self._play, self._plan_shown = "", False
        self._phase: Phase | None = None
        self._task, self._task_since, self._progress = "", now(), ""
        self._last_line = now()
        self._status: Status | None = screen.console.status("Starting Ansible") if screen.live else None
        if self._status:
            self._status.start()

    def take(self, event: dict[str, Any]) -> None:
        """Take one event of plugins/callback/ai_events.py."""
        handler = getattr(self, f"_on_{event.get('event')}", None)
        if handler:
            handler(event)

    def tick(self) -> None:
        """Show that the task at hand goes on."""
        if not self._task or self._phase is None:
            return
        elapsed = self._now() - self._task_since
        words = self._progress or self._task
        if self._status:
            self._status.update(f"{escape(self._phase.title)}: {escape(words)} [dim]{duration(elapsed)}[/dim]")
        elif self._now() - self._last_line >= HEARTBEAT_S and elapsed >= HEARTBEAT_S:
            self._say(f"  … {self._phase.title}: {words} ({duration(elapsed)})")

    def close(self) -> None:
        """Finish the phase at hand; nothing is shown after this."""
        self._finish_phase()
        if self._status:
            self._status.stop()
            self._status = None
        self._task = ""

    @property
    def doing(self) -> str:
        """What was going on last: "Docker: Install the engine", or nothing."""
        return f"{self._phase.title}: {self._task}" if self._phase and self._task else ""

    def _on_play(self, event: dict[str, Any]) -> None:
        self._play = event["name"]

    def _on_task(self, event: dict[str, Any]) -> None:
        self._enter(event.get("role") or self._play, event["time"])
        self._task, self._task_since, self._progress = event["task"], event["time"], ""

    def _on_retry(self, event: dict[str, Any]) -> None:
        self._progress = progress_words(event["progress"])

    def _on_result(self, event: dict[str, Any]) -> None:
        phase = self._phase
        if phase is None:
            return
        phase.ended = max(phase.ended, event["time"])
        phase.done += event["status"] != "skipped"
        if event["status"] == "changed":
            phase.changed += 1
            self.told.changes.append(f"{phase.title}: {event['task']}")
        if event["status"] in ("failed", "unreachable"):
            hidden = "It failed; what it said is not shown, because it handles a secret." if event["hidden"] else ""
            failure = Failure(phase.title, event["task"], hidden or event["message"], event["status"] == "unreachable")
            self.told.failures.append(failure)
        if phase.name == "Preflight" and self.told.plan and not self.told.failures and not self._plan_shown:
            self._finish_phase()
            self._show_plan()
            self._plan_shown = True

    def _on_diff(self, event: dict[str, Any]) -> None:
        self.told.diffs += 1
        self._say(f"  {self._phase.title if self._phase else ''}: {event['task']}")
        self._say("\n".join(f"  │ {line}" for line in event["text"].rstrip().splitlines()))

    def _on_plan(self, event: dict[str, Any]) -> None:
        self.told.plan = {key: event.get(key, []) for key in ("plan", "warnings", "refusals")}

    def _show_plan(self) -> None:
        if sentences := self.told.plan.get("plan"):
            self._say("\nThe plan:")
            for sentence in sentences:
                self._say(f"  • {sentence}")
        for warning in self.told.plan.get("warnings", []):
            self._screen.warn(" ".join(filter(None, (warning["what"], warning["why"], warning.get("nearest")))))
        self._say()

    def _on_released(self, event: dict[str, Any]) -> None:
        self.told.released = {key: event.get(key) for key in ("release", "done", "waits")}

    def _on_verified(self, event: dict[str, Any]) -> None:
        self.told.verified = list(event.get("checks", []))

    def _enter(self, name: str, at: float) -> None:
        if self._phase is not None and self._phase.name == name:
            return
        self._finish_phase()
        # The plan is shown as soon as it is there, before the last steps of its phase.
        if self._plan_shown and self.told.phases[-1].name == name:
            self._phase = self.told.phases[-1]
            return
        self._phase = Phase(name, at, at)
        self.told.phases.append(self._phase)

    def _finish_phase(self) -> None:
        phase, self._phase = self._phase, None
        if phase is None:
            return
        if phase.name in _QUIET or not phase.done:
            return
        if any(failure.phase == phase.title for failure in self.told.failures):
            self._screen.console.print(f"[red]✘[/red] {phase.title:<22} {duration(phase.seconds):>8}")
            return
        if phase.name == "Preflight" and self._plan_shown:
            return
        would = "would change" if self._checking else "changed"
        note = f"{phase.changed} {would}" if phase.changed else "as it should be"
        if phase.name in ("Preflight", "Verify"):
            note = ""
        self._screen.done(f"{phase.title:<22} {duration(phase.seconds):>8}   {note}".rstrip())
        self._last_line = self._now()

    def _say(self, text: str = "") -> None:
        self._last_line = self._now()
        self._screen.say(text)


def duration(seconds: float) -> str:
    """Write a time as people say it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def progress_words(progress: dict[str, Any]) -> str:
    """Write `ai_progress` ({text, done, total} in bytes) as "pulling qwen2.5:3b, 512 of 1929 MiB (26 %)"."""
    text, done, total = str(progress.get("text", "")), progress.get("done"), progress.get("total")
    if isinstance(done, int | float) and isinstance(total, int | float) and total > 0:
        return f"{text}, {done / 2**20:.0f} of {total / 2**20:.0f} MiB ({min(done, total) * 100 // total:.0f} %)"
    return text
