"""Which of two gateways nginx asks: /opt/ai/switch/8081 is there, or not. nginx looks at every request.

A reload would switch too, but it closes the idle connections of clients; and a name in a directory is changed in one
step. nginx asks the other gateway by itself where the chosen one refuses the connection.
"""

from __future__ import annotations

from pathlib import Path

from .durable import sync_directory

PORTS = (8080, 8081)


def chosen(root: Path) -> int:
    """The port that nginx tries first."""
    return PORTS[1] if _file(root).is_file() else PORTS[0]


def choose(root: Path, port: int) -> bool:
    """Let nginx try `port` first, from the next request on. Returns whether that was new."""
    if chosen(root) == port:
        return False
    place = _file(root)
    # nginx's own user must be able to look.
    place.parent.mkdir(mode=0o755, exist_ok=True)
    place.parent.chmod(0o755)
    if port == PORTS[1]:
        place.touch(mode=0o644)
    else:
        place.unlink()
    sync_directory(place.parent)
    return True


def _file(root: Path) -> Path:
    return root / "switch" / str(PORTS[1])
