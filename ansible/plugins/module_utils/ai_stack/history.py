"""The releases of a host and what was done with them, for whoever asks: from the disk alone, without Docker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import journal
from .releases import Store

_CHANGES = ("activate", "restore")


def releases(root: Path) -> list[dict[str, Any]]:
    """Every release, oldest first: `id`, `version`, `created`, `state`, `why`, `changed` (when that came to be).

    `state`: serves, previous (served before), failed (did not work when it was last tried), or ready.
    """
    store = Store(root)
    last = {
        str(line.get("release")): line for line in journal.read(root / "journal.jsonl") if line.get("step") in _CHANGES
    }
    rows = []
    for release in store.ids():
        about, line = store.about(release), last.get(release, {})
        state, why = "ready", ""
        if release == store.current:
            state = "serves"
        elif line.get("step") == "activate" and line.get("state") == "failed":
            state, why = "failed", str(line.get("detail", ""))
        elif release == store.previous:
            state = "previous"
        rows.append(
            {
                "id": release,
                "version": about.get("version", ""),
                "created": about.get("created", ""),
                "state": state,
                "why": why,
                "changed": line.get("time", ""),
                "images": about.get("images", {}),
            }
        )
    return rows


def back(root: Path) -> str | None:
    """The release that a rollback goes to: the one that served before, never one that did not work; or None."""
    store = Store(root)
    states = {row["id"]: row["state"] for row in releases(root)}
    before = store.previous
    return before if before and before != store.current and states.get(before) != "failed" else None


def lines(root: Path, count: int) -> list[dict[str, Any]]:
    """The last `count` lines of the journal, oldest first."""
    return journal.read(root / "journal.jsonl")[-count:] if count else []
