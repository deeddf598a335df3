"""`ai destroy HOST`: takes off what `deploy` put on; shows first what goes and what stays."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OK, OperatorError
from ai_services.host import connect, remains
from ai_services.host.phases import Story, duration
from ai_services.host.playbook import Run, log_path
from ai_services.host.remains import Remains
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.verbs import ask
from ai_services.verbs.deploy import failed, interrupted
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `destroy` asked for; `data` takes models and API keys too."""

    data: bool = False
    yes: bool = False


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Show, ask, remove. Returns the exit code; a host that bears nothing of ours is no error.

    Raises:
        OperatorError: nobody agreed, the host cannot be reached, a migration is open there, or a step failed.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    target = wish.target(home)
    given = wish.given()
    if wish.data:
        given.put("ai_keep_data", value=False, place="from --data")
    settings = given.settings("destroy")
    data = not settings.ai_keep_data
    home.create_root()
    target = connect.reach(target, screen, host_key=wish.host_key)
    with screen.busy(f"Looking at {target}"):
        found = remains.look(target)
    if found.nothing:
        screen.done(f"{target} bears nothing of ai-services.")
        return _end(as_json, target, found, removed=False, seconds=time.monotonic() - begun)
    show(found, target, screen, data=data)
    if not wish.yes:
        agree(target, data=data)
    take_off(target, settings, home, screen, again=wish.host, verbose=wish.verbose)
    screen.say()
    screen.say(f"{target} is as it was found ({duration(time.monotonic() - begun)}).")
    if not data and (kept := found.stays(data=False)[:-1]):
        screen.say(f"Kept: {'; '.join(kept)}. Take that too: ./ai destroy {wish.host} --data")
    return _end(as_json, target, found, removed=True, seconds=time.monotonic() - begun)


def take_off(
    target: Target, settings: HostSettings, home: Home, screen: Screen, *, again: str, verbose: bool = False
) -> None:
    """Remove what was agreed to; `again` is how a person names the host.

    Raises:
        OperatorError: a step failed.
    """
    log = log_path(home.logs, "destroy", target)
    screen.say(f"Log: {log}")
    story = Story(screen)
    try:
        status = Run("destroy.yml", target, public(settings), log, (), {}, verbose).go(story.take, story.tick)
    except KeyboardInterrupt:
        doing = story.doing
        story.close()
        words = interrupted(target, doing, begun_changing=story.told.changed > 0, again=again)
        screen.say(words.replace("What served before still does. ", "").replace("./ai deploy", "./ai destroy"))
        raise
    finally:
        story.close()
    if status:
        raise failed(story, target, log, "destroy")


def show(found: Remains, target: Target, screen: Screen, *, data: bool) -> None:
    """Show what goes and what stays.

    Raises:
        OperatorError: the old service of a migration rests there, and would never be back.
    """
    if found.migration:
        raise OperatorError(
            f"Migration {found.migration} of {target} is open: the service that was there before rests, its callers "
            "come in by ours, and taking ours off brings nothing of it back. Nothing was changed.",
            hint=f"Take it back: ./ai migrate {target} --rollback\n  Or make it final first: "
            f"./ai migrate {target} --finalize",
            exit_code=BLOCKED,
        )
    screen.say(f"On {target} this will go:")
    for line in found.goes(data=data):
        screen.say(f"  - {line}")
    screen.say("and this stays:")
    for line in found.stays(data=data):
        screen.say(f"  + {line}")


def agree(target: Target, *, data: bool) -> None:
    """Ask the person at the terminal. Raises as `ask.agree` does."""
    wanted = target.host if data else "yes"
    question = f"Data cannot be brought back. Type the host's name ({wanted})" if data else "Go on? (yes/no)"
    ask.agree(wanted, question, "removed")


def _end(as_json: bool, target: Target, found: Remains, *, removed: bool, seconds: float) -> int:
    if as_json:
        print_json({"host": str(target), "removed": removed, "found": vars(found), "seconds": round(seconds, 1)})
    return OK
