"""`ai restart`: one component or all of them, stopped, started, waited for."""

from __future__ import annotations

from ai_services.console import Screen
from ai_services.exits import NOT_RUNNING, OK, USAGE, OperatorError
from ai_services.local import components, lifecycle, lock, supervisor
from ai_services.local.home import Home
from ai_services.local.state import Stack


def run(component: str | None) -> int:
    """Restart and return once everything is ready again.

    Raises:
        OperatorError: nothing runs, no such component, or one did not become ready.
    """
    home, screen = Home.current(), Screen()
    with lock.exclusive(home, "restart"):
        stack = Stack.load(home)
        if stack is None or not supervisor.is_answering(stack):
            raise OperatorError(f"Nothing is running in {home.root}.", hint="./ai up", exit_code=NOT_RUNNING)
        rows = components.running(stack)
        if component and component not in (names := [row.name for row in rows]):
            raise OperatorError(f"There is no component {component}.", hint=f"Say {', '.join(names)}.", exit_code=USAGE)
        chosen = [row for row in rows if component in (None, row.name)]
        with supervisor.Supervisor(stack.socket) as keeper:
            for row in reversed(chosen):
                keeper.stop(row)
        lifecycle.wait_ready(stack, home, screen, begin=chosen)
        lifecycle.provide_llm(stack, screen)
    screen.done(f"Restarted: {', '.join(row.name for row in chosen)}.")
    return OK
