"""`ai upgrade HOST`: to this checkout's version, with the settings that the host was made with."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OK, USAGE, OperatorError
from ai_services.host import connect, named_files, versions
from ai_services.host.phases import Story, duration
from ai_services.host.playbook import Run, log_path
from ai_services.host.releases import Releases
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.host.settings_table import variables
from ai_services.host.target import Target
from ai_services.host.values import Given
from ai_services.host.versions import Breaking
from ai_services.local.home import Home
from ai_services.verbs import ask
from ai_services.verbs.deploy import address, failed, interrupted, split
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json

UPGRADE, PREFLIGHT = "upgrade.yml", "preflight.yml"
_PLACE = "from the release on the host"


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `upgrade` asked for; `accept` are ids of breaking changes."""

    to: str | None = None
    check: bool = False
    yes: bool = False
    accept: Sequence[str] = ()


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Plan, ask, upgrade, prove. Returns the exit code.

    Raises:
        OperatorError: it was refused, nobody agreed, or a step failed and what serves now.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    home.create_root()
    target = connect.reach(wish.target(home), screen, host_key=wish.host_key)
    with Releases(target, screen) as releases:
        releases.wait_for_orphan()
        found = releases.history(lines=0)["releases"]
        serving = next((row for row in found if row["state"] == "serves"), None)
        if serving is None:
            raise OperatorError(f"No release serves on {target}.", hint=f"./ai deploy {wish.host}", exit_code=BLOCKED)
        to = versions.goal(wish.to, serving["version"], wish.host, {row["version"] for row in found})
        record = releases.record()
    known = named_files.named(home, target)
    given = merged(record, wish, to, known)
    for name, place in sorted(_elsewhere(record, known).items()):
        if name in given.values:
            continue
        is_here = Path(place).expanduser().is_file()
        why = "and nobody has named that here for this host" if is_here else "which is not on this machine"
        screen.warn(
            f"{name} was {place}, {why}: the upgrade goes on without. "
            f"Give it again where the host shall keep it: --set {name}={place if is_here else 'FILE'}"
        )
    settings = given.settings("deploy")
    broken = versions.breaking(serving["version"], to)
    screen.say(f"{target} serves {serving['version']} (release {serving['id']}); {_way(serving['version'], to)}")
    for one in broken:
        screen.warn(f"{one.version} breaks something: {one.what}\n  What to do: {one.do}")
    if not wish.check:
        _agree(broken, wish, serving["version"], to)
        named_files.remember(home, target, public(settings))
    return _carry_out(wish, target, settings, screen, home, serving, to, broken, begun, as_json=as_json)


def merged(record: Mapping[str, Any], wish: HostWish, to: str, known: Mapping[str, str]) -> Given:
    """Return the settings that the release was made with, and over them what is given now.

    Files are named by their place on a machine: one that is not here, or not `known` to have been named here for this
    host, is left out, and the settings say what is missing.

    Raises:
        OperatorError: another version than `to` is asked for.
    """
    given, names = Given(), variables()
    elsewhere = _elsewhere(record, known)
    for name, value in dict(record.get("settings") or {}).items():
        # Until 0.2 a release noted what was decided in place of what was asked for.
        decided = name == "ai_accelerator" and "accelerator" not in record
        if name in names and name != "ai_version" and not decided and name not in elsewhere:
            given.put(name, value, _PLACE)
    now = wish.given()
    for name, value in now.values.items():
        given.put(name, value, now.places[name])
    if str(now.values.get("ai_version", to)) != to:
        raise OperatorError(
            f"ai_version is {now.values['ai_version']} {now.places['ai_version']}, and this upgrade goes to {to}.",
            hint="Take ai_version out there: without it, a checkout deploys its own version.",
            exit_code=USAGE,
        )
    given.put("ai_version", to, "from this checkout")
    if "ai_reboot" not in now.values:
        given.put("ai_reboot", "never", "from the upgrade")
    return given


def _elsewhere(record: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    """Return the files that the host says it was made with and that are not taken: setting -> where it was."""
    files = named_files.among(dict(record.get("settings") or {}))
    return {
        name: place
        for name, place in files.items()
        if known.get(name) != place or not Path(place).expanduser().is_file()
    }


def _agree(broken: Sequence[Breaking], wish: Wish, serving: str, to: str) -> None:
    missing = [one for one in broken if one.id not in wish.accept]
    if missing and not (sys.stdin.isatty() and not wish.yes):
        raise OperatorError(
            f"Between {serving} and {to} something breaks, and nobody has accepted it: "
            f"{', '.join(one.id for one in missing)}.",
            hint="Do what is said above, then: " + " ".join(f"--accept {one.id}" for one in missing),
            exit_code=BLOCKED,
        )
    for one in missing:
        ask.agree("yes", f"Accept {one.id}? (yes/no)", "changed")
    if not wish.yes:
        ask.agree("yes", "Go on? (yes/no)", "changed")


def _carry_out(
    wish: Wish, target: Target, settings: HostSettings, screen: Screen, home: Home, serving: dict[str, Any], to: str,
    broken: Sequence[Breaking], begun: float, *, as_json: bool,
) -> int:  # fmt: skip
    log = log_path(home.logs, "upgrade", target)
    screen.say(f"{'Planning for' if wish.check else 'Upgrading'} {target}; log: {log}")
    values, secrets = split(settings)
    values["ai_stack_why"] = f"upgrade to {to}"
    story = Story(screen, checking=wish.check)
    playbook = PREFLIGHT if wish.check else UPGRADE
    try:
        status = Run(playbook, target, values, log, (), secrets, wish.verbose).go(story.take, story.tick)
    except KeyboardInterrupt:
        doing = story.doing
        story.close()
        words = interrupted(target, doing, begun_changing=story.told.changed > 0, again=wish.host)
        screen.say(words.replace("./ai deploy", "./ai upgrade"))
        raise
    finally:
        story.close()
    if status:
        raise failed(story, target, log, "upgrade")
    seconds = time.monotonic() - begun
    told = story.told
    waits = told.released.get("waits", {})
    if as_json:
        print_json(
            {
                "host": str(target), "check": wish.check, "from": serving["version"], "to": to,
                "breaking": [vars(one) for one in broken], "release": told.released.get("release"), "waits": waits,
                "changed": told.changed, "seconds": round(seconds, 1), "verified": told.verified,
                "url": address(settings, target), "log": str(log), **told.plan,
            }
        )  # fmt: skip
        return OK
    if wish.check:
        screen.say(f"This is the plan; {target} was not changed ({duration(seconds)}).")
        accepted = "".join(f" --accept {one.id}" for one in broken)
        screen.say(f"Carry it out: ./ai upgrade {wish.host}{accepted}")
        return OK
    for check in told.verified:
        screen.done(f"{check['name']}: {check['detail']}" if check.get("detail") else str(check["name"]))
    screen.say()
    for service, wait in waits.items():
        screen.say(f"Callers of {service} waited {duration(wait['seconds'])} at most; none was refused.")
    nothing = "" if told.changed else "; nothing had to be changed"
    screen.say(f"{to} serves on {target} ({duration(seconds)}{nothing}).")
    if told.released.get("done"):
        screen.say(f"Back to {serving['version']}: ./ai rollback {wish.host}")
    return OK


def _way(serving: str, to: str) -> str:
    return f"it goes to {to}." if serving != to else "it is the version of this checkout, and is made to agree with it."
