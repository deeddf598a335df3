"""A plan in plain words: what is destroyed or replaced first, then what is changed, then what is made."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ai_services.terraform.things import Thing

Action = Literal["destroy", "replace", "change", "make", "adopt", "forget", "rename"]
# The order in which a person must see them.
HEADINGS: Final[dict[Action, str]] = {
    "destroy": "This is destroyed:",
    "replace": "This is destroyed and made anew:",
    "forget": "This is left as it is and no longer looked after:",
    "change": "This changes:",
    "rename": "This is only called otherwise:",
    "adopt": "This is there already and is taken over:",
    "make": "This is made:",
}
_ON: Final = {True: "on", False: "off"}
_LOST: Final = "with everything on its disks: models, keys, recordings"
# Why Terraform replaces, where it says so.
_REASONS: Final = {
    "replace_because_tainted": "it did not come to its end last time",
    "replace_by_request": "you asked for it",
    "replace_by_triggers": "something that it depends on changes",
    "delete_because_each_key": "its host is no longer in ai_hosts",
    "delete_because_count_index": "it is no longer asked for",
    "delete_because_no_resource_config": "it is no longer asked for",
    "delete_because_no_module": "it is no longer asked for",
}


@dataclass(frozen=True)
class Step:
    """One thing that a plan does; `notes` on it say why and what is lost, `changes` what becomes what."""

    action: Action
    thing: Thing
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = f"{self.thing}" + (f" ({'; '.join(self.notes)})" if self.notes else "")
        return f"{self.thing.host}: {words}" if self.thing.host else words


@dataclass(frozen=True)
class Plan:
    """Everything that a plan does, and what was found to be otherwise than it was left (`drifted`).

    `guards` are the addresses of what stands before data, by the host whose data would go; they refuse to go.
    `pending` says that something is to be noted in the state, even where nobody would call it a step.
    """

    steps: list[Step] = field(default_factory=list)
    drifted: list[str] = field(default_factory=list)
    guards: dict[str, str] = field(default_factory=dict)
    pending: bool = False

    @property
    def lost(self) -> set[str]:
        """The hosts whose machine somebody else took away: guards stand there before nothing."""
        made = {step.thing.host for step in self.of("make") if step.thing.is_machine}
        return made & set(self.guards)

    @property
    def reborn(self) -> list[str]:
        """Addresses of the keys of machines that are made once more: a first contact has used up what they had."""
        again = [step.thing for step in self.of("replace", "make") if step.thing.is_machine]
        return [
            f"{thing.address.rsplit('.', 2)[0]}.module.host_key.terraform_data.keys"
            for thing in again
            if thing.host in {*self.loses_data, *self.lost}
        ]

    @property
    def loses_data(self) -> list[str]:
        """The hosts whose disks go."""
        gone = {
            step.thing.host for step in self.steps if step.action in ("destroy", "replace") and step.thing.is_machine
        }
        return sorted(gone)

    def of(self, *actions: Action) -> list[Step]:
        """Return the steps of these actions, by host."""
        return sorted(
            (s for s in self.steps if s.action in actions), key=lambda s: (s.thing.host, not s.thing.is_machine)
        )

    def lines(self) -> Iterable[str]:
        """Return the plan as lines, what hurts first."""
        for action, heading in HEADINGS.items():
            if steps := self.of(action):
                yield heading
                for step in steps:
                    yield f"  {_MARKS[action]} {step}"
                    yield from (f"      {change}" for change in step.changes)
        if self.drifted:
            yield "Found otherwise than it was left:"
            yield from (f"  • {line}" for line in self.drifted)


_MARKS: Final[dict[Action, str]] = {
    "destroy": "-", "replace": "±", "forget": "·", "change": "~", "rename": "·", "adopt": "+", "make": "+",
}  # fmt: skip


def read(shown: dict[str, Any]) -> Plan:
    """Read what `terraform show -json PLAN` printed."""
    changes = [change for change in shown.get("resource_changes", []) if change.get("mode") == "managed"]
    steps = [step for change in changes if (step := _step(change)) is not None]
    guards = {
        thing.host: thing.address
        for thing, change in ((_thing(change), change["change"]) for change in changes)
        if thing.is_guard and "delete" in change["actions"] and _is_protected(change.get("before"))
    }
    known = {step.thing.address: step for step in steps}
    drifted = [line for drift in shown.get("resource_drift", []) if (line := _drifted(drift, known))]
    every = [*changes, *({"change": change} for change in shown.get("output_changes", {}).values())]
    pending = any(change["change"]["actions"] not in (["no-op"], ["read"]) for change in every)
    return Plan(steps, drifted, guards, pending)


def _drifted(drift: dict[str, Any], steps: dict[str, Step]) -> str:
    """Say what somebody else changed; only what this plan is about, for providers report much that is none."""
    if drift["change"]["actions"] == ["delete"]:
        return f"{_named(drift)}: it is gone"
    step = steps.get(drift["address"])
    planned = {line.partition(":")[0] for line in step.changes} if step else set()
    found = [line for line in _changed(drift) if line.partition(":")[0] in planned]
    return f"{_named(drift)}: {', '.join(found)}" if found else ""


def _is_protected(guard: dict[str, Any] | None) -> bool:
    given = (guard or {}).get("input")
    return isinstance(given, dict) and bool(given.get("protected"))


def _step(change: dict[str, Any]) -> Step | None:
    thing, actions = _thing(change), change["change"]["actions"]
    if thing.is_guard:
        was, will = (_ON[_is_protected(change["change"].get(side))] for side in ("before", "after"))
        return Step("change", thing, (f"{was} → {will}",)) if actions == ["update"] and was != will else None
    reason = _REASONS.get(str(change.get("action_reason")), "")
    notes = [reason] if reason else []
    if actions == ["no-op"]:
        if change["change"].get("importing"):
            return Step("adopt", thing)
        before = change.get("previous_address")
        return Step("rename", thing, (f"was {before}",)) if before else None
    if thing.is_note:
        if actions == ["delete"]:
            return Step("destroy", thing, ("what was deployed is taken off; the machine itself stays",))
        return Step("adopt", thing) if actions == ["create"] else Step("change", thing, ("what is noted of it",))
    if thing.is_deployment:
        return _deployment(thing, change, actions, reason)
    if actions in (["delete", "create"], ["create", "delete"]):
        if thing.type == "terraform_data":
            return Step("change", thing, (reason or "once more",))
        if not reason and (because := _paths(change["change"].get("replace_paths", []))):
            notes.append(f"{because} cannot be changed in place")
        return Step("replace", thing, (*notes, *([_LOST] if thing.is_machine else [])))
    if actions == ["delete"]:
        return Step("destroy", thing, (*notes, *([_LOST] if thing.is_machine else [])))
    if actions == ["forget"]:
        return Step("forget", thing)
    if actions == ["update"]:
        adopted = ["taken over"] if change["change"].get("importing") else []
        return Step("change", thing, (*adopted, *notes), tuple(_changed(change)))
    return Step("make", thing, tuple(notes)) if "create" in actions else None


def _deployment(thing: Thing, change: dict[str, Any], actions: list[str], reason: str) -> Step | None:
    """A deployment is a run of `./ai deploy`: nothing is destroyed when it is "replaced"."""
    if actions == ["create"]:
        return Step("make", thing, ("./ai deploy",))
    if actions == ["delete"]:
        # It goes with its machine, or is taken off it.
        return None
    before, after = (_settings(change["change"].get(side)) for side in ("before", "after"))
    # Of a machine that is still to be made nothing can be compared yet.
    names = sorted(name for name in {*before, *after} if after and before.get(name) != after.get(name))
    changed = [f"{name}: {_shown(before.get(name))} → {_shown(after.get(name))}" for name in names]
    return Step("change", thing, tuple(filter(None, ("./ai deploy once more", reason))), tuple(changed))


def _settings(values: Any) -> dict[str, Any]:
    """Return the settings that a deployment was triggered by: the one trigger that is a JSON object in text."""
    for trigger in (values or {}).get("triggers_replace") or []:
        if isinstance(trigger, str) and trigger.startswith("{"):
            found = json.loads(trigger)
            if isinstance(found, dict):
                return found
    return {}


def _thing(change: dict[str, Any]) -> Thing:
    values = change["change"].get("after") or change["change"].get("before") or {}
    return Thing(change["address"], change["type"], change["name"], values)


def _named(change: dict[str, Any]) -> str:
    thing = _thing(change)
    return f"{thing.host}: {thing}" if thing.host else str(thing)


def _changed(change: dict[str, Any]) -> list[str]:
    """Say what changes, old → new; what is sensitive only by name."""
    sides = change["change"]
    before, after = sides.get("before") or {}, sides.get("after") or {}
    unknown = sides.get("after_unknown") or {}
    hidden = {
        name
        for side in ("before_sensitive", "after_sensitive")
        if isinstance(sides.get(side), dict)
        for name, mark in sides[side].items()
        if mark
    }
    found = []
    for name in sorted({*before, *after}):
        if before.get(name) == after.get(name) or unknown.get(name) is True:
            continue
        simple = not any(isinstance(value.get(name), dict | list) for value in (before, after))
        if name in hidden or not simple:
            found.append(name)
        else:
            found.append(f"{name}: {_shown(before.get(name))} → {_shown(after.get(name))}")
    return found


def _shown(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{text[:60]}…" if len(text) > 60 else text or "nothing"


def _paths(paths: list[list[Any]]) -> str:
    return ", ".join(dict.fromkeys(str(path[0]) for path in paths if path))
