"""The way back: the old service takes over from ours while callers wait, then its front is as it was."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path

from .. import engines, gateway, observe
from ..admin import Admin, AdminError
from ..change import Change
from ..engine import Engine, EngineError
from ..journal import Journal
from . import front, takeover
from .old import Old, _do, fetched
from .state import MigrationError, State, step
from .takeover import FAULTS, LANGUAGE, READY_S, REST_WITHIN_S, SPEECH

# One that does not work has nothing to end.
_BROKEN_S = 30.0


def undo_speech(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Let the old service answer again, behind our gateway, which hands it its callers.

    Both models at once may be more than the machine's memory, and what ours has begun only ours can end: so callers
    wait while the one gives way to the other, as on the way there.

    Raises:
        MigrationError: it does not start or does not answer; ours serves on.
    """
    engine = Engine()
    old = Old(state.old, engine)
    with step(state, "undo:old", journal):
        _spare_the_name(state, engine, say)
        if not old.is_running():
            front.give_the_port_back(state, engine)
            change = takeover.change_of(root, "", journal, engine, sample, say, state)
            admin = _standing_by(state, change)
            if admin is not None:
                _exchange(state, change, admin, old)
            else:
                say("the old service starts beside ours")
                old.start()
        old.as_found()
        old.works(sample, READY_S)
        say("the old service answers")


def undo_front(state: State, journal: Journal, say: Callable[[str], None]) -> None:
    """Let callers reach the old service directly again, by the very files that were there.

    Raises:
        MigrationError: nginx refuses; then they reach it through the gateway as before.
    """
    again = state.of("undo:front") in ("begun", "failed")
    with step(state, "undo:front", journal):
        if front.no_redirect():
            # Connections that the rule made, and that their callers keep, end with the answer that is under way.
            front.reload_nginx()
        if state.of("front") and not state.order.get("in_place_of"):
            changed = front.bring_back([Path(name) for name in state.order.get("aside", [])], again=again)
            say(f"back in their places: {', '.join(changed) or 'nothing had to be moved'}")


def drained(root: Path, state: State, journal: Journal, say: Callable[[str], None], timeout_s: float) -> int:
    """Wait until our gateway answers nobody any more; returns how many it still answers."""
    engine = Engine()
    change = takeover.change_of(root, "", journal, engine, b"", say, state)
    ends_at = time.monotonic() + timeout_s
    quiet = 0
    count = 0
    while quiet < 4 and time.monotonic() < ends_at:
        try:
            admin = gateway.serving(change)
            count = int(((admin.state() if admin else None) or {}).get("in_flight") or 0)
        except (AdminError, EngineError):
            # Without Docker there is no gateway: it did not come yet, or has gone with us already.
            count = 0
        quiet = 0 if count else quiet + 1
        time.sleep(0.5)
    return count


def ours(engine: Engine, *, running: bool) -> list[str]:
    """The ids of our speech service's containers that run, or of those that do not."""
    return [one.id for one in observe.of(SPEECH, observe.containers(engine)) if one.runs is running]


def ours_again(change: Change) -> str:
    """Start our speech service as it was stopped; what became of it, in a sentence."""
    try:
        for one in ours(change.engine, running=False):
            _do(["docker", "start", one])
        change.compose.wait_healthy(engines.HEALTHY_WITHIN_S, [SPEECH])
    except FAULTS as error:
        return f"Ours could not be started again either: {error}"
    return "Ours serves again."


def _standing_by(state: State, change: Change) -> Admin | None:
    """A gateway that hands callers to the old service once ours is gone; None where there is no such way."""
    try:
        if state.old["api"] == "unknown" or not ours(change.engine, running=True):
            return None
        admin = gateway.serving(change)
        if admin is None or admin.state() is None:
            return None
        if not admin.backend(SPEECH).get("standby"):
            takeover.whole(state)  # `change` is to that release, where it is known
            with step(state, "undo:standby", change.journal):
                change.say("the gateway learns of the old service again")
                takeover.relay_up(state)
                gateway.exchange(change)
                change.store.switch(change.release)
            admin = gateway.serving(change)
        return admin if admin is not None and admin.backend(SPEECH).get("standby") else None
    except Exception as error:  # whatever it is: both beside each other is a way, too
        change.say(f"callers cannot be handed over one by one: {error}")
        return None


def _exchange(state: State, change: Change, admin: Admin, old: Old) -> None:
    with step(state, "undo:speech", change.journal), contextlib.ExitStack() as held:
        begun = time.monotonic()
        held.enter_context(takeover.waiting(change, admin))
        change.say("callers wait from now on; those under way are answered")
        engines._settle(change, SPEECH, admin)
        if state.old["api"] == "whisper_api" and not fetched(
            lambda: _tasks(admin), takeover.remaining(begun, REST_WITHIN_S)
        ):
            raise MigrationError("Ours still works on tasks. Nothing was stopped. Try again when they have ended.")
        if state.order.get("plan", {}).get("wanted", {}).get("accelerator") == "nvidia":
            _make_room(change, admin, held)
        change.say("ours stops")
        try:
            for one in ours(change.engine, running=True):
                _do(["docker", "stop", one])
            change.say("the old service starts")
            old.start()
            old.works(change.sample, takeover.remaining(begun, engines.HEALTHY_WITHIN_S))
        except Exception as error:  # whatever it is: callers wait, and ours is the way back
            change.say(f"it did not work: {error}")
            with contextlib.suppress(*FAULTS):
                old.stop(_BROKEN_S)
            raise MigrationError(f"{error}\n{ours_again(change)}") from error
        seconds = round(time.monotonic() - begun, 1)
        state.keep(waited_back_s=seconds)
        change.say(f"callers waited {seconds:g} s at most")


def _tasks(admin: Admin) -> tuple[int, bytes]:
    try:
        return 200, json.dumps(admin.call("GET", "/api/v1/decoder_status")).encode()
    except AdminError as error:
        return error.status or 503, b""


def _make_room(change: Change, admin: Admin, held: contextlib.ExitStack) -> None:
    """Have the language model leave the GPU, and let nobody call it back meanwhile: the old one wants its memory."""
    with contextlib.suppress(*FAULTS):
        held.enter_context(takeover.waiting(change, admin, LANGUAGE))
        engines._settle(change, LANGUAGE, admin)
        for row in admin.call("GET", "/api/ps").get("models") or []:
            admin.call("POST", "/api/generate", {"model": str(row.get("name")), "keep_alive": 0}, 60)


def _spare_the_name(state: State, engine: Engine, say: Callable[[str], None]) -> None:
    """The old container needs its name back, and ours runs under it: ours gets another one for its last minutes."""
    for one in state.old.get("containers") or []:
        found = engine.container(one["name"])
        if found is not None and found["Id"] != one["id"]:
            say(f"our container {one['name']} is renamed, for the old one needs the name")
            _do(["docker", "rename", found["Id"], f"{one['name']}-leaving"])
