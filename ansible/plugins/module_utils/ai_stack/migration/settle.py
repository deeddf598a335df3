"""After a boot, or a process that was killed: what is needed so that the old service serves, or ours."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import engines, gateway, observe, switch
from ..change import Change
from ..engine import Engine, EngineError
from ..journal import Journal
from . import back, front, takeover
from .old import Old
from .state import MigrationError, State
from .takeover import FAULTS, LANGUAGE, READY_S, SPEECH


def settle(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> list[str]:
    """See that old or new serves. Returns what had to be done, in words.

    Raises:
        MigrationError: something could not be done; everything else was.
    """
    if not state.is_open:
        return []
    engine = Engine()
    change = takeover.change_of(root, "", journal, engine, sample, say, state)
    done: list[str] = []
    wrong: list[str] = []
    for what in (_nginx, _way_in, _relay, _speech, _language):
        try:
            done += what(state, change)
        except Exception as error:  # one that fails must not keep the others from being done
            wrong.append(str(error))
    for words in done:
        journal.write("migrate:settle", "done", None, words)
    if wrong:
        journal.write("migrate:settle", "failed", None, "; ".join(wrong).splitlines()[0])
        raise MigrationError("; ".join([*done, *wrong]))
    return done


def _nginx(state: State, change: Change) -> list[str]:
    del change
    done = front.mend(state)
    return [*done, "nginx has read its files"] if switch.settle() else done


def _way_in(state: State, change: Change) -> list[str]:
    """The rule is not there after a boot; while nginx listens in the old port's place, it is how callers come in."""
    forth = state.content["phase"] == "begun" and state.of("front") == "done" and state.of("retire") != "done"
    back_again = state.content["phase"] == "undoing" and state.of("undo:front") == ""
    if not (forth or back_again) or not front.has_helpers(state) or front.is_redirected():
        return []
    front.redirect(state, change.engine)
    return ["the old port leads to the gateway again"]


def _relay(state: State, change: Change) -> list[str]:
    """Its guard is not there after a boot."""
    del change
    if state.order.get("relay_port") and state.of("beside") and state.content["phase"] != "migrated":
        takeover.relay_up(state)
    return []


def _speech(state: State, change: Change) -> list[str]:
    old = Old(state.old, change.engine)
    begun = state.content["phase"] == "begun"
    in_doubt = begun and state.of("whisper") in ("begun", "failed")
    # Where ours serves it may go on: both at once may be too much for the machine.
    undone = state.content["phase"] == "undoing" and not _ours_runs(change)
    if not (in_doubt or undone or (begun and state.of("whisper") == "")):
        return []
    if old.is_running():
        # Cut off between the word that nothing is to start it again, and its stop.
        with contextlib.suppress(MigrationError):
            old.as_found()
        return []
    change.say("the old service starts again")
    with _waiting(change):
        if in_doubt:
            with contextlib.suppress(*FAULTS):
                for one in observe.of(SPEECH, observe.containers(change.engine)):
                    change.compose.remove(one.id)
        try:
            old.start()
            old.works(change.sample, READY_S)
        except FAULTS as error:
            if not undone or not back.ours(change.engine, running=False):
                raise
            with contextlib.suppress(*FAULTS):
                old.stop(takeover.AT_LEAST_S)
            raise MigrationError(f"{error}\n{back.ours_again(change)}") from error
    return ["the old service serves again"]


def _language(state: State, change: Change) -> list[str]:
    """A boot leaves what `current` names: without a language model, until speech is ours. nginx leads to it before."""
    led = state.content["phase"] == "begun" and state.of("beside") == "done" and state.of("whisper") != "done"
    if not (led and state.order.get("language_first")) or not engines.missing(change, LANGUAGE):
        return []
    takeover.language_beside(change.root, state, change.journal, change.say)
    return ["our language model runs beside the old one again"]


def _ours_runs(change: Change) -> bool:
    try:
        return bool(back.ours(change.engine, running=True))
    except EngineError:
        return False  # nothing of ours runs without Docker, which may have gone with us


@contextlib.contextmanager
def _waiting(change: Change) -> Iterator[None]:
    """Let callers wait, or go on to, where the gateway can: nobody is refused meanwhile, nor asks one that goes."""
    with contextlib.ExitStack() as held:
        with contextlib.suppress(*FAULTS):
            admin = gateway.serving(change)
            if admin is not None and admin.backend(SPEECH):
                held.enter_context(takeover.waiting(change, admin))
        yield
