"""Packs the host's part into one file that any Python from 3.9 on runs: `python3 -I ai-backup collect`.

The bytes depend on the sources alone (fixed order, times and modes), so that a second deploy has nothing to copy.
"""

from __future__ import annotations

import os
import zipfile
from io import BytesIO
from pathlib import Path

_HERE = Path(__file__).parent
_SHEBANG = b"#!/usr/bin/env -S python3 -I\n"
_MAIN = "from ai_services.backup.host.main import main\n\nmain()\n"


def content() -> bytes:
    """Return the program."""
    entries = {
        "__main__.py": _MAIN.encode(),
        "ai_services/__init__.py": (_HERE.parent / "__init__.py").read_bytes(),
        "ai_services/backup/__init__.py": (_HERE / "__init__.py").read_bytes(),
    }
    entries |= {f"ai_services/backup/host/{path.name}": path.read_bytes() for path in (_HERE / "host").glob("*.py")}
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


def build(path: Path) -> Path:
    """Write the program to `path` (mode 0755) if it is not there already, byte for byte, and return `path`."""
    wanted = content()
    if not path.is_file() or path.read_bytes() != wanted:
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.write_bytes(wanted)
        temporary.chmod(0o755)
        temporary.replace(path)
    return path
