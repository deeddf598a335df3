"""Tells the module ai_release who is at work, and takes over the lock of a run of this machine that has died."""

from __future__ import annotations

import getpass
import hashlib
import os
import socket
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """`ai_release:`; adds `run`, and `broken` where the lock's holder was a process of this machine that is gone."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module; once more where the lock turned out to be a dead run's."""
        super().run(tmp, task_vars)
        arguments = {**self._task.args, "run": _who()}
        result: dict[str, Any] = self._execute_module("ai_release", arguments, task_vars=task_vars)
        holder = result.get("holder") or {}
        if arguments.get("state") == "locked" and _is_dead(holder):
            arguments["broken"] = holder["token"]
            result = self._execute_module("ai_release", arguments, task_vars=task_vars)
        return result


def _who() -> dict[str, Any]:
    """Name the run of Ansible that is at work: its tasks run in forks of the one process that it is."""
    pid = os.getppid()
    host = socket.gethostname()
    token = hashlib.sha256(f"{host}:{pid}:{_started(pid)}:{_boot()}".encode()).hexdigest()[:24]
    return {"token": token, "user": _user(), "host": host, "pid": f"{pid}:{_started(pid)}:{_boot()}"}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder was a process of this very machine that is no more. Of other machines nothing is known."""
    owner = holder.get("owner") or {}
    pid, _, rest = str(owner.get("pid", "")).partition(":")
    if owner.get("host") != socket.gethostname() or not pid.isdigit() or not _boot():
        return False
    return rest != f"{_started(int(pid))}:{_boot()}"


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
