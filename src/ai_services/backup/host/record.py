"""/opt/ai/backup.json: when the last backup was made, and when one was last seen to be restorable.

{"time", "ok", "detail", "id", "where", "bytes"} of the last one, "good": {"time", "id", "where"} of the last that
succeeded, "proven": {"time", "id", "made", "how"}; times are UTC, ISO 8601.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from ai_services.backup.host.certificates import write_file

PATH = Path("/opt/ai/backup.json")
_MADE: Final[dict[str, type]] = {"ok": bool, "detail": str, "id": str, "where": str, "bytes": int}
_PROVEN: Final[dict[str, type]] = {"id": str, "made": str, "how": str}


def utc_now() -> str:
    """Return the time as 2026-11-21T20:30:00Z."""
    now = datetime.now(timezone.utc)  # noqa: UP017  (datetime.UTC came with 3.11; Ubuntu 22.04 has 3.10)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def note(news: dict[str, Any], path: Path = PATH) -> None:
    """Write what is new: `made` (of _MADE) or `proven` (of _PROVEN), each with the present time. No more is taken."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    if not isinstance(known, dict):
        known = {}
    now = utc_now()
    if isinstance(made := news.get("made"), dict):
        kept = {name: known[name] for name in ("proven", "good") if name in known}
        known = {"time": now, **_only(made, _MADE), **kept}
        if known.get("ok"):
            known["good"] = {"time": now, **_only(made, {"id": str, "where": str})}
    if isinstance(proven := news.get("proven"), dict):
        known["proven"] = {"time": now, **_only(proven, _PROVEN)}
    write_file(path, json.dumps(known, indent=1).encode() + b"\n", 0o644)


def _only(values: dict[str, Any], wanted: dict[str, type]) -> dict[str, Any]:
    return {
        name: value[:500] if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, wanted.get(name, ()))
    }
