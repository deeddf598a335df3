"""The releases of an installation: releases/<id>/ whole or absent, `current` pointing at the one that serves.

releases/<id>/            compose.yaml, .env, release.json, ...; the id is the content's, so nothing ever changes in it
config/<group>-<id>/      files that containers mount; named by content, so that a container is made anew only
                          when what it mounts has changed, and one restarted later still sees what it was made with
current -> releases/<id>  the release that serves; compose.yaml and .env beside it point through it
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .durable import point, sync_directory, write_file
from .journal import utc_now

ABOUT = "release.json"
ID = re.compile(r"[0-9a-f]{12}")
_MOUNTED = re.compile(r"@@config/([a-z][a-z0-9-]*)@@")
_SCRATCH = re.compile(r"\..+\.[0-9a-f]{8}")
_LINKED = ("compose.yaml", ".env")

Files = Mapping[str, str]


class ReleaseError(Exception):
    """The release cannot be made or used; the message says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """A release before it is written: its `files`, and `config` (directory name -> files), by relative path."""

    id: str
    files: dict[str, str]
    config: dict[str, dict[str, str]]


def plan(root: Path, files: Files, config: Mapping[str, Files]) -> Plan:
    """Work out the id of `files` and `config` and put the paths of mounted groups in (`@@config/<group>@@`).

    Raises:
        ReleaseError: a path leads out of the release, or a file mounts a group that is not given.
    """
    for name in [*files, *(path for group in config.values() for path in group)]:
        parts = Path(name).parts
        if not parts or Path(name).is_absolute() or ".." in parts or name == ABOUT:
            raise ReleaseError(f"'{name}' cannot be a file of a release: give a path within it, other than {ABOUT}.")
    named = {group: f"{group}-{_digest(content)}" for group, content in config.items()}

    def mounted(match: re.Match[str]) -> str:
        if match[1] not in named:
            raise ReleaseError(f"A file of the release mounts the configuration '{match[1]}', which is not given.")
        return str(root / "config" / named[match[1]])

    whole = {name: _MOUNTED.sub(mounted, content) for name, content in files.items()}
    return Plan(_digest(whole), whole, {named[group]: dict(content) for group, content in config.items()})


