"""`ai migrate HOST`: looks at an old Whisper host, shows the plan, and makes the host ours in place."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OK, OperatorError
from ai_services.host import connect, named_files
from ai_services.host.plan_types import Note
from ai_services.host.playbook import log_path
from ai_services.host.remote import Remote
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.host.target import Target
from ai_services.host.values import DEFAULT_FILE, Given
from ai_services.local.home import Home
from ai_services.migrate import adopt, compose, do, order, plan, report
from ai_services.migrate.found import Found
from ai_services.migrate.look import look
from ai_services.migrate.plan_types import MigrationPlan
from ai_services.migrate.recognise import recognise
from ai_services.verbs import ask
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json

_SECRETS = ("TF_VAR_ai_ghcr_token", "AI_GHCR_TOKEN")


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `migrate` asked for; `service` names what to migrate where several may be meant."""

    service: str | None = None
    ask_key: bool = False
    dry_run: bool = False
    yes: bool = False
    rollback: bool = False
    finalize: bool = False

    def given(self) -> Given:
        """Return everything that was set, OLLAMA_MODEL of the first version's script among it."""
        given = super().given()
        model, name = os.environ.get("OLLAMA_MODEL"), "ai_ollama_model"
        files = (f"from {self.config or DEFAULT_FILE}", None)
        if model and given.places.get(name) in files:
            given.put(name, model, "from the environment: OLLAMA_MODEL")
        return given


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Look, plan, and unless it is a dry run: ask and do. Returns the exit code.

    Raises:
        OperatorError: a setting is wrong, the host cannot be reached, something is in the way, or a step failed.
    """
    home, screen = Home.current(), Screen(json=as_json)
    target, given = wish.target(home), wish.given()
    for name in _SECRETS:
        # Taken: no process that is started from here on has it in its environment.
        os.environ.pop(name, None)
    home.create_root()
    target = connect.reach(target, screen, host_key=wish.host_key)
    with Remote.open(target, screen) as remote:
        if wish.rollback or wish.finalize:
            return _told(_end(wish, remote, home, screen), as_json=as_json)
        found = look_at(remote, target, given, wish.service, screen)
        if found.migration and wish.dry_run:
            screen.say(f"Migration {found.migration} was begun here; without --dry-run it goes on, or is at its end.")
            screen.say(f"Back: ./ai migrate {wish.host} --rollback   For good: ./ai migrate {wish.host} --finalize")
            if as_json:
                print_json({"host": str(target), "found": found.as_dict()})
            return OK
        if found.migration:
            screen.say(f"A migration was begun here ({found.migration}); it goes on from where it stopped.")
            known = named_files.named(home, target)
            _adopt_again(given, remote, home, known)
            return _told(do.resume(given=given, known=known, **_around(wish, remote, home, screen)), as_json=as_json)
        report.show_found(found, screen)
        with _kept(_adopted(home, target), is_kept=not wish.dry_run):
            made, settings = _planned(wish, found, given, remote, home, screen, as_json=as_json)
        if wish.dry_run:
            if as_json:
                print_json({"host": str(target), "found": found.as_dict(), "plan": made.as_dict()})
            screen.say(f"\nThis is the plan; {target} was not changed. Carry it out: ./ai migrate {wish.host}")
            return OK
        if not wish.yes:
            ask.agree("yes", "Go on? (yes/no)", "changed")
        named_files.remember(home, target, public(settings))
        agreed = order.from_plan(found, made, settings)
        return _told(do.carry_out(agreed, settings=settings, **_around(wish, remote, home, screen)), as_json=as_json)


def look_at(remote: Remote, target: Target, given: Given, service: str | None, screen: Screen) -> Found:
    """Look at the host and return what is there."""
    domain = given.values.get("ai_domain")
    with screen.busy(f"Looking at {target}; nothing is changed"):
        seen = look(remote, (domain,) if isinstance(domain, str) else ())
    return recognise(seen, str(target), service)


def _planned(
    wish: Wish, found: Found, given: Given, remote: Remote, home: Home, screen: Screen, *, as_json: bool
) -> tuple[MigrationPlan, HostSettings]:
    target, service = remote.target, found.service
    if service is None:
        refusals = plan.unchosen(found, wish.service)
        report.show_notes(refusals, (), screen)
        if as_json:
            print_json({"host": str(target), "found": found.as_dict(), "refusals": [vars(note) for note in refusals]})
        raise _refused(refusals, target)
    derived = compose.derive(found, service, given.values, ask_key=wish.ask_key)
    adopt.adopt(found, service, derived, given.values, remote, _adopted(home, target))
    settings = derived.under(given).settings("deploy")
    now = datetime.datetime.now(datetime.UTC)
    made = plan.make(found, derived, public(settings), local=target.is_local, now=now)
    report.show_plan(made, screen)
    if made.refusals:
        if as_json:
            print_json({"host": str(target), "found": found.as_dict(), "plan": made.as_dict()})
        raise _refused(made.refusals, target)
    return made, settings


@contextlib.contextmanager
def _kept(folder: Path, *, is_kept: bool) -> Iterator[None]:
    """Leave no copy of the host's secrets here where nothing is going to be done; an earlier run's stay."""
    before = {path.name for path in folder.iterdir()} if folder.is_dir() else None
    try:
        yield
    finally:
        for path in [] if is_kept or not folder.is_dir() else list(folder.iterdir()):
            if path.name not in (before or ()):
                path.unlink()
        if before is None and not is_kept and folder.is_dir():
            folder.rmdir()


def _adopted(home: Home, target: Target) -> Path:
    return home.root / "adopted" / target.file_name


def _adopt_again(given: Given, remote: Remote, home: Home, known: Mapping[str, str]) -> None:
    """Take from the host what the machine that began had taken, if this is another one."""
    begun = json.loads(b"".join(remote.get("/opt/ai/migration/current/state.json", root=True)))["order"]
    adopted = begun["plan"].get("adopted") or {}
    adopt.adopt_again(adopted, known, given, remote, _adopted(home, remote.target))


def _refused(refusals: Iterable[Note], target: Target) -> OperatorError:
    codes = [note.code for note in refusals]
    count = "One thing is" if len(codes) == 1 else f"{len(codes)} things are"
    return OperatorError(
        f"{count} in the way ({', '.join(codes)}); {target} was not changed.",
        hint="Each is said above with its way out; docs/troubleshooting.md has more.",
        exit_code=BLOCKED,
    )


def _end(wish: Wish, remote: Remote, home: Home, screen: Screen) -> do.Report:
    around = _around(wish, remote, home, screen)
    if wish.rollback:
        return do.roll_back(yes=wish.yes, **around)
    return do.finalize(yes=wish.yes, **around)


def _around(wish: Wish, remote: Remote, home: Home, screen: Screen) -> dict[str, Any]:
    return {
        "remote": remote, "target": remote.target, "screen": screen, "again": wish.host, "verbose": wish.verbose,
        "log": log_path(home.logs, "migrate", remote.target),
    }  # fmt: skip


def _told(done: do.Report, *, as_json: bool) -> int:
    if as_json:
        print_json(done.as_dict())
    return OK
