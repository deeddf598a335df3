"""What `--fix` may do: only what cannot lose data or end a running request. Docker is never restarted."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read_or, run, unix_http
from ai_services.doctor.observe_door import SWITCH
from ai_services.doctor.observe_release import lock as look_at_lock
from ai_services.doctor.observe_services import DOCKER_SOCKET
from ai_services.doctor.verdict import Fix

RELOAD_TIMEOUT_S = 10.0


def apply(fix: Fix) -> dict[str, Any]:
    """Do one fix. Returns `fix`, whether it is `done`, and what is `said` about it."""
    name = f"{fix.hand} {fix.thing}"
    try:
        said = _HANDS[fix.hand](fix.thing)
    except Unseen as error:
        return {"fix": name, "done": False, "said": str(error)}
    except OSError as error:
        return {"fix": name, "done": False, "said": f"{fix.thing}: {error.strerror or error}"}
    return {"fix": name, "done": True, "said": said}


def _start_container(name: str) -> str:
    status, body = unix_http(DOCKER_SOCKET, "POST", f"/containers/{name}/start", b"", timeout_s=60)
    if status not in (204, 304):
        raise Unseen(f"docker did not start {name} ({status}): {body[:200].decode('utf-8', 'replace')}")
    return f"started the container {name}"


def _systemctl(verb: str, unit: str, done: str) -> str:
    argv = ["systemctl", *verb.split(), unit]
    ran = run(argv, 60)
    if ran.code != 0:
        raise Unseen(f"`{' '.join(argv)}` failed: {ran.said}")
    return f"{done} {unit}"


def _reload(unit: str) -> str:
    # systemd asks nginx for a reload and reports success even when the new configuration is refused.
    if unit == "nginx.service" and (tested := run(["nginx", "-t", "-q"], 10)).code != 0:
        raise Unseen(f"nginx is not reloaded, its configuration is broken: {tested.said}")
    before = _workers() if unit == "nginx.service" else set()
    said = _systemctl("reload", unit, "reloaded")
    # nginx answers before its new workers do: whoever looks at once would see the old certificate.
    until = time.monotonic() + RELOAD_TIMEOUT_S
    while before & _workers() and time.monotonic() < until:
        time.sleep(0.05)
    return said


def _workers() -> set[str]:
    """The pids of nginx's workers that take connections."""
    master = read_or(Path("/run/nginx.pid"))
    children = read_or(Path(f"/proc/{master}/task/{master}/children")).split()
    return {pid for pid in children if "shutting down" not in read_or(Path(f"/proc/{pid}/cmdline"))}


def _start(unit: str) -> str:
    run(["systemctl", "reset-failed", unit], 10)
    return _systemctl("start", unit, "started")


def _mode(path: str, change: Callable[[int], int]) -> str:
    # Opened without following links: the name may have been exchanged since it was looked at.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = stat.S_IMODE(os.fstat(descriptor).st_mode)
        after = change(before)
        os.fchmod(descriptor, after)
    finally:
        os.close(descriptor)
    return f"{path}: mode {before:04o} is now {after:04o}"


def _remove_stale_lock(path: str) -> str:
    if look_at_lock(Path(path).parent)["held"]:
        raise Unseen(f"{path} stays: a deploy holds the lock now")
    Path(path).unlink(missing_ok=True)
    return f"removed {path}, which nobody held"


def _point_switch(port: str) -> str:
    place = Path("/") / SWITCH
    if port == place.name:
        place.parent.mkdir(mode=0o755, exist_ok=True)
        place.touch(mode=0o644)
    else:
        place.unlink(missing_ok=True)
    return f"nginx asks {port} first"


_HANDS: dict[str, Callable[[str], str]] = {
    "start-container": _start_container,
    "start-unit": _start,
    "restart-unit": lambda unit: _systemctl("restart", unit, "restarted"),
    "reload-unit": _reload,
    "enable-unit": lambda unit: _systemctl("enable --now", unit, "enabled and started"),
    "close": lambda path: _mode(path, lambda mode: mode & ~0o077),
    "chmod-0755": lambda path: _mode(path, lambda _: 0o755),
    "remove-stale-lock": _remove_stale_lock,
    "point-switch": _point_switch,
}
HANDS = frozenset(_HANDS)
