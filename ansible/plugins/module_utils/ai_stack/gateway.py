"""Exchanging the gateway beside itself: the new one starts on the other port, nginx is switched, the old one drains.

Callers notice nothing: the old gateway is stopped only when nobody waits for it any more. Whatever state an earlier
run left (two gateways, a switch that points at nobody), a run goes from there to one gateway of the wanted kind.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from . import observe, switch
from .admin import Admin, AdminError
from .change import Change, ChangeError
from .observe import GATEWAY, Container

_LOOK_EVERY_S = 0.2
# nginx decides at a request's head; one that had just decided for the old gateway is on its way this long at most.
_SETTLED_S = 1.0
# An engine that is busy may miss a look at its health, and is asked again.
_REACHES_WITHIN_S = 20.0


@dataclass(frozen=True)
class Gateways:
    """The gateways that there are, sorted by whether the target wants them."""

    wanted: list[Container]
    others: list[Container]

    @classmethod
    def seen(cls, change: Change) -> Gateways:
        """Look. Only a running one of the wanted kind counts as wanted."""
        digest = change.wanted().get(GATEWAY)
        found = observe.of(GATEWAY, observe.containers(change.engine))
        right = [one for one in found if one.runs and one.digest == digest and one.port]
        # Of two right ones the one that serves stays.
        right.sort(key=lambda one: one.port != switch.chosen(change.root))
        return cls(right[:1], [one for one in found if one not in right[:1]])


def is_right(change: Change) -> bool:
    """Whether one gateway runs, of the wanted kind, and nginx asks it."""
    seen = Gateways.seen(change)
    return bool(seen.wanted) and not seen.others and seen.wanted[0].port == switch.chosen(change.root)


def serving(change: Change, besides: Container | None = None) -> Admin | None:
    """The gateway that callers reach now, as its admin, or would without `besides`; None where none runs."""
    found = observe.of(GATEWAY, observe.containers(change.engine))
    running = [one for one in found if one.runs and one.port and not (besides and one.id == besides.id)]
    running.sort(key=lambda one: one.port != switch.chosen(change.root))
    return Admin.of(change.root, running[0].port or 0) if running else None


def exchange(change: Change) -> None:
    """Let exactly one gateway of the wanted kind serve.

    Raises:
        ChangeError: the new one does not work, or the old one does not come to rest; callers reach what they did.
    """
    if is_right(change):
        return
    try:
        if switch.settle():
            change.say("nginx has read its files, which a run that was killed had changed")
    except switch.NginxError as error:
        raise ChangeError(str(error)) from error
    seen = Gateways.seen(change)
    before = switch.chosen(change.root)
    # One that an earlier run has started may not be ready yet: it is looked at like a new one, before others go.
    if not seen.wanted or seen.wanted[0].port != before or any(one.runs for one in seen.others):
        with change.step("gateway:start"):
            seen = _started(change, seen)
    new = seen.wanted[0]
    if before != new.port:
        with change.step("gateway:switch", f"to port {new.port}"):
            switch.choose(change.root, int(new.port or 0))
    for old in seen.others:
        if old.runs:
            try:
                with change.step("gateway:drain", old.name):
                    _drain(change, old)
            except ChangeError:
                switch.choose(change.root, before)
                raise
        with change.step("gateway:stop", old.name):
            _remove(change, old)


def _started(change: Change, seen: Gateways) -> Gateways:
    """Have one of the wanted kind beside those that there are, and see it work; what does not work goes again."""
    new = seen.wanted[0].id if seen.wanted else _up_beside(change, seen.others)
    try:
        change.compose.wait_healthy(change.timeout_s, [GATEWAY], {GATEWAY: new})
        # Only now: one that falls over and over has a port or none, as the moment has it.
        seen = Gateways.seen(change)
        if [one.id for one in seen.wanted] != [new]:
            raise ChangeError("The new gateway has no port of its own, though Docker says it started.")
        _answers(change, seen.wanted[0])
    except Exception:
        # The only one there is stays: whatever it can do is more than nothing.
        found = observe.of(GATEWAY, observe.containers(change.engine))
        if any(one.runs for one in found if one.id != new):
            for one in found:
                if one.id == new:
                    _remove(change, one)
        raise
    return seen


def _up_beside(change: Change, others: list[Container]) -> str:
    """Start another gateway than these; returns its id, whether it keeps running or not."""
    _make_room(change, others)
    left = observe.of(GATEWAY, observe.containers(change.engine))
    known = {one.id for one in left}
    change.compose.up_beside(GATEWAY, 1 + len(left))
    new = [one for one in observe.of(GATEWAY, observe.containers(change.engine)) if one.id not in known]
    if not new:
        raise ChangeError("Docker says it started a new gateway, and there is none.")
    return new[-1].id


def _make_room(change: Change, others: list[Container]) -> None:
    """Two ports, so two gateways: of more, and of stopped ones, those go that nginx does not ask."""
    running = [one for one in others if one.runs and one.port]
    running.sort(key=lambda one: one.port != switch.chosen(change.root))
    for one in others:
        if one not in running[:1]:
            if one.runs:
                _drain(change, one)
            _remove(change, one)


def _answers(change: Change, new: Container) -> None:
    """See that it lets the host's own key in and reaches the engines that work: what it will be asked from now on."""
    admin = Admin.of(change.root, new.port or 0)
    try:
        state = admin.state()
    except AdminError as error:
        raise ChangeError(f"The new gateway is healthy and does not answer: {error}") from error
    if state is None and change.can_pause_at_target:
        raise ChangeError("The new gateway does not take the host's own key (/opt/ai/secrets/admin.key).")
    old = serving(change, besides=new)
    ends_at = time.monotonic() + _REACHES_WITHIN_S
    while old is not None and (lost := _lost(old, admin)):
        if time.monotonic() >= ends_at:
            raise ChangeError(f"The new gateway does not reach {', '.join(lost)}, and the one before does.")
        time.sleep(_LOOK_EVERY_S)


