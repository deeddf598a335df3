"""What of the old service is kept before anything changes: its files with a manifest, and what Docker says of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from ..durable import sync_directory, write_file
from ..engine import Engine
from .state import MigrationError, State

TAR, MANIFEST, INSPECTS = "files.tar", "manifest.json", "containers.json"
# Configuration, not models: whatever is larger is no file that describes a service.
_LARGEST_BYTES = 64 << 20
# Of folders only those of the machine's configuration are kept whole; others hold models and data.
_CONFIGURATION = Path("/etc")
_MOST = 20_000
# Certbot renews what is in there whenever it is time: only what is gone is worth a word.
_RENEWED = "/etc/letsencrypt/"


def keep(state: State, engine: Engine) -> dict[str, Any]:
    """Save the files of the order, byte for byte, with owner, mode and times; returns the manifest.

    Raises:
        MigrationError: one of them cannot be read, or the archive does not hold what was read.
    """
    entries: dict[str, Any] = {}
    scratch = state.folder / f".{TAR}.new"
    with tarfile.open(scratch, "w", format=tarfile.PAX_FORMAT) as archive:
        scratch.chmod(0o600)
        for path in _all(state.order.get("keep_files", [])):
            entries[str(path)] = _add(archive, path)
    with scratch.open("rb") as written:
        os.fsync(written.fileno())
    scratch.rename(state.folder / TAR)
    sync_directory(state.folder)
    inspects = [
        found for one in state.old.get("containers") or [] if (found := engine.container(one["id"])) is not None
    ]
    _write(state.folder / INSPECTS, inspects)
    manifest = {"files": entries, "tar_sha256": _sum((state.folder / TAR).read_bytes())}
    _write(state.folder / MANIFEST, manifest)
    return manifest


def changed(state: State) -> list[str]:
    """Which of the kept files are not on the host now as they were then; in words."""
    try:
        manifest = json.loads((state.folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return ["there is no manifest of what was kept"]
    words = []
    for name, was in manifest["files"].items():
        now = _about(Path(name)) if Path(name).is_symlink() or Path(name).is_file() else None
        if now != was and (now is None or not name.startswith(_RENEWED)):
            words.append(f"{name} is {'gone' if now is None else 'not as it was'}")
    return words


def _all(names: list[str]) -> list[Path]:
    paths: dict[str, Path] = {}
    for name in names:
        path = Path(name)
        if path.is_dir() and not path.is_symlink():
            paths |= {str(one): one for one in _below(path)}
        elif path.is_symlink() or path.is_file():
            paths[name] = path
            if path.is_symlink() and path.resolve().is_file():
                paths[str(path.resolve())] = path.resolve()
    return [paths[name] for name in sorted(paths)]


def _below(folder: Path) -> list[Path]:
    """The files and links of a folder of configuration; a pipe or a device has no content to keep."""
    if _CONFIGURATION not in folder.parents:
        return []
    found = [
        path
        for path in folder.rglob("*")
        # A table of addresses may be large, and describes no service.
        if path.is_symlink() or (path.is_file() and path.stat().st_size <= _LARGEST_BYTES)
    ]
    if len(found) > _MOST:
        raise MigrationError(f"{folder} holds {len(found)} files: too many to be the configuration of a service.")
    return found


def _add(archive: tarfile.TarFile, path: Path) -> dict[str, Any]:
    about = _about(path)
    info = archive.gettarinfo(str(path), arcname=str(path).lstrip("/"))
    info.mtime = path.lstat().st_mtime_ns / 1e9
    if path.is_symlink():
        archive.addfile(info)
        return about
    if info.size > _LARGEST_BYTES:
        raise MigrationError(
            f"{path} has {info.size >> 20} MiB and is said to describe the old service: too large to be kept."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MigrationError(f"{path} cannot be read: {error.strerror}") from error
    # Each name with its content: a second name of one file is a link to the first for tarfile, and not read back so.
    info.type, info.linkname, info.size = tarfile.REGTYPE, "", len(content)
    archive.addfile(info, io.BytesIO(content))
    return about


def _about(path: Path) -> dict[str, Any]:
    status = path.lstat()
    common = {"mode": status.st_mode & 0o7777, "uid": status.st_uid, "gid": status.st_gid}
    if path.is_symlink():
        return {"link": str(path.readlink()), **common}
    return {"sha256": _sum(path.read_bytes()), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns, **common}


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: Any) -> None:
    write_file(path, json.dumps(content, indent=1, sort_keys=True).encode() + b"\n", mode=0o600)
