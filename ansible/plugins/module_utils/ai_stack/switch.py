"""Which of two gateways nginx asks: /opt/ai/switch/8081 is there, or not. nginx looks at every request.

A reload would switch too, but it closes the idle connections of clients; and a name in a directory is changed in one
step. nginx asks the other gateway by itself where the chosen one refuses the connection.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from .durable import sync_directory

PORTS = (8080, 8081)
# The role nginx makes it before it changes nginx's files, and removes it when nginx has been reloaded.
OWED = Path("/run/ai-services/nginx-reload")
_NGINX_S = 60


class NginxError(Exception):
    """nginx does not work by its own files; the message says what to do."""


def settle() -> bool:
    """Let nginx read its files, if the run that changed them was killed before. Returns whether that was needed.

    An nginx that works by files of before may not know of the switch at all, and would ask for a gateway that is gone.

    Raises:
        NginxError: it does not accept them.
    """
    if not OWED.exists():
        return False
    for words in (["nginx", "-t", "-q"], ["systemctl", "reload-or-restart", "nginx"]):
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=_NGINX_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NginxError(f"{' '.join(words)}: {error}") from error
        if done.returncode != 0:
            raise NginxError(
                f"A deploy was killed while it changed nginx's files, and nginx does not accept them: "
                f"{done.stderr.strip()[-500:]}. Run ./ai deploy HOST again: it writes them anew."
            )
    OWED.unlink(missing_ok=True)
    return True


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
