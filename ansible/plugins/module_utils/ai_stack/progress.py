"""How far a long job is: one small file that the job overwrites and the operator's side reads while it waits."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

DIRECTORY = Path("/run/ai-progress")
_WRITE_EVERY_S = 0.5


@dataclass
class Progress:
    """Writes DIRECTORY/`name`.json: {"title", "detail", "done_bytes", "total_bytes"}; keeps the lock fresh."""

    name: str
    title: str
    lock_about: Path | None = None
    directory: Path = DIRECTORY
    _written_at: float = field(default=float("-inf"), init=False)

    def say(self, detail: str, done_bytes: int = 0, total_bytes: int = 0, *, now: bool = False) -> None:
        """Tell how far it is; at most twice a second reaches the file unless `now`."""
        if not now and time.monotonic() - self._written_at < _WRITE_EVERY_S:
            return
        self._written_at = time.monotonic()
        self.directory.mkdir(mode=0o755, exist_ok=True)
        scratch = self.directory / f".{self.name}"
        scratch.write_text(
            json.dumps({"title": self.title, "detail": detail, "done_bytes": done_bytes, "total_bytes": total_bytes})
        )
        scratch.rename(self.directory / f"{self.name}.json")
        if self.lock_about is not None:
            with contextlib.suppress(OSError):
                os.utime(self.lock_about)


def read(name: str, directory: Path = DIRECTORY) -> dict[str, object]:
    """What the job `name` said last; empty when it has said nothing."""
    try:
        found = json.loads((directory / f"{name}.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
