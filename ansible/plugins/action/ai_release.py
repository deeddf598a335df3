"""Tells the module ai_release who is at work and shows the host that they live; takes over the lock of a dead run."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import select
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.utils.path import unfrackpath

from ansible import constants
from ansible.plugins.action import ActionBase

_CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_CHECKOUT / "src"))

_PRESENCE = _CHECKOUT / "src" / "ai_services" / "host" / "presence.py"
_ANSWER_TIMEOUT_S = 20.0


class ActionModule(ActionBase):
    """`ai_release:`; adds `run`, to C(locked) also `life`, and `broken` where the holder is known to be dead."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; once more where the lock turned out to be a dead run's."""
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "run": _who()}
        locks = arguments.get("state") == "locked"
        if locks and not self._task.check_mode:
            arguments["life"] = self._life()
        result: dict[str, Any] = self._execute_module("ai_release", arguments, task_vars=task_vars)
        if arguments.get("state") == "staged" and not result.get("failed"):
            result["tool"] = _tool()
        if "waits" in result:
            result["ai_event"] = {"event": "released", **{key: result[key] for key in ("release", "done", "waits")}}
        holder = result.get("holder") or {}
        if locks and _is_dead(holder):
            arguments["broken"] = holder["token"]
            result = self._execute_module("ai_release", arguments, task_vars=task_vars)
        return result

    def _life(self) -> int:
        """The number of a process on the host that ends with this run; 0 where there is no way to have one."""
        if self._connection.transport == "local":
            return os.getppid()
        place = hashlib.sha256(str(self._play_context.remote_addr).encode()).hexdigest()[:12]
        note = Path(constants.DEFAULT_LOCAL_TMP) / f"presence-{place}"
        if found := _present(note):
            return found
        # Whatever is asked opens the connection, and only then Ansible knows where its control socket is.
        self._low_level_execute_command("true", sudoable=False)
        path = _control_path(self._connection)
        if not path:
            return 0
        process = subprocess.Popen(
            [sys.executable, str(_PRESENCE), str(os.getppid()), path],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        if process.stdout is None or not select.select([process.stdout], [], [], _ANSWER_TIMEOUT_S)[0]:
            return 0
        said = process.stdout.readline().decode().strip()
        if not said.isdigit():
            return 0
        note.write_text(json.dumps({"here": process.pid, "there": int(said)}))
        return int(said)


def _tool() -> str:
    """The file that changes releases on the host, packed; Ansible removes the folder when it ends."""
    from ai_services.host.stack_tool import build

    return str(build(Path(constants.DEFAULT_LOCAL_TMP) / "ai-stack.pyz"))


def _control_path(connection: Any) -> str:
    """Where the SSH connection that is open takes further sessions; empty where it does not, or cannot be known."""
    path = str(getattr(connection, "control_path", None) or "")
    if "%(directory)s" in path:
        path = path % {"directory": unfrackpath(connection.control_path_dir)}
    return "" if "%" in path else path


def _present(note: Path) -> int:
    """Who shows the host that this run lives, if an earlier task saw to it and the connection has lasted."""
    try:
        known = json.loads(note.read_text())
        os.kill(known["here"], 0)
    except (OSError, ValueError, KeyError):
        return 0
    return int(known["there"])


def _who() -> dict[str, Any]:
    """Name the run of Ansible that is at work: its tasks run in forks of the one process that it is."""
    pid = os.getppid()
    host = socket.gethostname()
    # Several runs under one lock (`./ai migrate`): whoever holds it over all of them tells its name.
    over_all = os.environ.get("AI_RUN_TOKEN")
    token = over_all or hashlib.sha256(f"{host}:{pid}:{_started(pid)}:{_boot()}".encode()).hexdigest()[:24]
    me = f"{pid}:{_started(pid)}:{_boot()}"
    return {"token": token, "user": _user(), "host": host, "pid": me, "migrates": bool(over_all)}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this very machine that is no more. Of other machines nothing is known.

    Two machines may have one name, so only what began since this one's start is known for its own.
    """
    owner = holder.get("owner") or {}
    pid, _, rest = str(owner.get("pid", "")).partition(":")
    started, _, boot = rest.partition(":")
    if owner.get("host") != socket.gethostname() or not pid.isdigit() or not boot or boot != _boot():
        return False
    return started != _started(int(pid))


def _started(pid: int) -> str:
    """When a process started, in ticks since the boot: tells it from a later one with the same number."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
