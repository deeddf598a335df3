"""`ai rollback HOST [RELEASE]`: back to a release that is still on the host, in seconds and without a network."""

from __future__ import annotations

import getpass
import socket
import time
from dataclasses import dataclass

from ai_services.console import Screen
from ai_services.exits import FAILED, OK, OperatorError
from ai_services.host import connect
from ai_services.host.phases import duration
from ai_services.host.releases import Line, Releases
from ai_services.local.home import Home
from ai_services.verbs.history import release_line
from ai_services.verbs.host import HostWish
from ai_services.verbs.output import print_json


@dataclass(frozen=True)
class Wish(HostWish):
    """What the command line of `rollback` asked for; without `release`, the one that served before."""

    release: str | None = None


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Go back, and show how far it is. Returns the exit code.

    Raises:
        OperatorError: there is no such release, somebody else is at work, or it did not work and what serves now.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    target = connect.reach(wish.target(home), screen, host_key=wish.host_key)
    words = [
        "rollback",
        *([wish.release] if wish.release else []),
        "--by",
        f"{getpass.getuser()}@{socket.gethostname()}",
    ]

    def told(line: Line) -> None:
        if "say" in line:
            screen.say(f"  {line['say']}")

    with Releases(target, screen) as releases:
        end = releases.change(words, told)
        found = releases.history(lines=0)
    serves = next((row for row in found["releases"] if row["state"] == "serves"), None)
    if end["end"] != "done":
        raise OperatorError(
            "\n  ".join(str(end["message"]).splitlines()),
            hint=f"What serves now: {release_line(serves) if serves else 'nothing'}. More: ./ai history {wish.host}",
            exit_code=FAILED,
        )
    seconds = round(time.monotonic() - begun, 1)
    if as_json:
        print_json({"host": str(target), "seconds": seconds, **end})
        return OK
    if not end["done"]:
        screen.done(f"{release_line(serves) if serves else ''}: nothing had to be changed.")
        return OK
    screen.done(f"{serves['version'] if serves else ''} serves again (release {end['release']}, {duration(seconds)}).")
    screen.say(f"  Forward again: ./ai rollback {wish.host} {end['before']}")
    return OK
