"""Packs the doctor into one file that any Python from 3.9 on runs: `python3 doctor.pyz facts`.

The bytes depend on the sources alone (fixed order, times and modes), so that a second deploy has nothing to copy.
"""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path

_PACKAGE = Path(__file__).parent
# The recording and the sentence in it, of the local stack's own proof.
_SAMPLE = ("sample.ogg", "sample.json")
_SHEBANG = b"#!/usr/bin/env -S python3 -I\n"
_MAIN = "from ai_services.doctor.main import main\n\nmain()\n"
_OPERATOR_ONLY = {"bundle.py", "manual.py"}


def build(path: Path) -> Path:
    """Write the doctor to `path` (mode 0755) if it is not there already, byte for byte, and return `path`."""
    return put(path, _bytes())


def put(path: Path, content: bytes) -> Path:
    """Write `content` to `path` (mode 0755) if it is not there already, and return `path`."""
    if not path.is_file() or path.read_bytes() != content:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(content)
        temporary.chmod(0o755)
        temporary.replace(path)
    return path


def _bytes() -> bytes:
    entries = {"__main__.py": _MAIN.encode(), "ai_services/__init__.py": (_PACKAGE.parent / "__init__.py").read_bytes()}
    for source in _PACKAGE.rglob("*.py"):
        name = source.relative_to(_PACKAGE).as_posix()
        if name not in _OPERATOR_ONLY:
            entries[f"ai_services/doctor/{name}"] = source.read_bytes()
    for name in _SAMPLE:
        entries[f"ai_services/local/{name}"] = (_PACKAGE.parent / "local" / name).read_bytes()
    return pack(entries)


def pack(entries: dict[str, bytes]) -> bytes:
    """Return files (by name) as one that Python runs: always the same bytes for the same files."""
    packed = BytesIO()
    packed.write(_SHEBANG)
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(entries):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, entries[name], compresslevel=9)
    return packed.getvalue()
