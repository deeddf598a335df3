"""/opt/ai/bin/ai-stack: what is deployed here, and from one release to another, without network or Ansible."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import pkgutil
import secrets
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import gateway, history, observe, runs, switch
from .activate import ActivationError, activate
from .change import Change, number
from .compose import Compose, ComposeError
from .engine import Engine, EngineError
from .images import discard
from .journal import Journal, trim
from .lock import Lock, LockedError
from .releases import ReleaseError, Store
from .reserve import Reserve

ROOT = Path("/opt/ai")
OK, FAILED, USAGE, LOCKED = 0, 1, 2, 4
# An image of several GiB on a slow disk.
_DISCARD_S = 600


class Refused(Exception):  # noqa: N818  (not a fault: an answer)
    """What was asked for cannot be done, and nothing was changed; the message says why and what can."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one command and leave: 0 done, 1 failed, 2 refused, 4 somebody else is at work."""
    chosen = _parser().parse_args(arguments)
    try:
        code = chosen.command(chosen)
    except (Refused, ReleaseError, runs.RunError) as error:
        code = _fault(chosen, USAGE, str(error))
    except LockedError as error:
        code = _fault(chosen, LOCKED, f"Nothing was changed. {error}", holder=error.holder)
    except (EngineError, ComposeError, OSError) as error:
        code = _fault(chosen, FAILED, str(error))
    raise SystemExit(code)


def _history(chosen: argparse.Namespace) -> int:
    rows, lines = history.releases(chosen.root), history.lines(chosen.root, chosen.lines)
    if chosen.json:
        _print({"releases": rows, "journal": lines, "back": history.back(chosen.root)})
        return OK
    for row in rows:
        _line(f"{row['id']}  {row['version']:<10} {row['created'][:19]:<19}  {row['state']:<8} {row['why']}")
    for line in lines:
        words = f"{line.get('step')} {line.get('state')}  {line.get('release') or ''}  {line.get('detail', '')}"
        _line(f"{str(line.get('time', ''))[:19]}  {words.rstrip()}  ({line.get('by', '')})")
    return OK


def _activate(chosen: argparse.Namespace) -> int:
    _check(chosen.root, chosen.release)
    return _carry_out(chosen, chosen.release)


def _rollback(chosen: argparse.Namespace) -> int:
    store = Store(chosen.root)
    if begun := history.migration(chosen.root):
        raise Refused(
            f"Migration {begun} of this host is half way, and its releases are steps of it. Go on with it: "
            "./ai migrate HOST; or take it back: ./ai migrate HOST --rollback."
        )
    release = chosen.release or history.back(chosen.root)
    if release is None:
        listed = "; ".join(f"{row['id']} ({row['version']}, {row['state']})" for row in history.releases(chosen.root))
        why = "No release served here before the one that does."
        if store.previous and store.previous != store.current:
            why = f"Release {store.previous}, which served before, did not work when last tried; name it to try again."
        raise Refused(f"{why} There are: {listed or 'none'}.")
    matches = [one for one in store.ids() if one.startswith(release)] or [
        row["id"] for row in history.releases(chosen.root) if row["version"] == release and row["state"] != "serves"
    ][-1:]
    if len(matches) != 1:
        raise Refused(f"'{release}' names no one release here; there are: {', '.join(store.ids()) or 'none'}.")
    _check(chosen.root, matches[0])
    return _carry_out(chosen, matches[0])


def _carry_out(chosen: argparse.Namespace, release: str) -> int:
    run = chosen.run or secrets.token_hex(6)
    if chosen.detach:
        words = [sys.executable, "-I", str(Path(sys.argv[0]).resolve()), "activate", release, "--run", run]
        words += ["--root", str(chosen.root), "--why", chosen.why or _why(chosen, release), "--by", chosen.by]
        words += ["--timeout-s", str(chosen.timeout_s), "--drain-s", str(chosen.drain_s), "--token", chosen.token]
        # Nobody waits behind a change that is refused: that is said at once, and by this process.
        Lock().refresh(chosen.token)
        runs.detach(run, words)
        _print({"run": run, "release": release})
        return OK
    # Half a change helps nobody: neither a terminal that closes nor Ctrl-C ends one in its middle.
    for name in (signal.SIGHUP, signal.SIGINT):
        signal.signal(name, signal.SIG_IGN)
    teller = runs.Teller(run, aloud=True)
    teller.write({"run": run, "release": release})
    begun = time.monotonic()
    try:
        result = _work(chosen, release, teller)
    except Exception as error:
        # Whoever follows is told an end in every case.
        foreseen = isinstance(error, (ActivationError, LockedError, EngineError, OSError))
        why = str(error) if foreseen else f"{type(error).__name__}: {error}. This is a fault in ai-services; report it."
        teller.write({"end": "failed", "message": why, "seconds": round(time.monotonic() - begun, 1)})
        if not foreseen:
            raise
        return LOCKED if isinstance(error, LockedError) else FAILED
    teller.write({"end": "done", "message": "", "seconds": round(time.monotonic() - begun, 1), **result})
    return OK


