"""/opt/ai/backup.json: when the last backup was made, and when one was last seen to be restorable.

{"time", "ok", "detail", "id", "where", "bytes"} of the last one, "next": when the timer's next is due, "good": {"time",
"id", "where"} of the last that succeeded, "proven": {"time", "id", "made", "how"}; times are UTC, ISO 8601.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final

from ai_services.backup.host.certificates import write_file

PATH = Path("/opt/ai/backup.json")
_MADE: Final[dict[str, type]] = {"ok": bool, "detail": str, "id": str, "where": str, "bytes": int, "next": str}
_PROVEN: Final[dict[str, type]] = {"id": str, "made": str, "how": str}


def utc_now() -> str:
    """Return the time as 2026-11-21T20:30:00Z."""
    return written(datetime.now(timezone.utc))  # noqa: UP017  (datetime.UTC came with 3.11; Ubuntu 22.04 has 3.10)


def written(moment: datetime) -> str:
    """Return a time that is UTC as it is written here."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def note(news: dict[str, Any], path: Path = PATH) -> None:
    """Write what is new: `made` (of _MADE) or `proven` (of _PROVEN), each with the present time. No more is taken.

    What failed, and what was proven, has a line in the journal beside it, too.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # The timer's run and an operator's may have news at the same time.
        fcntl.flock(folder, fcntl.LOCK_EX)
        known = _with_news(_read(path), news)
        write_file(path, json.dumps(known, indent=1).encode() + b"\n", 0o644)
    finally:
        os.close(folder)
    made, proven = news.get("made"), news.get("proven")
    with suppress(OSError):
        if isinstance(made, dict) and not known.get("ok"):
            _journal(path, "failed", str(known.get("detail", "")))
        if isinstance(proven, dict):
            _journal(path, known["proven"].get("how", "proven"), f"the one of {known['proven'].get('made', '')}")


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _with_news(known: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
    now = utc_now()
    if isinstance(made := news.get("made"), dict):
        kept: dict[str, Any] = {name: known[name] for name in ("next", "proven", "good") if name in known}
        known = {"time": now, **kept, **_only(made, _MADE)}
        if known.get("ok"):
            known["good"] = {"time": now, **_only(made, {"id": str, "where": str})}
    if isinstance(proven := news.get("proven"), dict):
        known["proven"] = {"time": now, **_only(proven, _PROVEN)}
    return known


def _journal(path: Path, state: str, detail: str) -> None:
    """Append a line as those who change the host write theirs, for `./ai history`; it begins and ends no step."""
    line = {
        "time": utc_now(),
        "release": None,
        "step": "backup",
        "state": state,
        "by": f"ai-backup@{socket.gethostname()}",
    }
    # A line that was torn by a power loss must not swallow this one; empty lines are nothing to whoever reads.
    raw = ("\n" + json.dumps({**line, "detail": detail}, ensure_ascii=False) + "\n").encode()
    descriptor = os.open(path.with_name("journal.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(descriptor, raw)
    finally:
        os.close(descriptor)


def _only(values: dict[str, Any], wanted: dict[str, type]) -> dict[str, Any]:
    return {
        name: value[:500] if isinstance(value, str) else value
        for name, value in values.items()
        if isinstance(value, wanted.get(name, ()))
    }
