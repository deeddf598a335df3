"""The moments in which one service gives way to another, each whole: whoever is cut off here is settled by `settle`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import engines, gateway, observe
from ..admin import Admin, AdminError
from ..change import Change, ChangeError
from ..compose import ComposeError, UnhealthyError
from ..durable import write_file
from ..engine import Engine, EngineError
from ..journal import Journal
from ..reserve import NoRoomError, Reserve
from . import front, relay
from .old import Old, _do
from .state import MigrationError, State, step

SPEECH, LANGUAGE = "whisper-api", "ollama"
SETTLER = "ai-migration.service"
_READY_S = 900.0
# Who keeps a connection and goes on asking is ended by the old service itself, between two answers.
_STRANGERS_S = 30.0
# Beside the installation itself: the release that has everything, written by the playbook.
WHOLE = "whole"
_UNIT = """\
# Of ai-services, while the host is being migrated: a boot in the middle of a step ends it or undoes it.
[Unit]
Description=Settle a migration that was cut off
After=docker.service ai.service nginx.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -I {tool} settle
TimeoutStartSec=1800

[Install]
WantedBy=multi-user.target
"""
FAULTS = (ChangeError, ComposeError, UnhealthyError, EngineError, AdminError, MigrationError, NoRoomError, OSError)


def guard(tool: Path) -> None:
    """Have a boot, or the end of a process that was killed, leave a host that serves."""
    place = Path("/etc/systemd/system") / SETTLER
    text = _UNIT.format(tool=tool)
    if not place.is_file() or place.read_text() != text:
        place.write_text(text)
        _do(["systemctl", "daemon-reload"])
    _do(["systemctl", "enable", SETTLER])


def no_guard() -> None:
    """Take the guard away."""
    place = Path("/etc/systemd/system") / SETTLER
    if place.is_file():
        with contextlib.suppress(MigrationError):
            _do(["systemctl", "disable", SETTLER])
        place.unlink()
        _do(["systemctl", "daemon-reload"])


def whole(state: State) -> str:
    """The id of the release that has everything and still knows the old service.

    Raises:
        MigrationError: it was not written yet.
    """
    try:
        return (state.folder / WHOLE).read_text().strip()
    except OSError:
        raise MigrationError("The release that is to serve was not written yet: run the migration again.") from None


def speech(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Let our speech service take over from the old one, while callers wait.

    Raises:
        MigrationError: it did not; the old one serves again, or is said not to.
    """
    engine = Engine()
    change = _change(root, whole(state), journal, engine, sample, say, state)
    admin = _admin(change)
    old = Old(state.old, engine)
    reserve = Reserve.of(root, engine)
    with step(state, "whisper", journal), reserve.held():
        begun = time.monotonic()
        with _waiting(change, admin):
            say("callers wait from now on; those under way are answered")
            engines._settle(change, SPEECH, admin)
            known = {*front.subnets(engine)}
            if left := old.drain(_STRANGERS_S, known):
                say(f"{left} connections to the old service stay open; it ends them in its own time")
            say("the old service stops")
            try:
                old.stop()
                old.step_aside(str(state.content["id"])[-6:])
                say("ours starts")
                change.compose.up_service(SPEECH)
                change.compose.wait_healthy(engines.HEALTHY_WITHIN_S, [SPEECH])
                engines.prove(change, SPEECH, admin)
                change.store.switch(change.release)
            except FAULTS as error:
                reserve.free()
                say(f"it did not work: {error}")
                raise MigrationError(f"{error}\n{_old_again(change, old, sample)}") from error
        seconds = round(time.monotonic() - begun, 1)
        state.keep(waited_s=seconds)
        say(f"ours serves; callers waited {seconds:g} s at most")


