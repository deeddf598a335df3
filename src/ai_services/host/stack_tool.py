"""Packs what changes a host's releases into one file that the host's Python runs: /opt/ai/bin/ai-stack.

Its sources are those that Ansible's modules import, so that whoever changes a release, does it by the same code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ai_services.doctor.bundle import pack, put

_SOURCES: Final = Path(__file__).resolve().parents[3] / "ansible" / "plugins" / "module_utils" / "ai_stack"
_SAMPLE: Final = Path(__file__).resolve().parents[1] / "local" / "sample.ogg"
_MAIN: Final = "from ai_stack.tool import main\n\nmain()\n"
# Where it lies on a host.
PLACE: Final = "/opt/ai/bin/ai-stack"


def build(path: Path) -> Path:
    """Write the tool to `path` (mode 0755) if it is not there already, byte for byte, and return `path`."""
    return put(path, content())


def content() -> bytes:
    """Return its bytes; they depend on the sources alone."""
    entries = {"__main__.py": _MAIN.encode(), "ai_stack/sample.ogg": _SAMPLE.read_bytes()}
    for source in sorted(_SOURCES.glob("*.py")):
        entries[f"ai_stack/{source.name}"] = source.read_bytes()
    return pack(entries)