def _lost(old: Admin, new: Admin) -> list[str]:
    before, now = old.health(), new.health()
    return sorted(name for name, status in now.items() if status == "down" and before.get(name) == "ok")


def _drain(change: Change, old: Container) -> None:
    """Wait until nobody waits for the old gateway any more.

    Raises:
        ChangeError: somebody still does after the longest time; nothing is cut.
    """
    admin = Admin.of(change.root, old.port or 0)
    ends_at = time.monotonic() + change.drain_s
    quiet_since: float | None = None
    said = 0
    while True:
        busy = _busy(change, admin, old)
        now = time.monotonic()
        if busy:
            quiet_since = None
            if busy != said:
                change.say(f"the gateway of before still answers {busy}")
                said = busy
        elif quiet_since is None:
            quiet_since = now
        elif now - quiet_since >= _SETTLED_S:
            return
        if now >= ends_at:
            raise ChangeError(
                f"The gateway of before still answers {busy} after {change.drain_s:g} s. Nobody was cut off: it serves "
                "on. Try again when those requests have ended; cd /opt/ai && docker compose logs gateway names them."
            )
        time.sleep(_LOOK_EVERY_S)


def _busy(change: Change, admin: Admin, old: Container) -> int:
    try:
        state = admin.state()
    except AdminError:
        # One that hangs would keep its callers, and itself, for ever.
        if _is_given_up(change, old):
            return 0
        state = None
    if state is not None and "in_flight" in state:
        return int(state["in_flight"])
    return observe.callers(change.engine, old.id)


def _is_given_up(change: Change, one: Container) -> bool:
    found = change.engine.container(one.id) or {}
    return bool(found.get("State", {}).get("Health", {}).get("Status") == "unhealthy")


def _remove(change: Change, old: Container) -> None:
    change.compose.remove(old.id)
