"""`ai history HOST`: which releases a host has, which one serves, and what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_services.console import Screen
from ai_services.exits import OK
from ai_services.host import connect
from ai_services.host.releases import Releases
from ai_services.local.home import Home
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json

_STATES = {"serves": "serves", "previous": "served before", "failed": "did not work", "ready": "here"}


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `history` asked for; `lines` of the journal."""

    lines: int = 20


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Show releases and journal. Returns the exit code.

    Raises:
        OperatorError: the host cannot be reached, or bears nothing of ours.
    """
    home, screen = Home.current(), Screen(json=as_json)
    target = connect.reach(wish.target(home), screen, host_key=wish.host_key)
    with Releases(target, screen) as releases:
        found = releases.history(wish.lines)
    if as_json:
        print_json({"host": str(target), **found})
        return OK
    for row in found["releases"]:
        screen.say(release_line(row))
    if found["journal"]:
        screen.say()
    for line in found["journal"]:
        detail = f": {line['detail']}" if line.get("detail") else ""
        screen.say(f"{_time(line)}  {line.get('step', '')} {line.get('state', '')}{detail}  ({line.get('by', '')})")
    screen.say()
    back = found["back"]
    screen.say(f"Back to {back}: ./ai rollback {wish.host}" if back else "There is no release to go back to.")
    return OK


def release_line(row: dict[str, Any]) -> str:
    """Return a release as one line: id, version, when it was made, what is with it."""
    why = f": {row['why']}" if row.get("why") else ""
    made = str(row["created"])[:16].replace("T", " ")
    return f"{row['id']}  {row['version']:<8} {made:<16}  {_STATES.get(row['state'], row['state'])}{why}"


def _time(line: dict[str, Any]) -> str:
    return str(line.get("time", ""))[:19].replace("T", " ")