def _digest(files: Files) -> str:
    """12 hex digits of the names and contents; lengths go in, so that no two sets of files read alike."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name, files[name]):
            raw = part.encode()
            digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class Store:
    """The releases of the installation in directory `root` (/opt/ai)."""

    root: Path

    def path(self, release: str) -> Path:
        """Directory of `release`."""
        return self.root / "releases" / release

    @property
    def current(self) -> str | None:
        """Id of the release that serves; None on a fresh host."""
        return self._linked("current")

    @property
    def previous(self) -> str | None:
        """Id of the release that served before the current one, or None."""
        return self._linked("previous")

    def ids(self) -> list[str]:
        """Every whole release, oldest first."""
        found = [(self.about(path.name).get("created", ""), path.name) for path in self._directories()]
        return [release for _, release in sorted(found)]

    def about(self, release: str) -> dict[str, Any]:
        """release.json of `release`; empty when it is not there."""
        try:
            found = json.loads((self.path(release) / ABOUT).read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def has(self, wanted: Plan) -> bool:
        """Whether the release and what it mounts are on the disk."""
        mounted = all((self.root / "config" / name).is_dir() for name in wanted.config)
        return mounted and self.path(wanted.id).is_dir()

    def is_intact(self, wanted: Plan) -> bool:
        """Whether every file of the release and of what it mounts is as it was written."""
        places = [(self.path(wanted.id), wanted.files)]
        places += [(self.root / "config" / name, files) for name, files in wanted.config.items()]
        return all(_is_as_written(directory, files) for directory, files in places)

    def stage(self, wanted: Plan, about: Mapping[str, Any]) -> bool:
        """Write the release beside the others. Returns whether that was needed; nothing that serves changes.

        What is said about a release that is there already is brought up to date: settings that are in none of its
        files, as who may reach the host, belong to it all the same.
        """
        if self.has(wanted) and self.is_intact(wanted):
            known = self.about(wanted.id)
            if any(known.get(name) != value for name, value in about.items() if name != "created"):
                text = _as_text({**known, **about, "created": known.get("created")})
                write_file(self.path(wanted.id) / ABOUT, text.encode())
            return False
        for name, files in wanted.config.items():
            # What a container has mounted stays the very directory that it is: put another one in its place, and that
            # container looks into an empty one until it is made anew.
            if not _is_as_written(self.root / "config" / name, files):
                _write_directory(self.root / "config" / name, files)
        written = {**wanted.files}
        for directory, files in wanted.config.items():
            written |= {str(self.root / "config" / directory / name): content for name, content in files.items()}
        sums = {name: hashlib.sha256(content.encode()).hexdigest() for name, content in sorted(written.items())}
        record = {
            "id": wanted.id,
            "created": self.about(wanted.id).get("created") or utc_now(),
            **about,
            "files": sums,
            "config": sorted(wanted.config),
        }
        text = _as_text(record)
        _write_directory(self.path(wanted.id), {**wanted.files, ABOUT: text})
        return True

    def switch(self, release: str) -> bool:
        """Let `current` be `release`, and `previous` what was current. Returns whether that changed anything.

        Raises:
            ReleaseError: there is no such release.
        """
        if not self.path(release).is_dir():
            raise ReleaseError(f"There is no release {release} here; there are: {', '.join(self.ids()) or 'none'}.")
        before = self.current
        for name in _LINKED:
            link = self.root / name
            if not link.is_symlink() or str(link.readlink()) != f"current/{name}":
                point(link, f"current/{name}")
        if before == release:
            return False
        # `previous` first: between the two steps both name the old release, which is still the one that serves.
        if before is not None:
            point(self.root / "previous", f"releases/{before}")
        point(self.root / "current", f"releases/{release}")
        return True

    def surplus(self, keep: int) -> list[str]:
        """Every release but the newest `keep`, oldest first; never the current or the previous one."""
        holy = {self.current, self.previous}
        extra = [release for release in self.ids() if release not in holy]
        return extra[: max(0, len(extra) + len(holy - {None}) - keep)]

    def prune(self, keep: int) -> list[str]:
        """Remove the surplus, and what nothing names. Returns the releases that went."""
        gone = self.surplus(keep)
        for release in gone:
            _remove_directory(self.path(release))
        # Also one whose record is damaged: what serves is never rubbish.
        kept = {*self.ids(), *(release for release in (self.current, self.previous) if release)}
        records = [self.about(release) for release in kept]
        places = [(self.root / "releases", kept)]
        if all("config" in record for record in records):
            places.append((self.root / "config", {name for record in records for name in record["config"]}))
        for place, wanted in places:
            for path in place.iterdir() if place.is_dir() else ():
                if path.name not in wanted:
                    _remove_directory(path)
        # What a power loss left beside its place; the caller holds the lock, so nobody is writing it now.
        for path in self.root.iterdir():
            if _SCRATCH.fullmatch(path.name) and (path.is_symlink() or path.is_file()):
                path.unlink()
        return gone

    def _directories(self) -> list[Path]:
        place = self.root / "releases"
        if not place.is_dir():
            return []
        return [path for path in place.iterdir() if ID.fullmatch(path.name) and (path / ABOUT).is_file()]

    def _linked(self, name: str) -> str | None:
        try:
            target = (self.root / name).readlink().name
        except OSError:
            return None
        return target if self.path(target).is_dir() else None


def _as_text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _is_as_written(directory: Path, files: Files) -> bool:
    return directory.is_dir() and all(_read(directory / name) == content for name, content in files.items())


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write_directory(place: Path, files: Files) -> None:
    """Put a directory with `files` at `place` in one step; what was there (damaged) goes."""
    place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    scratch = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    scratch.mkdir(mode=0o755)
    scratch.chmod(0o755)
    for name, content in files.items():
        path = scratch / name
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        write_file(path, content.encode())
    for directory in [scratch, *(path for path in scratch.rglob("*") if path.is_dir())]:
        directory.chmod(0o755)
        sync_directory(directory)
    if place.exists():
        _remove_directory(place)
    scratch.rename(place)
    sync_directory(place.parent)


def _remove_directory(place: Path) -> None:
    # First out of its name, so that nobody ever finds half of it.
    doomed = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    place.rename(doomed)
    sync_directory(place.parent)
    shutil.rmtree(doomed)
