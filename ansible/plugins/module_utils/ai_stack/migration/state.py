"""What a migration of this host is, and how far it is: /opt/ai/migration/<id>/state.json, whole or absent.

Everything that a run needs to go on is here, so that another machine can continue what one has begun.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..durable import point, sync_directory, write_file
from ..journal import Journal, utc_now

FOLDER = "migration"
CURRENT = "current"
FILE = "state.json"
# Left by whoever brings the tool and finds no /opt/ai: it goes with the migration.
MADE_ROOT = ".made-root"
# begun -> migrated -> finalized, or back to nothing; `undoing` is a rollback under way
OPEN = ("begun", "migrated", "undoing")


class MigrationError(Exception):
    """A step could not be done; the message says what, why, and what serves now."""


@dataclass(frozen=True)
class State:
    """The migration in `folder`. `content`: id, phase, order, steps (name -> {state, begun, ended, detail})."""

    folder: Path
    content: dict[str, Any]

    @classmethod
    def open(cls, root: Path) -> State | None:
        """Return the migration that was begun here last; None where there is none."""
        link = root / FOLDER / CURRENT
        try:
            folder = link.parent / link.readlink()
            content = json.loads((folder / FILE).read_bytes())
        except (OSError, ValueError):
            return None
        return cls(folder, content) if isinstance(content, dict) else None

    @classmethod
    def begin(cls, root: Path, order: dict[str, Any]) -> State:
        """Write down what is going to be done, before anything is."""
        place = root / FOLDER
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.chmod(0o700)
        made_root = (place / MADE_ROOT).exists()
        folder = place / str(order["id"])
        folder.mkdir(mode=0o700, exist_ok=True)
        content = {
            "id": order["id"],
            "phase": "begun",
            "begun": utc_now(),
            "made_root": made_root,
            "order": order,
            "steps": {},
        }
        state = cls(folder, content)
        state.save()
        sync_directory(place)
        point(place / CURRENT, folder.name)
        return state

    @property
    def order(self) -> dict[str, Any]:
        """What is to be done, as the operator's side wrote it (ai_services.migrate.order)."""
        found: dict[str, Any] = self.content["order"]
        return found

    @property
    def old(self) -> dict[str, Any]:
        """The old service: how, api, address, port, containers, units."""
        found: dict[str, Any] = self.order["old"]
        return found

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to continue or to undo."""
        return self.content.get("phase") in OPEN

    def of(self, step: str) -> str:
        """How far a step is: "", begun, done or failed."""
        return str(self.content["steps"].get(step, {}).get("state", ""))

    def keep(self, **values: Any) -> None:
        """Remember `values` for later steps and for the way back."""
        self.content.update(values)
        self.save()

    def mark(self, step: str, state: str, journal: Journal, detail: str = "") -> None:
        """Write down that a step has begun, is done or has failed: here and in the journal, on the disk both."""
        steps: dict[str, Any] = self.content["steps"]
        if state == "":
            steps.pop(step, None)
        else:
            steps[step] = {**steps.get(step, {}), "state": state, state: utc_now(), "detail": detail}
        self.save()
        journal.write(f"migrate:{step}", state or "undone", None, detail)

    def save(self) -> None:
        """Bring it to the disk."""
        text = json.dumps(self.content, indent=1, ensure_ascii=False) + "\n"
        write_file(self.folder / FILE, text.encode(), mode=0o600)


@contextlib.contextmanager
def step(state: State, name: str, journal: Journal) -> Iterator[None]:
    """One step: begun before the block, done or failed (with the first line of why) after it."""
    state.mark(name, "begun", journal)
    try:
        yield
    except BaseException as error:
        state.mark(name, "failed", journal, (str(error) or type(error).__name__).splitlines()[0])
        raise
    state.mark(name, "done", journal)


def is_root() -> bool:
    """Whether this process may change the host."""
    return os.geteuid() == 0
