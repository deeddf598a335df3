"""/opt/ai/migration/tool: the host's half of `./ai migrate`, one command a call, one JSON object as its answer."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pkgutil
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .. import gateway
from ..durable import sync_directory, write_file
from ..engine import Engine
from ..journal import Journal, read
from ..lock import Lock, LockedError
from . import back, front, keeping, relay, settle, takeover
from .old import Old, _do
from .state import CURRENT, FOLDER, MADE_ROOT, MigrationError, State

ROOT = Path("/opt/ai")
UNITS = Path("/etc/systemd/system")
OK, FAILED, LOCKED = 0, 1, 4
# While a run is under way, operator or host refresh its lock this often; after some missed ones it is free.
LEASE_S = 60
_REFRESH_S = 10.0
# Commands that must come to their end whatever becomes of the operator: they run as units of their own.
LONG = ("whisper", "ollama", "undo-old")
_UNIT = "ai-migrate"
_SWEEP = "migrate:undo:sweep"
# The long ones come to their end in any case; the others only look, or are about the lock itself.
_WITHOUT_LOCK = (*LONG, "lock", "refresh", "release", "state", "said", "settle", "changed")


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one command: 0 done, 1 failed, 4 somebody else is at work."""
    parser = argparse.ArgumentParser(prog="ai-migrate")
    parser.add_argument("command", choices=sorted(_COMMANDS))
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--by", default=f"somebody@{socket.gethostname()}")
    parser.add_argument("--token", default="")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.token and chosen.command not in _WITHOUT_LOCK:
            # Whoever slept through its lease must not work beside the one who came after.
            Lock().refresh(chosen.token)
        answer = _COMMANDS[chosen.command](chosen)
    except LockedError as error:
        _end({"error": str(error), "holder": error.holder}, LOCKED)
    except (MigrationError, *takeover.FAULTS, subprocess.SubprocessError) as error:
        _end({"error": str(error)}, FAILED)
    except Exception as error:  # a fault of ours: whoever reads the operator's screen gets its words, too
        traceback.print_exc()
        _end({"error": f"{type(error).__name__}: {error}"}, FAILED)
    else:
        _end({**answer, **({"ok": True} if chosen.command in LONG else {})}, OK)


def _end(answer: dict[str, Any], status: int) -> None:
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    raise SystemExit(status)


def _lock(chosen: argparse.Namespace) -> dict[str, Any]:
    """Hold the host for this run: WHY OWNER-AS-JSON [TOKEN-OF-A-DEAD-RUN]."""
    lock = Lock()
    if len(chosen.arguments) > 2:
        lock.release(chosen.arguments[2])
    new = lock.acquire(chosen.token, json.loads(chosen.arguments[1]), chosen.arguments[0], LEASE_S)
    return {"new": new, "busy": _busy()}


def _refresh(chosen: argparse.Namespace) -> dict[str, Any]:
    return {"held": Lock().refresh(chosen.token)}


def _release(chosen: argparse.Namespace) -> dict[str, Any]:
    return {"released": Lock().release(chosen.token)}


def _state(_: argparse.Namespace) -> dict[str, Any]:
    state = State.open(ROOT)
    return {"state": state.content if state else None, "busy": _busy()}


def _begin(chosen: argparse.Namespace) -> dict[str, Any]:
    """Write the order (stdin) down; a migration that is open already is gone on with."""
    order = json.loads(sys.stdin.read())
    state = State.open(ROOT)
    if state is None or not state.is_open:
        taken: dict[str, int] = {}
        for port in order.get("redirects", []):
            # Each its own: nothing listens on the one before yet.
            taken[str(port)] = _free_port(max([18999, *taken.values()]) + 1)
        order["in_place_of"] = taken
        if order.get("needs_relay"):
            order["relay_port"] = _free_port(19100)
        state = State.begin(ROOT, order)
        _journal(chosen).write("migrate", "begun", None, str(order["id"]))
    return {"state": state.content}


def _backup(_: argparse.Namespace) -> dict[str, Any]:
    state = _open()
    manifest = keeping.keep(state, Engine())
    return {"files": len(manifest["files"])}


def _mark(chosen: argparse.Namespace) -> dict[str, Any]:
    """STEP STATE [DETAIL]."""
    step, state, *detail = chosen.arguments
    _open().mark(step, state, _journal(chosen), " ".join(detail))
    return {}


def _phase(chosen: argparse.Namespace) -> dict[str, Any]:
    state = _open()
    state.keep(phase=chosen.arguments[0])
    _journal(chosen).write("migrate", chosen.arguments[0], None, str(state.content["id"]))
    return {"state": state.content}


def _relay(_: argparse.Namespace) -> dict[str, Any]:
    state = _open()
    takeover.guard(Path(sys.argv[0]).resolve())
    takeover.take_keys(ROOT, state)
    return {"address": takeover.relay_up(state)}


