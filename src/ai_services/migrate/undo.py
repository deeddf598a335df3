"""Taking a migration back: the old service first, then the front as it was, then ours off; and ending it for good."""

from __future__ import annotations

import json
import time
from typing import Any, Final

from ai_services.exits import OperatorError
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.migrate.order import Order
from ai_services.migrate.steps import Step, Work, note
from ai_services.verbs import ask

# Requests of the longest recordings end by themselves.
_DRAIN_S: Final = 900


def carry_out(work: Work, *, yes: bool) -> float | None:
    """Go back, as far as the migration had come; returns how long callers of speech waited at most (s), if they did.

    Raises:
        OperatorError: nobody agreed, or a step failed; whoever called is still answered, and the next run goes on.
    """
    order, screen = work.order, work.screen
    screen.say(f"On {work.target} {order['old']['name']} will serve again, and ours goes:")
    for line in (
        "callers of speech wait while ours ends what it has begun, and the old service starts and is heard working",
        "its site or port is as it was, byte for byte",
        "gateway, services and releases go; models and keys stay (./ai destroy --data takes them afterwards)",
    ):
        screen.say(f"  - {line}")
    if not yes:
        ask.agree("yes", "Go on? (yes/no)", "changed")
    work.settings = _for_removal(order)
    work.tool.call("phase", "undoing")
    work.read()
    for step in UNDO:
        begun = time.monotonic()
        if not step.marks:
            work.tool.call("mark", step.name, "begun")
        try:
            step.do(work)
        except OperatorError as error:
            if not step.marks:
                note(work, step, error)
            raise OperatorError(
                f"Going back stopped at '{step.name}': {error.message}",
                hint=f"{error.hint or ''}\n  Callers are answered. Go on after mending it: "
                f"./ai migrate {work.again} --rollback".lstrip(),
                exit_code=error.exit_code,
            ) from error
        if not step.marks:
            work.tool.call("mark", step.name, "done")
        screen.done(f"{step.title:<34} {time.monotonic() - begun:6.1f} s")
        if step.name == "undo:old":
            work.read()
    waited: float | None = work.state.get("waited_back_s")
    return waited


def _old(work: Work) -> None:
    work.tool.long("undo-old", work.say, lambda: None)


def _front(work: Work) -> None:
    work.tool.call("undo-front")


def _drain(work: Work) -> None:
    left = work.tool.call("drain", str(_DRAIN_S), timeout_s=_DRAIN_S + 60)["in_flight"]
    if left:
        raise OperatorError(
            f"Our gateway still answers {left} requests after {_DRAIN_S} s; nobody was cut off.",
            hint="They end by themselves; then run it again.",
            exit_code=1,
        )


def _ours(work: Work) -> None:
    work.play("undo", standby=False, playbook="destroy.yml")


def _sweep(work: Work) -> None:
    if changed := work.tool.call("changed")["changed"]:
        work.screen.warn(f"Not as it was before the migration: {'; '.join(changed)}")
    work.tool.call("sweep")


UNDO: Final = (
    Step("undo:old", "The old service serves", _old, marks=True),
    Step("undo:front", "The old front", _front, marks=True),
    Step("undo:drain", "Those under way are answered", _drain),
    Step("undo:ours", "Ours goes", _ours),
    Step("undo:sweep", "No trace", _sweep, marks=True),
)


def finalize(work: Work, *, yes: bool) -> list[str]:
    """Remove the old parts; returns what went.

    Raises:
        OperatorError: nobody agreed, or the host refuses.
    """
    old = work.order["old"]
    work.screen.say(f"On {work.target} this goes for good, and with it the way back:")
    for line in _goes(old):
        work.screen.say(f"  - {line}")
    if not yes:
        ask.agree("yes", "Go on? (yes/no)", "removed")
    gone: list[str] = work.tool.call("finalize")["gone"]
    return gone


def _goes(old: dict[str, Any]) -> list[str]:
    lines = [f"container {one['name']} and its image {one['image']}" for one in old.get("containers", [])]
    return lines + [f"unit {one['name']}" for one in old.get("units", [])]


def kept(order: Order) -> list[str]:
    """Return what of the old service is still on the host, in words."""
    lines = _goes(order["old"])
    lines += [f"site {name}, as .{name.rpartition('/')[2]}.ai-services beside it" for name in order.get("aside", [])]
    service = order.get("found", {}).get("service") or {}
    lines += [f"{store['kind']} {store['name'] or store['path']}" for store in service.get("stores", [])]
    return [*lines, f"/opt/ai/migration/{order['id']}: its files as they were, with a manifest"]


def settings_to_keep(work: Work) -> dict[str, Any]:
    """Return the settings without which a later deploy would close the old doors."""
    values = public(work.settings)
    return {name: values[name] for name in ("ai_old_api", "ai_old_api_keyless", "ai_old_api_listeners") if values[name]}


def packed(order: Order) -> bytes:
    """Return the order as the host takes it."""
    return json.dumps(order, default=str).encode()


def _for_removal(order: Order) -> HostSettings:
    from ai_services.host.settings_load import load

    values = {name: value for name, value in order["settings"].items() if value is not None}
    return load({**values, "ai_keep_data": True}, "destroy")