def _work(chosen: argparse.Namespace, release: str, teller: runs.Teller) -> dict[str, Any]:
    root: Path = chosen.root
    engine = Engine()
    owner = {"user": chosen.by.partition("@")[0], "host": chosen.by.partition("@")[2], "pid": str(os.getpid())}
    with Lock().change(chosen.token or secrets.token_hex(12), owner, chosen.why or _why(chosen, release)):
        log = Journal(root / "journal.jsonl", chosen.by)
        sample = pkgutil.get_data("ai_stack", "sample.ogg") or b""
        before = Store(root).current
        change = Change(
            root, release, engine, log, chosen.timeout_s, chosen.drain_s, f"ai-stack on {socket.gethostname()}",
            teller.say, sample,
        )  # fmt: skip
        done = activate(change)
        # It serves already: what is in the way of tidying up is said, and fails nothing.
        try:
            if Store(root).surplus(chosen.keep):
                teller.say("it serves; old releases go, with their images")
            done += _tidied(Store(root), chosen.keep)
        except (EngineError, OSError) as error:
            teller.say(f"old releases stay on the disk: {error}")
    return {"done": done, "before": before, "release": release, "waits": change.waits}


def _tidied(store: Store, keep: int) -> list[str]:
    """Take old releases off the disk with the images that only they need; what was done in words."""
    gone = store.surplus(keep)
    pins = {name: list((store.about(name).get("images") or {}).values()) for name in store.ids()}
    # Before the releases: nothing else knows which images they had.
    images = discard(
        Engine(timeout_s=_DISCARD_S),
        [pin for name in gone for pin in pins[name]],
        [pin for name in pins if name not in gone for pin in pins[name]],
    )
    trim(store.root / "journal.jsonl")
    releases = store.prune(keep)
    return [
        *(f"{pin} was removed" for pin in images),
        *(f"release {one} was removed from the disk" for one in releases),
    ]


def _check(root: Path, release: str) -> None:
    """See that all of the release is here, before anything changes.

    Raises:
        Refused: something is missing, or its data cannot be read by so old a release.
    """
    store = Store(root)
    if not store.path(release).is_dir():
        raise Refused(f"There is no release {release} here; there are: {', '.join(store.ids()) or 'none'}.")
    about = store.about(release)
    if not about:
        raise Refused(
            f"The record of release {release} is damaged ({store.path(release)}/release.json). Choose another."
        )
    images = dict(about.get("images") or {})
    engine = Engine()
    missing = [pin for pin in images.values() if engine.image(pin) is None]
    if missing:
        raise Refused(
            f"Release {release} cannot serve: {', '.join(missing)} is not on this host any more. Deploy that version "
            "instead, which brings it: ./ai upgrade HOST --to VERSION, or ./ai deploy from its checkout."
        )
    now = dict(store.about(store.current or "").get("schemas") or {})
    for service, schema in dict(about.get("schemas") or {}).items():
        ahead = int(now.get(service) or schema) - int(schema)
        if ahead > 1:
            raise Refused(
                f"The data of {service} are {ahead} steps ahead of release {release}, which "
                "reads those of one step. Go back one release at a time, or restore a backup."
            )


def _follow(chosen: argparse.Namespace) -> int:
    last: dict[str, Any] = {}
    for last in runs.follow(chosen.run, chosen.seen):
        _print(last)
    return OK if last.get("end") == "done" else FAILED