def _standby(chosen: argparse.Namespace) -> dict[str, Any]:
    """See that the gateway answers the old API by the old service, before anything depends on it."""
    state = _open()
    # Ansible has written it and leaves it to the kernel when that is on the disk; the step is done for good after this.
    write_file(state.folder / takeover.WHOLE, f"{takeover.whole(state)}\n".encode(), mode=0o600)
    takeover.language_beside(ROOT, state, _journal(chosen), _silent)
    if state.old["api"] == "unknown":
        return {}  # nothing of it is passed on: its callers must change over
    change = takeover.change_of(ROOT, "", _journal(chosen), Engine(), b"", _silent, state)
    admin = gateway.serving(change)
    if admin is None or not admin.port:
        raise MigrationError("Our gateway does not run.")
    through = Old({**state.old, "port": admin.port, "containers": [], "units": []}, Engine())
    through.works(_sample(), 180)
    return {}


def _redirect(_: argparse.Namespace) -> dict[str, Any]:
    front.redirect(_open(), Engine())
    return {}


def _whisper(chosen: argparse.Namespace) -> dict[str, Any]:
    takeover.speech(ROOT, _open(), _journal(chosen), _sample(), _say(chosen))
    return {}


def _ollama(chosen: argparse.Namespace) -> dict[str, Any]:
    takeover.language(ROOT, _open(), _journal(chosen), _sample(), _say(chosen))
    return {}


def _retire(_: argparse.Namespace) -> dict[str, Any]:
    front.own_the_port(_open())
    return {}


def _undo_old(chosen: argparse.Namespace) -> dict[str, Any]:
    back.undo_speech(ROOT, _open(), _journal(chosen), _sample(), _say(chosen))
    return {}


def _undo_front(chosen: argparse.Namespace) -> dict[str, Any]:
    back.undo_front(_open(), _journal(chosen), _silent)
    return {}


def _drain(chosen: argparse.Namespace) -> dict[str, Any]:
    return {"in_flight": back.drained(ROOT, _open(), _journal(chosen), _silent, float(chosen.arguments[0]))}


def _settle(chosen: argparse.Namespace) -> dict[str, Any]:
    state = State.open(ROOT)
    done = settle.settle(ROOT, state, _journal(chosen), _sample(), _silent) if state else []
    return {"done": done}


def _changed(_: argparse.Namespace) -> dict[str, Any]:
    return {"changed": keeping.changed(_open())}


def _sweep(chosen: argparse.Namespace) -> dict[str, Any]:
    """After a rollback: nothing of the migration stays but the journal, which says so."""
    state, journal = _open(), _journal(chosen)
    journal.write(_SWEEP, "begun", None)
    takeover.no_guard()
    relay.down()
    front.no_redirect()
    journal.write(_SWEEP, "done", None, str(state.content["id"]))
    # Its name first: of one that is half removed nobody could say what it was, and no other would be begun.
    (ROOT / FOLDER / CURRENT).unlink(missing_ok=True)
    sync_directory(ROOT / FOLDER)
    _vanish(chosen)
    return {}


def _gone(chosen: argparse.Namespace) -> dict[str, Any]:
    """Where no migration is known, leave nothing of it, nor this tool; say when the last one was taken back, if it was.

    What comes after a rollback (a deploy, say) is in the journal behind it.
    """
    last = (read(ROOT / "journal.jsonl") or [{}])[-1]
    is_back = (last.get("step"), last.get("state")) == (_SWEEP, "done")
    if State.open(ROOT) is not None:
        return {"back": None}
    if is_back or {path.name for path in (ROOT / FOLDER).iterdir()} <= {Path(sys.argv[0]).name, MADE_ROOT}:
        _vanish(chosen)
    return {"back": {"time": last["time"], "by": last["by"]} if is_back else None}


def _vanish(chosen: argparse.Namespace) -> None:
    made_root = (ROOT / FOLDER / MADE_ROOT).exists()
    shutil.rmtree(ROOT / FOLDER)
    if made_root:
        with contextlib.suppress(OSError):
            ROOT.rmdir()
    # Nobody can ask for that afterwards: the tool itself has just gone.
    Lock().release(chosen.token)


def _finalize(chosen: argparse.Namespace) -> dict[str, Any]:
    """Remove what was kept of the old service; what is kept of its files and its models stays."""
    state = _open()
    engine, gone = Engine(), []
    # From here on there is no way back, also if it is cut off.
    state.keep(finalizing=True)
    _journal(chosen).write("migrate:finalize", "begun", None, str(state.content["id"]))
    for one in state.old.get("containers") or []:
        if engine.container(one["id"]) is not None:
            _do(["docker", "rm", "--force", one["id"]])
            gone.append(f"container {one['name']}")
        image = one.get("image_id")
        if image and not _used(engine, image) and engine.image(image) is not None:
            # By its name, if it still is its own: one that has others, too, only loses this one.
            name = str(one.get("image") or "")
            is_own = bool(name) and (engine.image(name) or {}).get("Id") == image
            with contextlib.suppress(MigrationError):
                _do(["docker", "image", "rm", name if is_own else image])
                gone.append(f"image {one.get('image') or image}")
    for one in state.old.get("units") or []:
        for path in _own_files(one):
            path.unlink()
            gone.append(str(path))
    if state.old.get("units"):
        _do(["systemctl", "daemon-reload"])
    for name in state.order.get("aside", []):
        path = front.aside_of(Path(name))
        if path.is_symlink() or path.exists():
            path.unlink()
            gone.append(name)
    takeover.no_guard()
    relay.down()
    state.keep(phase="finalized")
    _journal(chosen).write("migrate:finalize", "done", None, "; ".join(gone))
    _journal(chosen).write("migrate", "finalized", None, "; ".join(gone))
    return {"gone": gone}


