"""`ai down`: nothing of the stack is left running."""

from __future__ import annotations

from ai_services.console import Screen
from ai_services.exits import OK
from ai_services.interrupts import undisturbed
from ai_services.local import lifecycle, lock
from ai_services.local.home import Home


def run() -> int:
    """End the stack. Calling it when nothing runs is no error."""
    home, screen = Home.current(), Screen()
    if not home.root.exists():
        screen.say("Nothing was running.")
        return OK
    with lock.exclusive(home, "down"), undisturbed():
        ended = lifecycle.tear_down(home)
    screen.say(f"Down: {ended} processes ended." if ended else "Nothing was running.")
    return OK
