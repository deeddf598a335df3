"""Letting a release serve, one component at a time, and without a failed request; otherwise the one before is back.

Nothing is remembered between runs: each looks at what is there and goes on to what is wanted. So a run that was cut off
is continued, or undone, by the next one. `current` is switched last: whoever boots this host in between finds it naming
a release that has worked.
"""

from __future__ import annotations

import contextlib
import dataclasses

from . import engines, gateway, observe, switch
from .admin import Admin, AdminError
from .change import STEPS, Change, ChangeError, number
from .compose import ComposeError, UnhealthyError
from .engine import EngineError
from .journal import broken_off
from .observe import GATEWAY
from .releases import ReleaseError
from .reserve import NoRoomError, Reserve

_FAULTS = (ChangeError, ComposeError, UnhealthyError, EngineError, AdminError, ReleaseError, OSError)


class ActivationError(Exception):
    """The release does not serve. The message says why, and what serves now."""


def activate(change: Change) -> list[str]:
    """Make the release the one that serves; returns what was done in words, empty when it served already.

    Raises:
        ActivationError: it did not work; the release that served before is back, or said not to be.
    """
    # Of what an earlier run left: a disk that it filled must not keep this one from mending.
    reserve = Reserve.of(change.root, change.engine)
    change = dataclasses.replace(change, journal=dataclasses.replace(change.journal, relief=reserve.free))
    release, before = change.release, change.store.current
    try:
        todo = change.compose.differences()
        settled = not todo and before == release and gateway.is_right(change)
    except _FAULTS as error:
        raise ActivationError(f"Release {release} cannot be started. {error}") from error
    if settled:
        _still_well(change)
        # A run that was cut off has left nothing to do but this; its steps would seem to be going on for ever.
        engines.resume_left(change, gateway.serving(change))
        reserve.free()
        _close(change)
        return []
    try:
        with reserve.held():
            _carry_out(change, before, todo, reserve)
    except NoRoomError as error:
        raise ActivationError(f"Nothing was changed. {error}") from error
    if before != release:
        todo.append(f"release {release} serves" + (f" instead of {before}" if before else ""))
    return todo


def _carry_out(change: Change, before: str | None, todo: list[str], reserve: Reserve) -> None:
    try:
        with change.journal.step("activate", change.release, "; ".join(todo)):
            change.say("; ".join(todo) or "nothing to start")
            _reach(change, before)
            change.store.switch(change.release)
    except Exception as error:
        # Also what nobody foresaw: a host is not left between two releases. If it was for want of room, what was kept
        # for the way back is given free now.
        reserve.free()
        words = str(error) if isinstance(error, _FAULTS) else f"{type(error).__name__}: {error}"
        raise ActivationError(f"{words}\n{_undo(change, before)}") from error
    _close(change)


def _reach(change: Change, before: str | None) -> None:
    """Go from whatever runs to what the release has, component by component."""
    wanted = change.wanted()
    if not any(one.runs for one in observe.containers(change.engine)):
        _start(change, list(wanted))
        return
    first = _gateway_first(change)
    if first:
        gateway.exchange(change)
    admin = gateway.serving(change)
    if admin is not None and admin.state() is None:
        admin = None
    for service, digest in wanted.items():
        own = observe.of(service, observe.containers(change.engine))
        if service == GATEWAY or any(one.runs and one.digest == digest for one in own):
            continue
        engines.exchange(change, service, admin, before)
    if not first:
        gateway.exchange(change)
    for service in sorted({one.service for one in observe.containers(change.engine)} - set(wanted)):
        with change.step(f"remove:{service}"):
            change.compose.remove_service(service)
    change.say("waiting until every service is healthy")
    change.compose.wait_healthy(change.timeout_s)
    engines.resume_left(change, gateway.serving(change))


def _start(change: Change, services: list[str]) -> None:
    """Start everything on a host where nothing runs: nobody is disturbed, and all at once is soonest."""
    with change.step("start"):
        change.compose.up()
        change.say("waiting until every service is healthy")
        change.compose.wait_healthy(change.timeout_s)
        for one in observe.of(GATEWAY, observe.containers(change.engine)):
            if one.runs and one.port:
                switch.choose(change.root, one.port)
                for service in services:
                    engines.prove(change, service, Admin.of(change.root, one.port))


def _gateway_first(change: Change) -> bool:
    """Whether the gateway changes before the engines: the newer of the two is to be in charge of pausing them."""
    admin = gateway.serving(change)
    try:
        state = admin.state() if admin else None
    except AdminError:
        state = None
    if state is None:
        return True
    return number(str(change.store.about(change.release).get("version", ""))) >= number(str(state.get("version", "")))


def _still_well(change: Change) -> None:
    try:
        change.compose.wait_healthy(change.timeout_s)
    except _FAULTS as error:
        raise ActivationError(f"Release {change.release} runs as it should, but does not work. {error}") from error


def _undo(change: Change, before: str | None) -> str:
    """Bring the release that served before back; returns what serves now, in a sentence."""
    if before is None:
        return "Nothing served before it. Mend what is said above and deploy again."
    if before == change.release:
        return f"Release {before} is the current one and stays it. Mend what is said above and deploy again."
    back = dataclasses.replace(change, release=before)
    try:
        with change.journal.step("restore", before, f"instead of {change.release}"):
            change.say(f"going back to release {before}")
            _reach(back, None)
            # It names the one that did not work where that was lost at the very last.
            back.store.switch(before)
    except Exception as error:  # as above: what serves now is said whatever went wrong
        return f"Release {before} served before it and could not be brought back either: {error}"
    _close(change)
    return f"Release {before}, which served before it, serves again."


def _close(change: Change) -> None:
    """End the steps of changes that were cut off; those of a migration around this one are its own to end."""
    own = {name.partition(":")[0] for name in STEPS}
    # A disk that lets nothing be written spoils no change that has succeeded.
    with contextlib.suppress(OSError):
        for step in broken_off(change.journal.path):
            if step.partition(":")[0] in own:
                words = "a run before this one was cut off; all is well now"
                change.journal.write(step, "done", change.store.current, words)