def _backends(chosen: argparse.Namespace) -> int:
    change = Change(
        chosen.root, Store(chosen.root).current or "", Engine(), Journal(chosen.root / "journal.jsonl", chosen.by),
        0, 0, "", lambda _: None,
    )  # fmt: skip
    admin = gateway.serving(change)
    state = admin.state() if admin else None
    found = observe.of(observe.GATEWAY, observe.containers(Engine()))
    _print({"switch": switch.chosen(chosen.root), "gateways": [vars(one) for one in found], "state": state})
    return OK


def _running(_: argparse.Namespace) -> int:
    """Whether a change is at work here, and whether whoever began it is gone: then it is everybody's to wait for."""
    holder = Lock().holder() or {}
    life = int(holder.get("life") or 0)
    orphan = bool(life) and not Path(f"/proc/{life}").exists()
    _print({"run": next(iter(runs.living()), None), "orphan": orphan, "owner": holder.get("owner"), **_known(holder)})
    return OK


def _known(holder: dict[str, Any]) -> dict[str, Any]:
    return {name: holder.get(name) for name in ("since", "why")}


def _boot(chosen: argparse.Namespace) -> int:
    """Bring up exactly the release that `current` names, in whatever state the host went down."""
    with Lock().starting() as alone:
        if not alone:
            _line("A change of the release is at work here, and brings up what is to serve.")
        elif (current := Store(chosen.root).current) is not None:
            _bring_up(chosen.root, current)
    return OK


def _bring_up(root: Path, release: str) -> None:
    engine = Engine()
    Reserve.of(root, engine).free()
    compose = Compose(root, Store(root).path(release), engine)
    wanted = compose.services().get(observe.GATEWAY)
    found = observe.of(observe.GATEWAY, observe.containers(engine))
    right = [one for one in found if one.digest == wanted]
    for one in found:
        if right and one is not right[0]:
            compose.remove(one.id)
    compose.up()
    running = [one for one in observe.of(observe.GATEWAY, observe.containers(engine)) if one.runs and one.port]
    if running:
        switch.choose(root, running[0].port or 0)


def _why(chosen: argparse.Namespace, release: str) -> str:
    version = Store(chosen.root).about(release).get("version", "?")
    now = Store(chosen.root).about(Store(chosen.root).current or "").get("version", "")
    back = number(str(version)) < number(str(now))
    return f"{'rollback' if back else 'change'} to release {release} ({version})"


def _fault(chosen: argparse.Namespace, code: int, message: str, **more: Any) -> int:
    if getattr(chosen, "json", False) or getattr(chosen, "detach", False):
        _print({"end": "failed", "message": message, "code": code, **more})
    else:
        sys.stderr.write(f"{message}\n")
    return code


def _line(text: str) -> None:
    sys.stdout.write(text.rstrip() + "\n")


def _print(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ai-stack", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Any, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text)
        made.set_defaults(command=command)
        made.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
        made.add_argument("--json", action="store_true", help="JSON on standard output")
        made.add_argument("--by", default=f"{_user()}@{socket.gethostname()}", help="who is at work, for the journal")
        return made

    shown = add("history", _history, "the releases of this host, and what was done with them")
    shown.add_argument("--lines", type=int, default=20, help="how many lines of the journal (default 20)")
    for name, command, text in (
        ("activate", _activate, "let a release serve that is on this host"),
        ("rollback", _rollback, "go back to the release that served before, or to RELEASE"),
    ):
        made = add(name, command, text)
        made.add_argument("release", nargs="?" if name == "rollback" else None, metavar="RELEASE")
        made.add_argument("--timeout-s", type=float, default=900, help="how long a service may take to be healthy")
        made.add_argument("--drain-s", type=float, default=900, help="how long requests under way may take to end")
        made.add_argument("--keep", type=int, default=5, help="how many releases stay on the disk")
        made.add_argument("--detach", action="store_true", help="go on in the background; `follow` shows how far")
        made.add_argument("--run", help="what the run is called, for `follow`")
        made.add_argument("--why", default="", help="what a second run is told")
        made.add_argument("--token", default="", help=argparse.SUPPRESS)
    told = add("follow", _follow, "how far a run is, up to its end")
    told.add_argument("run", metavar="RUN")
    told.add_argument("--seen", type=int, default=0, help="leave out so many lines")
    add("backends", _backends, "what the gateway says of its backends")
    add("running", _running, "whether a change is at work here")
    add("boot", _boot, "what ai.service does when the machine starts")
    return parser


def _user() -> str:
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


if __name__ == "__main__":
    main()
