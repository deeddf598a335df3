"""The releases of a host and what was done with them, for whoever asks: from the disk alone, without Docker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import journal
from .releases import Store

_CHANGES = ("activate", "restore")
_MEMBERS = ("time", "release", "step", "state", "by", "detail")


def releases(root: Path) -> list[dict[str, Any]]:
    """Every release, oldest first: `id`, `version`, `created`, `state`, `why`, `changed` (when that came to be).

    `state`: serves, previous (served before), failed (did not work when it was last tried), or ready.
    """
    store = Store(root)
    last = _last(root)
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
                "version": str(about.get("version") or ""),
                "created": str(about.get("created") or ""),
                "state": state,
                "why": why,
                "changed": str(line.get("time") or ""),
                "images": images if isinstance(images := about.get("images"), dict) else {},
            }
        )
    return rows


def _last(root: Path) -> dict[str, dict[str, Any]]:
    """For each release the last line of the journal that speaks for or against it."""
    found: dict[str, dict[str, Any]] = {}
    served = ""
    for line in journal.read(root / "journal.jsonl"):
        if line.get("step") not in _CHANGES:
            continue
        release, state = str(line.get("release") or ""), line.get("state")
        if state == "done":
            served = release
        # A mending that failed takes nothing from what served before it, and goes on serving.
        if not (state == "failed" and release == served):
            found[release] = line
    return found


def back(root: Path) -> str | None:
    """The release that a rollback goes to: the one that served before, never one that did not work; or None."""
    store = Store(root)
    states = {row["id"]: row["state"] for row in releases(root)}
    before = store.previous
    return before if before and before != store.current and states.get(before) != "failed" else None


def migration(root: Path) -> str:
    """The id of a migration of this host that is half way, there or back: until then the old service is part of it."""
    try:
        state = json.loads((root / "migration" / "current" / "state.json").read_bytes())
        return str(state["id"]) if state["phase"] in ("begun", "undoing") else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def lines(root: Path, count: int) -> list[dict[str, str]]:
    """The last `count` lines of the journal, oldest first: `time`, `release`, `step`, `state`, `by` and `detail`.

    All is text, and empty where a line lacks it.
    """
    found = journal.read(root / "journal.jsonl")[-count:] if count > 0 else []
    return [{name: str(line.get(name) or "") for name in _MEMBERS} for line in found]
