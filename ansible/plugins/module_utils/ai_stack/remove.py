"""Taking the stack off a host: containers, networks, images, releases; data and keys only where that is asked for."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

from .engine import Engine, EngineError
from .images import discard
from .journal import Journal
from .observe import PROJECT
from .releases import Store
from .reserve import Reserve

_DOWN_TIMEOUT_S = 300
# What belongs to the releases, and what to the owner of the host's data. The folder of the keys itself was brought by
# another role, and goes with it.
_RELEASES = ("releases", "config", "switch", "current", "previous", "compose.yaml", ".env")
_KEYS = "secrets"
_JOURNAL = "journal.jsonl"


class RemovalError(Exception):
    """Something could not be removed; the message says what and why."""


def foretell(root: Path, engine: Engine, volumes: list[str], *, keep_data: bool) -> list[str]:
    """What `remove` would take off, in words; empty on a bare host."""
    words = [f"remove container {found['Names'][0].lstrip('/')}" for found in _containers(engine)]
    words += [f"remove image {pin}" for pin in _images(root, engine)]
    words += [f"delete {path}" for path in _files(root, keep_data=keep_data) if _is_there(path)]
    if not keep_data:
        words += [f"delete volume {name} with all that is in it" for name in _volumes(engine, volumes)]
    return words


def remove(root: Path, engine: Engine, journal: Journal, volumes: list[str], *, keep_data: bool) -> list[str]:
    """Take the stack off; returns what was done in words.

    Raises:
        RemovalError: Docker refused.
    """
    done = foretell(root, engine, volumes, keep_data=keep_data)
    if not done:
        return []
    if keep_data:
        journal.write("remove", "begun", Store(root).current)
    images = _images(root, engine)
    try:
        for found in _containers(engine):
            _docker("stop", found["Id"])
            _docker("rm", "--force", found["Id"])
        for network in _networks(engine):
            _docker("network", "rm", network)
        discard(engine, images)
        for name in [] if keep_data else _volumes(engine, volumes):
            _docker("volume", "rm", name)
    except EngineError as error:
        raise RemovalError(str(error)) from error
    # A change that was killed has left it.
    Reserve.of(root, engine).free()
    for path in _files(root, keep_data=keep_data):
        _delete(path)
    if keep_data:
        journal.write("remove", "done", None)
    return done


def _files(root: Path, *, keep_data: bool) -> list[Path]:
    releases = [root / name for name in _RELEASES]
    if keep_data:
        return releases
    keys = root / _KEYS
    return [*releases, *(sorted(keys.iterdir()) if keys.is_dir() else []), root / _JOURNAL]


def _containers(engine: Engine) -> list[dict[str, Any]]:
    try:
        return engine.containers(PROJECT)
    except EngineError:
        return []  # no Docker, no containers


def _networks(engine: Engine) -> list[str]:
    try:
        found = engine.get("/networks") or []
    except EngineError:
        return []  # gone with the engine, by an earlier run that kept the data
    return [net["Id"] for net in found if net.get("Labels", {}).get("com.docker.compose.project") == PROJECT]


def _images(root: Path, engine: Engine) -> list[str]:
    store = Store(root)
    pins = {pin for release in store.ids() for pin in store.about(release).get("images", {}).values()}
    try:
        return sorted(pin for pin in pins if engine.image(pin) is not None)
    except EngineError:
        return []


def _volumes(engine: Engine, names: list[str]) -> list[str]:
    try:
        return [name for name in names if engine.get(f"/volumes/{name}") is not None]
    except EngineError:
        return []


def _is_there(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _docker(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ["docker", *arguments],
            capture_output=True,
            text=True,
            timeout=_DOWN_TIMEOUT_S,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise RemovalError(f"docker {' '.join(arguments)}: {error}. Run again: what is done stays done.") from error
    if done.returncode != 0:
        raise RemovalError(f"docker {' '.join(arguments)}: {done.stderr.strip()}. Run again: what is done stays done.")
