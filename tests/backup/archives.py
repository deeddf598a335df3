"""Archives to break: written as a host writes them, in memory."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ai_services.backup import sealing
from ai_services.backup.host.archive import Manifest, SavedFile, Stream
from ai_services.backup.host.writer import Read, write

KEYS = {"secrets/api.key": b"canary-of-a-key\n", "secrets/gateway/api_keys": b"canary-of-a-key\n"}
DUMP = Stream("made-up", "database", "dump")


def manifest(contents: Mapping[str, bytes] = KEYS, streams: tuple[Stream, ...] = (DUMP,), **more: Any) -> Manifest:
    """A manifest of these files, in this order."""
    files = [
        SavedFile(name, len(content), hashlib.sha256(content).hexdigest(), 0o600, 0, 0)
        for name, content in contents.items()
    ]
    values: dict[str, Any] = {
        "id": "0123456789abcdef", "made": "2026-11-21T20:30:00Z", "host": "gpu-1", "domain": "ai.example.com",
        "version": "0.2.0", "settings": {"ai_domain": "ai.example.com"}, "given": {}, "models": [],
    }  # fmt: skip
    return Manifest(files=files, streams=list(streams), **{**values, **more})


def reading(content: bytes) -> Read:
    """What a stream is read by."""
    return io.BytesIO(content).read


def archive(
    about: Manifest | None = None, contents: Mapping[str, bytes] = KEYS, dumps: Mapping[Stream, bytes] | None = None
) -> bytes:
    """A whole archive, in the clear."""
    out = io.BytesIO()
    told = about or manifest(contents)
    parts = dumps if dumps is not None else dict.fromkeys(told.streams, b"rows of a database")
    write(out, told, contents, lambda stream: reading(parts[stream]))
    return out.getvalue()


def tar(*members: tarfile.TarInfo, content: bytes = b"x", form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of somebody else."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as made:
        for member in members:
            member.size = len(content) if member.isreg() else 0
            made.addfile(member, io.BytesIO(content))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o600) -> tarfile.TarInfo:
    """A member of such a tar."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    return made


def identity(folder: Path, name: str = "identity.txt") -> tuple[Path, str]:
    """A new identity's file, and its public key."""
    text, public = sealing.new_identity()
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(text)
    return path, public


def sealed(path: Path, content: bytes, to: sealing.Seal) -> Path:
    """The archive in a file, sealed."""
    with path.open("wb") as out:
        sealing.seal(io.BytesIO(content), out, to)
    return path