def language(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Start the language model and let it say a word.

    Raises:
        MigrationError: it does not.
    """
    engine = Engine()
    change = _change(root, whole(state), journal, engine, sample, say, state)
    with step(state, "ollama", journal):
        try:
            change.compose.up_service(LANGUAGE)
            change.compose.wait_healthy(change.timeout_s, [LANGUAGE])
            _reachable(change)
            engines.prove(change, LANGUAGE, _admin(change))
        except FAULTS as error:
            raise MigrationError(
                f"{error}\nSpeech is answered as before; only the language model is not there."
            ) from error


def settle(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> list[str]:
    """After a boot or a killed process: see that old or new serves. Returns what had to be done, in words."""
    done: list[str] = []
    if not state.is_open:
        return done
    engine = Engine()
    old = Old(state.old, engine)
    in_doubt = state.of("whisper") in ("begun", "failed") and state.content["phase"] == "begun"
    undone = state.content["phase"] == "undoing" and state.of("undo:old") in ("begun", "done", "failed")
    if (in_doubt or undone or state.of("whisper") == "") and not old.is_running():
        say("the old service starts again")
        change = _change(root, "", journal, engine, sample, say, state)
        if in_doubt:
            with contextlib.suppress(*FAULTS):
                for one in observe.of(SPEECH, observe.containers(engine)):
                    change.compose.remove(one.id)
        old.start()
        old.works(sample, _READY_S)
        done.append("the old service serves again")
        journal.write("migrate:settle", "done", None, done[-1])
    # The rule is not there after a boot; from the step `front` on, it is how callers come in.
    redirected = state.of("front") == "done" and state.of("retire") != "done" and state.content["phase"] == "begun"
    if redirected and front.has_helpers(state) and not front.is_redirected():
        front.redirect(state, engine)
        done.append("the old port leads to the gateway again")
    return done


def undo_speech(state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Let the old service serve again, while ours still does: nobody waits.

    Raises:
        MigrationError: it does not start or does not answer; ours serves on.
    """
    engine = Engine()
    old = Old(state.old, engine)
    with step(state, "undo:old", journal):
        if not old.is_running():
            _spare_the_name(state, engine, say)
            front.give_the_port_back(state, engine)
            say("the old service starts")
            old.start()
        old.works(sample, _READY_S)
        say("the old service answers")


def undo_front(state: State, journal: Journal, say: Callable[[str], None]) -> None:
    """Let callers reach the old service directly again, by the very files that were there.

    Raises:
        MigrationError: nginx refuses; then they reach it through the gateway as before.
    """
    with step(state, "undo:front", journal):
        if front.no_redirect():
            # Connections that the rule made, and that their callers keep, end with the answer that is under way.
            front.reload_nginx()
        if state.of("front") and not state.order.get("in_place_of"):
            changed = front.bring_back([Path(name) for name in state.order.get("aside", [])])
            say(f"back in their places: {', '.join(changed) or 'nothing had to be moved'}")


def drained(root: Path, state: State, journal: Journal, say: Callable[[str], None], timeout_s: float) -> int:
    """Wait until our gateway answers nobody any more; returns how many it still answers."""
    engine = Engine()
    change = _change(root, "", journal, engine, b"", say, state)
    ends_at = time.monotonic() + timeout_s
    quiet = 0
    count = 0
    while quiet < 4 and time.monotonic() < ends_at:
        admin = gateway.serving(change)
        try:
            count = int(((admin.state() if admin else None) or {}).get("in_flight") or 0)
        except AdminError:
            count = 0
        quiet = 0 if count else quiet + 1
        time.sleep(0.5)
    return count


def _spare_the_name(state: State, engine: Engine, say: Callable[[str], None]) -> None:
    """The old container needs its name back, and ours runs under it: ours gets another one for its last minutes."""
    for one in state.old.get("containers") or []:
        found = engine.container(one["name"])
        if found is not None and found["Id"] != one["id"]:
            say(f"our container {one['name']} is renamed, for the old one needs the name")
            _do(["docker", "rename", found["Id"], f"{one['name']}-leaving"])


def _old_again(change: Change, old: Old, sample: bytes) -> str:
    try:
        change.compose.remove_service(SPEECH)
    except FAULTS as error:
        change.say(f"our speech service could not be removed: {error}")
    try:
        old.start()
        old.works(sample, _READY_S)
    except FAULTS as error:
        return f"The old service could not be started again either: {error}"
    return "The old service serves again, as before."


@contextlib.contextmanager
def _waiting(change: Change, admin: Admin) -> Iterator[None]:
    def lost(why: str) -> None:
        change.journal.write("migrate:whisper:pause", "failed", change.release, why)
        change.say(f"callers do not wait any more: {why}")

    with admin.paused(SPEECH, change.owner, "the speech service is replaced", lost):
        yield


def _reachable(change: Change) -> None:
    # The gateway asks for a new container's name once a second.
    ends_at = time.monotonic() + 20
    while time.monotonic() < ends_at:
        time.sleep(1)
        admin = gateway.serving(change)
        if admin is not None:
            with contextlib.suppress(AdminError):
                admin.call("GET", "/api/tags")
                return


def _admin(change: Change) -> Admin:
    admin = gateway.serving(change)
    if admin is None or admin.state() is None:
        raise MigrationError("Our gateway does not run, or does not take the host's own key: nothing was stopped.")
    return admin


def _change(
    root: Path, release: str, journal: Journal, engine: Engine, sample: bytes, say: Callable[[str], None], state: State
) -> Change:
    return Change(
        root, release or whole_or_current(root, state), engine, journal, _READY_S, _READY_S,
        f"migrate {state.content['id']}", say, sample,
    )  # fmt: skip


def whole_or_current(root: Path, state: State) -> str:
    """Any release to speak to Docker by: which one does not matter where nothing is started."""
    try:
        return whole(state)
    except MigrationError:
        from ..releases import Store

        return Store(root).current or ""


def take_keys(root: Path, state: State) -> None:
    """Put the keys of the old service's callers where the role takes them from: they open our gateway, too.

    Raises:
        MigrationError: it asks for a key, and none is seen.
    """
    if not state.old.get("key_variable"):
        return
    keys = Old(state.old, Engine()).keys()
    if not keys:
        raise MigrationError(
            f"The old service asks for a key ({state.old['key_variable']}), and none is in its environment: "
            "its callers would be locked out. Set it there, or name the keys in ai_api_keys_file."
        )
    place = root / "secrets"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(place / "old.key", "".join(f"{key}\n" for key in keys).encode(), mode=0o600)


def relay_up(state: State) -> str | None:
    """The way for our containers to an old service on 127.0.0.1; None where none is needed."""
    port = state.order.get("relay_port")
    return relay.up(Engine(), int(port), int(state.old["port"])) if port else None
