"""The moments in which ours takes over, each whole: whoever is cut off here is settled by settle.py."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .. import engines, gateway
from ..admin import Admin, AdminError
from ..change import Change, ChangeError
from ..compose import ComposeError, UnhealthyError
from ..durable import write_file
from ..engine import Engine, EngineError
from ..journal import Journal
from ..releases import Store
from ..reserve import NoRoomError, Reserve
from . import front, relay
from .old import Old, _do
from .state import MigrationError, State, step

SPEECH, LANGUAGE = "whisper-api", "ollama"
SETTLER = "ai-migration.service"
READY_S = 900.0
# Before anybody has to wait. Who keeps a connection and goes on asking is ended by the old service between two answers.
_STRANGERS_S = 60.0
# The gateway lets nobody wait longer than ten minutes: what is under way has four, ours is healthy within seven, and
# what is left is for the way back.
REST_WITHIN_S = 240.0
AT_LEAST_S = 30.0
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
        write_file(place, text.encode())
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
        found = (state.folder / WHOLE).read_text().strip()
    except OSError:
        found = ""
    if not found:
        raise MigrationError("The release that is to serve was not written yet: run the migration again.")
    return found


def speech(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Let our speech service take over from the old one, while callers wait.

    Raises:
        MigrationError: it did not; the old one serves again, or is said not to.
    """
    engine = Engine()
    change = change_of(root, whole(state), journal, engine, sample, say, state)
    admin = admin_of(change)
    old = Old(state.old, engine)
    reserve = Reserve.of(root, engine)
    with contextlib.ExitStack() as held, step(state, "whisper", journal), reserve.held():
        if left := old.left(_STRANGERS_S, {*front.subnets(engine)}):
            say(f"{left} connections past the gateway stay open; the old service ends them in its own time")
        begun = time.monotonic()
        # Until it is written down that ours serves: a run killed before is undone, and under callers that had gone on.
        held.enter_context(waiting(change, admin))
        say("callers wait from now on; those under way are answered")
        engines._settle(change, SPEECH, admin)
        if not old.has_finished(remaining(begun, REST_WITHIN_S)):
            raise MigrationError(
                f"The old service still works on tasks after {REST_WITHIN_S:g} s. Nothing was stopped, and nobody "
                "was cut off. Try again when they have ended."
            )
        say("the old service stops")
        try:
            old.stop(remaining(begun, REST_WITHIN_S))
            old.step_aside(str(state.content["id"])[-6:])
            say("ours starts")
            change.compose.up_service(SPEECH)
            change.compose.wait_healthy(remaining(begun, engines.HEALTHY_WITHIN_S), [SPEECH])
            engines.prove(change, SPEECH, admin, remaining(begun, engines.HEALTHY_WITHIN_S))
            change.store.switch(change.release)
        except Exception as error:  # whatever it is: callers wait, and the old service is the way back
            reserve.free()
            say(f"it did not work: {error}")
            raise MigrationError(f"{error}\n{_old_again(change, old, sample)}") from error
        seconds = round(time.monotonic() - begun, 1)
        state.keep(waited_s=seconds)
        say(f"ours serves; callers waited {seconds:g} s at most")


def language_beside(root: Path, state: State, journal: Journal, say: Callable[[str], None]) -> None:
    """Where callers of the old Ollama come in by nginx: have ours there before they are led to it. No model is loaded.

    Raises:
        ComposeError, UnhealthyError: it does not start; nobody was led anywhere yet.
    """
    if not state.order.get("language_first"):
        return
    engine = Engine()
    change = change_of(root, whole(state), journal, engine, b"", say, state)
    old = [one for one in state.old.get("containers") or [] if one["name"] == LANGUAGE]
    Old({**state.old, "containers": old, "units": []}, engine).step_aside(str(state.content["id"])[-6:])
    change.compose.up_service(LANGUAGE)
    change.compose.wait_healthy(change.timeout_s, [LANGUAGE])
    _reachable(change)


def language(root: Path, state: State, journal: Journal, sample: bytes, say: Callable[[str], None]) -> None:
    """Start the language model and let it say a word.

    Raises:
        MigrationError: it does not.
    """
    engine = Engine()
    change = change_of(root, whole(state), journal, engine, sample, say, state)
    with step(state, "ollama", journal):
        try:
            change.compose.up_service(LANGUAGE)
            change.compose.wait_healthy(change.timeout_s, [LANGUAGE])
            _reachable(change)
            engines.prove(change, LANGUAGE, admin_of(change))
        except FAULTS as error:
            raise MigrationError(
                f"{error}\nSpeech is answered as before; only the language model is not there."
            ) from error


def _old_again(change: Change, old: Old, sample: bytes) -> str:
    try:
        change.compose.remove_service(SPEECH)
    except FAULTS as error:
        change.say(f"our speech service could not be removed: {error}")
    try:
        old.start()
        old.works(sample, READY_S)
    except FAULTS as error:
        return f"The old service could not be started again either: {error}"
    return "The old service serves again, as before."


@contextlib.contextmanager
def waiting(change: Change, admin: Admin, backend: str = SPEECH) -> Iterator[None]:
    """Let callers of a backend wait during the block.

    Raises:
        AdminError: the gateway does not, or somebody else lets them wait.
    """

    def lost(why: str) -> None:
        change.journal.write(f"migrate:{backend}:pause", "failed", change.release, why)
        change.say(f"callers do not wait any more: {why}")

    with admin.paused(backend, change.owner, "the speech service is replaced", lost):
        yield


def remaining(begun: float, limit_s: float) -> float:
    """Seconds that are left of `limit_s` since `begun` (time.monotonic), and some in any case."""
    return max(AT_LEAST_S, limit_s - (time.monotonic() - begun))


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


def admin_of(change: Change) -> Admin:
    """Our gateway's own door.

    Raises:
        MigrationError: it does not run, or does not let us in.
    """
    admin = gateway.serving(change)
    if admin is None or admin.state() is None:
        raise MigrationError("Our gateway does not run, or does not take the host's own key: nothing was stopped.")
    return admin


def change_of(
    root: Path, release: str, journal: Journal, engine: Engine, sample: bytes, say: Callable[[str], None], state: State
) -> Change:
    """A change to `release`, or to any where nothing is to be started, under the migration's own name."""
    return Change(
        root, release or _whole_or_current(root, state), engine, journal, READY_S, READY_S,
        f"migrate {state.content['id']}", say, sample,
    )  # fmt: skip


def _whole_or_current(root: Path, state: State) -> str:
    """Any release to speak to Docker by: which one does not matter where nothing is started."""
    try:
        return whole(state)
    except MigrationError:
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
