"""What a person reads: what was found and on what that rests, and what is going to be done."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from ai_services.console import Screen
from ai_services.host.phases import duration
from ai_services.host.plan_types import Note
from ai_services.migrate import words
from ai_services.migrate.found import API_NAMES, Found, Service
from ai_services.migrate.plan_types import MigrationPlan

# More of one file is no help at a terminal.
_DIFF_LINES: Final = 100


def show_found(found: Found, screen: Screen) -> None:
    """Show what is on the host, each statement with its evidence."""
    system = found.machine.get("os") or {}
    screen.say(f"Found on {found.host} ({system.get('name') or 'a system that does not tell its name'}):")
    for one in found.candidates:
        _service(one, screen)
    if found.ollama:
        _service(found.ollama, screen)
    front = found.front
    if front.kind != "none":
        screen.say(f"  {front.kind} {front.version} ({front.how}), {len(front.sites)} sites")
        for fact in front.facts:
            screen.say(f"    {fact.what}  [{fact.evidence}]")
    else:
        screen.say("  no proxy before it")
    for client in found.clients:
        screen.say(
            f"  {client.count} connection{'s' if client.count != 1 else ''} from {client.address} to {client.port}"
        )
    for fact in found.unseen:
        screen.warn(f"{fact.what}: {fact.evidence}")


def _service(service: Service, screen: Screen) -> None:
    where = ", ".join(f"{port.address}:{port.port}" for port in service.ports) or "no port"
    what = "Ollama" if service.is_ollama else API_NAMES[service.api]
    screen.say(f"  {words.called(service)}: {what} {service.version}".rstrip() + f", at {where}")
    for fact in service.facts:
        screen.say(f"    {fact.what}  [{fact.evidence}]")
    for store in service.stores:
        size = "" if store.size_mib is None else f", {store.size_mib} MiB"
        screen.say(f"    {words.store_of(store)}{f' with {store.holds} models' if store.holds else ''}{size}")


def show_notes(refusals: Iterable[Note], warnings: Iterable[Note], screen: Screen) -> None:
    """Show what is in the way, and what wants looking at."""
    for note in warnings:
        screen.warn(f"{note.what} {note.why}")
        screen.say(f"    {note.nearest}")
    for note in refusals:
        screen.say(f"✘ {note.what} {note.why}")
        screen.say(f"    {note.nearest}")


def show_plan(plan: MigrationPlan, screen: Screen) -> None:
    """Show the plan: what stays, what moves, who waits, the steps, the files."""
    screen.say()
    screen.say("The plan:")
    for number, step in enumerate(plan.steps, start=1):
        waits = "  (callers wait)" if step.waits else ""
        screen.say(f"  {number:>2}. {step.name}: {step.words}{waits}")
    for title, lines in (
        ("Moves", plan.moves),
        ("Stays as it is", plan.stays),
        ("Goes on answering", plan.answers),
        ("Ends, because ours has nothing like it", plan.ends),
        ("A rollback restores", plan.rollback),
    ):
        if lines:
            screen.say(f"{title}:")
            for line in lines:
                screen.say(f"  • {line}")
    if plan.waiting:
        low, high = duration(plan.waiting.low_s), duration(plan.waiting.high_s)
        screen.say(f"Longest wait of a caller, estimated: {low} to {high}. {plan.waiting.how}")
    if plan.room:
        free = "not known" if plan.room.free_mib is None else f"{plan.room.free_mib} MiB"
        screen.say(f"Disk: {plan.room.need_mib} MiB needed on {plan.room.mount}, {free} free.")
    if plan.settings:
        screen.say("Settings from the host:")
        for name, value in plan.settings.items():
            shown = ", ".join(map(str, value)) if isinstance(value, list) else json.dumps(value).strip('"')
            screen.say(f"  {name}: {shown}  [{plan.reasons.get(name, '')}]")
    for change in plan.files:
        place = f"{change.was} → {change.path}" if change.was else change.path
        screen.say(f"File {place}{'' if change.exact else ' (the role writes it; about so)'}:")
        diff = change.diff().splitlines()
        for line in diff[:_DIFF_LINES]:
            screen.say(f"  {line}")
        if len(diff) > _DIFF_LINES:
            screen.say(f"  … {len(diff) - _DIFF_LINES} lines more; --json has them all")
    show_notes(plan.refusals, plan.warnings, screen)
