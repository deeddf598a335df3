"""What is deployed in /opt/ai: the release, files against their recorded hashes, secrets, journal, lock, backup."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read, read_json

HOME = Path("/opt/ai")
# Where a run holds the host's lock: before /opt/ai is there, and after it is gone.
LOCK = Path("/run/ai-services")
# Of the release, these also lie (as links) where `docker compose` is called.
_LINKED = ("compose.yaml", ".env")
# The last lines of the journal are what counts; a host of ten years has more.
_JOURNAL_LIMIT_BYTES = 4 * 2**20
_HASH_LIMIT_BYTES = 64 * 2**20
_SECRET_LIMIT = 2000
_MIXED = ("etc/letsencrypt/archive", "etc/letsencrypt/accounts")
PRIVATE = ("etc/letsencrypt/cloudflare.ini", *_MIXED)


def state(home: Path = HOME) -> dict[str, Any]:
    """Return `deployed`, `id` (the directory that `current` leads to) and `problem`, empty when it is whole."""
    current = home / "current"
    if not current.is_symlink() and not (home / "releases").is_dir():
        return {"deployed": False, "id": "", "problem": ""}
    target = Path(os.path.realpath(current))
    problem = ""
    if not current.is_symlink():
        problem = f"{home}/releases is there, but {current} is no link to one of them"
    elif not target.is_dir():
        problem = f"{current} leads to {target}, which is not there"
    elif target.parent != Path(os.path.realpath(home / "releases")):
        problem = f"{current} leads out of {home}/releases, to {target}"
    else:
        try:
            read_json(target / "release.json")
        except Unseen as error:
            problem = str(error)
    return {"deployed": True, "id": target.name, "problem": problem}


def release(home: Path = HOME) -> dict[str, Any]:
    """Return the record of the current release (release.json): `id`, `version`, `settings`, `files`, `images`.

    Members of another shape than an object count as empty.

    Raises:
        Unseen: nothing is deployed, or the record cannot be read.
    """
    if not (home / "current").exists():
        raise Unseen(f"nothing is deployed in {home}")
    record = read_json(home / "current" / "release.json")
    for name in ("settings", "files", "images"):
        if not isinstance(record.get(name), dict):
            record[name] = {}
    return record


def expected(home: Path = HOME) -> dict[str, dict[str, Any]]:
    """Return what the roles noted, by role: each `files` (path -> {"sha256"}) and `units` (names)."""
    found = {}
    for note in sorted((home / "expected").glob("*.json")):
        with contextlib.suppress(Unseen):
            content = read_json(note)
            files, units = content.get("files"), content.get("units")
            found[note.stem] = {
                "files": files if isinstance(files, dict) else {},
                "units": [str(unit) for unit in units] if isinstance(units, list) else [],
            }
    return found


def files(home: Path = HOME) -> list[dict[str, Any]]:
    """Return every file that was written here: `path`, what is `expected` and what was `found`, None where it is gone.

    Both are SHA-256 (hex) of the file that was recorded.
    """
    wanted: dict[str, str] = {}
    with contextlib.suppress(Unseen):
        for name, digest in release(home)["files"].items():
            wanted[str(home / "current" / name)] = str(digest)
            if name in _LINKED:
                wanted[str(home / name)] = str(digest)
    for note in expected(home).values():
        for path, facts in note["files"].items():
            digest = facts.get("sha256") if isinstance(facts, dict) else facts
            if isinstance(digest, str):
                wanted[path] = digest
    rows = [{"path": path, "expected": digest, "found": _sha256(Path(path))} for path, digest in wanted.items()]
    return sorted(rows, key=lambda row: str(row["path"]))


def _sha256(path: Path) -> str | None:
    digest = hashlib.sha256()
    left = _HASH_LIMIT_BYTES
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return "no file"
        with path.open("rb") as stream:
            while left > 0 and (chunk := stream.read(min(left, 2**20))):
                digest.update(chunk)
                left -= len(chunk)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise Unseen(f"{path} is readable only for root") from None
    return digest.hexdigest()


def secrets(root: Path = Path("/")) -> list[dict[str, Any]]:
    """Return `path`, `mode` (permission bits) and `uid` of everything that must be closed to others.

    Raises:
        Unseen: not root, so that it cannot be looked at.
    """
    found: list[dict[str, Any]] = []
    for place in ("opt/ai/secrets", *PRIVATE):
        for path in _walk(root / place):
            status = path.lstat()
            # certbot keeps what is public beside its keys, readable by all.
            if place in _MIXED and not path.name.startswith(("privkey", "private_key")):
                continue
            if not stat.S_ISLNK(status.st_mode):
                found.append({"path": str(path), "mode": stat.S_IMODE(status.st_mode), "uid": status.st_uid})
    return found[:_SECRET_LIMIT]


def _walk(place: Path) -> Iterator[Path]:
    try:
        if not place.exists():
            return
        yield place
        if place.is_dir():
            for child in sorted(place.iterdir()):
                yield from _walk(child) if child.is_dir() and not child.is_symlink() else (child,)
    except PermissionError:
        raise Unseen(f"{place} may be looked at only by root") from None


def journal(home: Path = HOME) -> dict[str, Any]:
    """Return `lines`, `garbage` (lines that are no JSON), `open` and `failed`.

    `open`: steps begun and neither done nor failed since, in whatever release (`step`, `release`, `time`). `failed`:
    step and reason of the last line, if that says failed.
    """
    begun: dict[str, dict[str, str]] = {}
    lines = garbage = 0
    failed = ""
    for line in _tail(home / "journal.jsonl", _JOURNAL_LIMIT_BYTES).splitlines():
        lines += bool(line.strip())
        row = _entry(line)
        if row is None:
            garbage += bool(line.strip())
            continue
        if row["step"] == "backup":
            continue  # it changes nothing on the host, and has a check of its own
        begun.pop(row["step"], None)
        if row["state"] == "begun":
            begun[row["step"]] = {name: row[name] for name in ("step", "release", "time")}
        failed = f"step {row['step']!r}: {row['detail']}" if row["state"] == "failed" else ""
    return {"lines": lines, "garbage": garbage, "open": list(begun.values()), "failed": failed}


def _entry(line: str) -> dict[str, str] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or "step" not in row or "state" not in row:
        return None
    detail = str(row.get("detail") or "no reason given")[:200]
    found = {name: str(row.get(name) or "") for name in ("step", "state", "time", "release")}
    return {**found, "release": found["release"][:12], "detail": detail}


def _tail(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            content = stream.read(limit)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Unseen(f"{path} cannot be read: {error.strerror or error}") from None
    if size > limit:
        content = content.partition(b"\n")[2]
    return content.decode("utf-8", "replace")


def lock(place: Path = LOCK) -> dict[str, Any]:
    """Return who holds the host's lock, or did last.

    `held` while a process has it, `noted` when lock.json is there; `who`, `since`, `why` of it (its token is left out),
    and its `path`.
    """
    about = place / "lock.json"
    try:
        note = read_json(about)
    except Unseen:
        note = {}
    owner = note.get("owner")
    who = f"{owner.get('user', '?')} on {owner.get('host', '?')}" if isinstance(owner, dict) else ""
    held = _is_locked(place / "lock")
    return {
        "held": held,
        "noted": bool(note),
        "who": who,
        "since": str(note.get("since", "")),
        "why": str(note.get("why", "")),
        "path": str(about),
    }


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise Unseen(f"{path} cannot be opened: {error.strerror or error}") from None
    try:
        # Shared, so that two doctors at a time do not take each other for a deploy.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def backup(home: Path = HOME) -> dict[str, Any]:
    """Return what the backups left in backup.json; times are UTC, ISO 8601, empty where there is none.

    `configured` (one was made or tried), and of the last one `ok`, `time`, `age_s` and `detail`; `good`: when one
    succeeded; `next`: when the host makes its next by itself, `late_s` (past that); `proven`: when one was restored or
    seen to be restorable, `proven_age_s`, `proven_how`, and `proven_made`: when that one was made.
    """
    path = home / "backup.json"
    note = read_json(path) if path.exists() else {}
    proven = note.get("proven")
    proven = proven if isinstance(proven, dict) else {}
    found = {
        "configured": "time" in note,
        "ok": note.get("ok") is True,
        "time": str(note.get("time", "")),
        "age_s": 0.0,
        "detail": str(note.get("detail", ""))[:200],
        "good": str(good.get("time", "")) if isinstance(good := note.get("good"), dict) else "",
        "next": str(note.get("next", "")),
        "late_s": 0.0,
        "proven": str(proven.get("time", "")),
        "proven_age_s": 0.0,
        "proven_how": str(proven.get("how", ""))[:40],
        "proven_made": str(proven.get("made", ""))[:40],
    }
    for moment, age in (("time", "age_s"), ("next", "late_s"), ("proven", "proven_age_s")):
        if found[moment]:
            found[age] = _age_s(str(found[moment]), path)
    return found


def _age_s(moment: str, path: Path) -> float:
    try:
        return (datetime.now(timezone.utc) - datetime.fromisoformat(moment.replace("Z", "+00:00"))).total_seconds()
    except (ValueError, TypeError):
        raise Unseen(f"{path} names no time") from None


def key(home: Path = HOME) -> str:
    """Return a key that opens the gateway: the first line of the file that the release names, or of the usual ones.

    Raises:
        Unseen: there is none, or it may be read only by root.
    """
    names = ["secrets/api.key", "secrets/api_keys", "secrets/gateway/api_keys", "secrets/gateway/api.key"]
    with contextlib.suppress(Unseen):
        named = release(home).get("api_key_file")
        names = [str(named), *names] if named else names
    reasons = []
    for name in names:
        try:
            return first_key(read(home / name, 65536))
        except Unseen as error:  # noqa: PERF203  # there are five at most
            reasons.append(str(error))
    raise Unseen(f"no key for the gateway: {reasons[0]}")


def first_key(text: str) -> str:
    """Return the first line that is a key; `Unseen` if there is none."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return line.strip()
    raise Unseen("the key file holds no key")
