"""Carrying a migration out, going on with one, taking one back, and ending one for good."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.named_files import among
from ai_services.host.phases import duration
from ai_services.host.remote import Remote
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import SettingsError, load, public
from ai_services.host.target import Target
from ai_services.host.values import Given
from ai_services.migrate import steps, undo
from ai_services.migrate.host_tool import HostTool, ToolError
from ai_services.migrate.order import Order
from ai_services.migrate.steps import Work


@dataclass(frozen=True)
class Report:
    """What came of it, for a person and as JSON. `waited_s`: how long callers of speech waited at most."""

    host: str
    what: str
    seconds: float
    waited_s: float | None = None
    steps: dict[str, Any] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    log: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return vars(self)


def carry_out(
    order: Order, *, remote: Remote, target: Target, settings: HostSettings, screen: Screen, log: Path,
    again: str, verbose: bool = False,
) -> Report:  # fmt: skip
    """Make the host ours as ordered.

    Raises:
        OperatorError: a step failed; callers are answered as before, and the next run goes on.
    """
    begun = time.monotonic()
    work = Work(HostTool(remote), target, settings, screen, log, again, verbose)
    with _locked(work, "migrate"):
        _until_idle(work)
        work.state = work.tool.call("begin", stdin=undo.packed(order))["state"]
        return _to_the_end(work, begun)


def resume(
    *, remote: Remote, target: Target, screen: Screen, log: Path, again: str, verbose: bool = False,
    given: Given | None = None, known: Mapping[str, str] | None = None,
) -> Report:  # fmt: skip
    """Go on with the migration that was begun on this host, from whatever machine.

    `known` are the files that were named on this one for that host; others are not taken by the host's word.

    Raises:
        OperatorError: there is none, a setting of this machine is missing, or a step failed.
    """
    begun = time.monotonic()
    work = Work(HostTool(remote), target, HostSettings(), screen, log, again, verbose)
    with _locked(work, "migrate"):
        _until_idle(work)
        work.read()
        if not work.state:
            raise OperatorError("No migration was begun on this host.", exit_code=BLOCKED)
        if work.state["phase"] == "undoing":
            raise OperatorError(
                "A rollback was begun on this host and did not come to its end.",
                hint=f"Finish it: ./ai migrate {again} --rollback",
                exit_code=BLOCKED,
            )
        work.settings = _settings(work.order, given, known or {})
        for line in _otherwise(work, given):
            screen.warn(line)
        return _to_the_end(work, begun)


def roll_back(
    *, remote: Remote, target: Target, screen: Screen, log: Path, again: str, verbose: bool = False,
    yes: bool = True,
) -> Report:  # fmt: skip
    """Let the old service serve again, by the very files that were there, and take ours off.

    Raises:
        OperatorError: there is nothing to take back, nobody agreed, or a step failed; then callers are still answered.
    """
    begun = time.monotonic()
    work = Work(HostTool(remote), target, HostSettings(), screen, log, again, verbose)
    with _locked(work, "migrate --rollback"):
        if back := _existing(work, "taken back"):
            screen.say(f"{target} is as it was before the migration: {back['by']} took it back at {back['time']}.")
            return Report(str(target), "rolled back", 0.0, log=str(log))
        if work.state.get("finalizing"):
            raise OperatorError(
                "This migration was being made final: parts of the old service are gone.",
                hint=f"Finish it: ./ai migrate {again} --finalize",
                exit_code=BLOCKED,
            )
        waited = undo.carry_out(work, yes=yes)
    screen.say()
    screen.say(f"{target} is as it was before the migration ({duration(time.monotonic() - begun)}).")
    screen.say(f"Callers of speech waited {waited or 0:g} s at most.")
    return Report(str(target), "rolled back", round(time.monotonic() - begun, 1), waited, log=str(log))


def finalize(
    *, remote: Remote, target: Target, screen: Screen, log: Path, again: str, verbose: bool = False,
    yes: bool = True,
) -> Report:  # fmt: skip
    """Remove what was kept of the old service for a rollback.

    Raises:
        OperatorError: the migration is not at its end, nobody agreed, or the host refuses.
    """
    begun = time.monotonic()
    work = Work(HostTool(remote), target, HostSettings(), screen, log, again, verbose)
    with _locked(work, "migrate --finalize"):
        _existing(work, "finalized")
        if work.state["phase"] != "migrated":
            raise OperatorError(
                "The migration of this host is not at its end: nothing was removed.",
                hint=f"Go on: ./ai migrate {again}",
                exit_code=BLOCKED,
            )
        gone = undo.finalize(work, yes=yes)
    stays = undo.kept(work.order)
    screen.say(f"Removed: {'; '.join(gone) or 'nothing was left'}. There is no way back any more.")
    for line in stays:
        screen.say(f"  + {line}")
    return Report(str(target), "finalized", round(time.monotonic() - begun, 1), gone=gone, stays=stays, log=str(log))


def _to_the_end(work: Work, begun: float) -> Report:
    work.tool.call("settle", timeout_s=1200)
    work.read()
    steps.carry_out(work)
    work.state = work.tool.call("phase", "migrated")["state"]
    return _told(work, round(time.monotonic() - begun, 1))


def _told(work: Work, seconds: float) -> Report:
    screen, state = work.screen, work.state
    waited = state.get("waited_s")
    stays = undo.kept(work.order)
    keep = undo.settings_to_keep(work)
    screen.say()
    screen.say(f"Done in {duration(seconds)}. Callers of speech waited {waited or 0:g} s at most.")
    screen.say("Kept for a rollback, stopped:")
    for line in stays:
        screen.say(f"  + {line}")
    screen.say("In ai.yml from now on, so that a deploy keeps the old doors open:")
    for name, value in keep.items():
        screen.say(f"  {name}: {json.dumps(value)}")
    screen.say(f"Back:     ./ai migrate {work.again} --rollback")
    screen.say(f"For good: ./ai migrate {work.again} --finalize")
    screen.say(f"Log:      {work.log}")
    return Report(str(work.target), "migrated", seconds, waited, state["steps"], [], stays, keep, str(work.log))


def _until_idle(work: Work) -> None:
    """Wait for what a run that died has left at work on the host: it writes the same state as we do."""
    while busy := work.tool.call("state").get("busy"):
        work.screen.say(f"The host itself is still at work on: {', '.join(busy)}; waiting for it.")
        try:
            work.tool.follow(busy[0], work.say, lambda: None)
        except ToolError as error:
            work.screen.warn(f"It ended without success: {error.message}")


@contextmanager
def _locked(work: Work, why: str) -> Iterator[None]:
    work.tool.bring()
    work.tool.lock(why)
    try:
        yield
    finally:
        work.tool.release()


def _existing(work: Work, what: str) -> dict[str, str] | None:
    """See that there is a migration; where the last one was taken back, return when (`time`) and `by` whom."""
    _until_idle(work)
    if work.read() and work.state["phase"] in ("begun", "migrated", "undoing"):
        return None
    back: dict[str, str] | None = None if work.state else work.tool.call("gone")["back"]
    if back and what == "taken back":
        return back
    raise OperatorError(
        f"There is no migration on this host that could be {what}.",
        hint=f"What is deployed here: ./ai history {work.again}",
        exit_code=BLOCKED,
    )


def _otherwise(work: Work, given: Given | None) -> list[str]:
    """What is given now and was not when the migration was planned: an ai.yml of another host, mostly."""
    before, now = work.order["settings"], public(work.settings)
    return [
        f"{name} is {now[name]} now ({given.places.get(name, 'given') if given else ''}), and was {was} in the plan."
        for name, was in before.items()
        if name in now and now[name] != was and not name.endswith("_file")
    ]


def _settings(order: Order, given: Given | None, known: Mapping[str, str]) -> HostSettings:
    """The settings that the migration was begun with, over them what was given now (files may lie elsewhere here)."""
    now = {name: value for name, value in (given.values if given else {}).items() if value is not None}
    files = among(order["settings"])
    before = {name: value for name, value in order["settings"].items() if files.get(name) == known.get(name)}
    try:
        return load({name: value for name, value in (before | now).items() if value is not None})
    except SettingsError as error:
        raise OperatorError(
            f"The migration was begun with settings that this machine has not all of: {error}",
            hint="Give them here too (--config, --set); the files with tokens stay on the machine that deploys.",
            exit_code=BLOCKED,
        ) from error