def _own_files(unit: dict[str, Any]) -> list[Path]:
    """The files that are this unit's alone: its environment may be everybody's (/etc/environment), and drop-ins too."""
    own = {UNITS, UNITS / f"{unit['name']}.d"}
    paths = [Path(name) for name in [unit.get("file"), *(unit.get("parts") or [])] if name]
    return [path for path in dict.fromkeys(paths) if path.parent in own and (path.is_symlink() or path.is_file())]


def _go(chosen: argparse.Namespace) -> dict[str, Any]:
    """Run one of the LONG commands as a unit of its own, so that it comes to its end. Its words go into a file."""
    command = chosen.arguments[0]
    state = _open()
    if busy := _busy():
        raise MigrationError(f"This host is still at work on {', '.join(busy)}: wait for it, and run the same again.")
    said = state.folder / f"{command}.said"
    said.unlink(missing_ok=True)
    tool = str(Path(sys.argv[0]).resolve())
    subprocess.run(["systemctl", "reset-failed", f"{_UNIT}-{command}.service"], capture_output=True, check=False)
    _do(
        [
            "systemd-run", "--quiet", "--collect", f"--unit={_UNIT}-{command}", "--property=TimeoutStopSec=1800",
            f"--property=ExecStopPost=/usr/bin/python3 -I {tool} settle",
            f"--property=StandardOutput=append:{said}", f"--property=StandardError=append:{said}",
            "/usr/bin/python3", "-I", tool, "--by", chosen.by, "--token", chosen.token, command,
        ]
    )  # fmt: skip
    return {"busy": [command]}


def _said(chosen: argparse.Namespace) -> dict[str, Any]:
    """COMMAND LINES: what it has said beyond so many lines, and whether it is at its end."""
    command, seen = chosen.arguments[0], int(chosen.arguments[1])
    running = command in _busy()
    try:
        # Whole lines only; JSON leaves some marks as they are that Python takes for an end of line.
        lines = (_open().folder / f"{command}.said").read_text(encoding="utf-8", errors="replace").split("\n")[:-1]
    except OSError:
        lines = []
    return {"lines": lines[seen:], "running": running}


def _busy() -> list[str]:
    """Which of the LONG commands are under way, and whether a boot is being settled."""
    units = {**{f"{_UNIT}-{command}.service": command for command in LONG}, takeover.SETTLER: "settle"}
    done = subprocess.run(["systemctl", "is-active", *units], capture_output=True, text=True, check=False)
    busy = ("active", "activating", "deactivating", "reloading")
    states = done.stdout.split()
    return [
        command
        for number, command in enumerate(units.values())
        if states[number : number + 1] and states[number] in busy
    ]


def _open() -> State:
    state = State.open(ROOT)
    if state is None:
        raise MigrationError("No migration was begun on this host.")
    return state


def _say(chosen: argparse.Namespace) -> Callable[[str], None]:
    """A teller whose words are lines of JSON; a thread beside it shows that the run lives."""

    def refresh() -> None:
        while True:
            try:
                Lock().refresh(chosen.token)
            except (LockedError, OSError):
                return
            time.sleep(_REFRESH_S)

    if chosen.token:
        threading.Thread(target=refresh, daemon=True).start()

    def say(text: str) -> None:
        sys.stdout.write(json.dumps({"say": text}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    return say


def _silent(_: str) -> None:
    """Nobody listens."""


def _journal(chosen: argparse.Namespace) -> Journal:
    return Journal(ROOT / "journal.jsonl", chosen.by)


def _sample() -> bytes:
    return pkgutil.get_data("ai_stack", "sample.ogg") or b""


def _free_port(first: int) -> int:
    for port in range(first, first + 90):
        with socket.socket() as probe:
            try:
                probe.bind(("0.0.0.0", port))  # noqa: S104  # tried out, nobody is answered
            except OSError:
                continue
            return port
    raise MigrationError(f"No port from {first} on is free.")


def _used(engine: Engine, image: str) -> bool:
    found = engine.get("/containers/json?all=1") or []
    return any(one.get("ImageID") == image for one in found)


_COMMANDS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "lock": _lock, "refresh": _refresh, "release": _release, "state": _state, "begin": _begin, "backup": _backup,
    "mark": _mark, "phase": _phase, "relay": _relay, "standby": _standby, "redirect": _redirect, "whisper": _whisper,
    "ollama": _ollama, "retire": _retire, "undo-old": _undo_old, "undo-front": _undo_front, "drain": _drain,
    "settle": _settle, "changed": _changed, "sweep": _sweep, "gone": _gone, "finalize": _finalize, "go": _go,
    "said": _said,
}  # fmt: skip

if __name__ == "__main__" and os.geteuid() == 0:
    main()
