"""One `ai` at a time may change a stack; a second one is told who is at it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from ai_services.exits import BLOCKED, OperatorError
from ai_services.local.home import Home, write_json


@contextmanager
def exclusive(home: Home, verb: str) -> Iterator[None]:
    """Hold the stack's lock. It dies with its owner, so nobody ever has to remove it.

    Raises:
        OperatorError: another process holds it.
    """
    from filelock import FileLock, Timeout

    home.create_root()
    lock = FileLock(home.root / "lock", timeout=0, mode=0o600)
    note = home.root / "lock.json"
    try:
        lock.acquire()
    except Timeout:
        raise OperatorError(
            f"Another ai works on {home.root}: {_holder(home)}.",
            hint="Wait for it, or end it with Ctrl-C in its terminal; then call this again.",
            exit_code=BLOCKED,
        ) from None
    try:
        write_json(note, {"pid": os.getpid(), "verb": verb, "since": datetime.now(UTC).isoformat(timespec="seconds")})
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _holder(home: Home) -> str:
    try:
        found = json.loads((home.root / "lock.json").read_text(encoding="utf-8"))
        return f"`ai {found['verb']}`, pid {found['pid']}, since {found['since']}"
    except (OSError, ValueError, KeyError):
        return "it has just begun"
