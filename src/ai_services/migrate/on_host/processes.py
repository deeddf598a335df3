"""Who listens: the process behind each listening TCP socket, and the unit or container that it belongs to."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read, read_or, run
from ai_services.doctor.observe_ports import ports
from ai_services.migrate.on_host import hiding

_MOST = 400
# Packages by which a service that runs from a virtual environment can be told.
_PACKAGES = re.compile(
    r"(?i)^(whisper[_-]api|whisper[_-]asr[_-]webservice|speaches|faster[_-]whisper(?:[_-]server)?|openai[_-]whisper|"
    r"uvicorn|gunicorn|fastapi|flask|whisperx)-(\d[\w.+!]*)\.(?:dist-info|egg-info)$"
)
_PROPERTIES = (
    "Id,FragmentPath,DropInPaths,EnvironmentFiles,WorkingDirectory,User,ExecStart,UnitFileState,ActiveState,MainPID,"
    "Environment,Description,SourcePath"
)


def listeners() -> list[dict[str, Any]]:
    """Return each listening TCP socket with its process: command line, folder, user, memory, unit, container."""
    return [
        {**place, **(process(place["pid"]) if place.get("pid") else {})}
        for place in ports()[:_MOST]
        if place["proto"] == "tcp"
    ]


def process(pid: int) -> dict[str, Any]:
    """Return what /proc tells of a process; what cannot be read is empty."""
    top = Path(f"/proc/{pid}")
    status = read_or(top / "status")
    groups = read_or(top / "cgroup")
    unit = re.findall(r"/((?:[\w@:.\\-]+)\.service)(?=/|$)", groups, re.MULTILINE)
    container = re.search(r"\b([0-9a-f]{64})\b", groups)
    uid = re.search(r"^Uid:\s+(\d+)", status, re.MULTILINE)
    memory = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    parent = re.search(r"^PPid:\s+(\d+)", status, re.MULTILINE)
    executable = _link(top / "exe")
    environment = hiding.environment(read_or(top / "environ").split("\0"))
    command = [word for word in read_or(top / "cmdline").split("\0") if word]
    return {
        "command": hiding.words(command),
        "parent": int(parent.group(1)) if parent else 0,
        "executable": executable,
        "folder": _link(top / "cwd"),
        "user": _user(int(uid.group(1))) if uid else "",
        "memory_mib": int(memory.group(1)) // 1024 if memory else None,
        "unit": unit[-1] if unit else "",
        "container": container.group(1) if container else "",
        "environment": environment["values"],
        "environment_names": environment["names"],
        "venv": _venv(command, executable),
    }


def units(names: list[str]) -> list[dict[str, Any]]:
    """Return what systemd knows of these services; values of their environments stay here.

    Raises:
        Unseen: systemd gives no answer.
    """
    if not names:
        return []
    said = run(["systemctl", "show", "--no-pager", "-p", _PROPERTIES, "--", *names[:_MOST]], 15).out
    found = []
    for block in said.strip().split("\n\n"):
        fields = dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE))
        if not fields.get("FragmentPath"):
            continue
        command = re.search(r"argv\[\]=(.*?) ; ignore_errors", fields.get("ExecStart", ""))
        environment = hiding.environment(re.findall(r"(?:^|\s|\")(\w+=[^\s\"]*)", fields.get("Environment", "")))
        found.append(
            {
                "name": fields.get("Id", ""),
                "file": fields["FragmentPath"],
                "drop_ins": fields.get("DropInPaths", "").split(),
                "environment_files": re.findall(r"(/\S+) \(ignore", fields.get("EnvironmentFiles", "")),
                "active": fields.get("ActiveState", ""),
                "enabled": fields.get("UnitFileState", ""),
                "user": fields.get("User", ""),
                "folder": fields.get("WorkingDirectory", "").lstrip("!-"),
                "command": hiding.words((command.group(1) if command else "").split()),
                "pid": int(fields.get("MainPID") or 0),
                "description": hiding.text(fields.get("Description", ""))[:200],
                "environment": environment["values"],
                "environment_names": environment["names"],
                "text": _text(fields["FragmentPath"]),
            }
        )
    return found


def own_units() -> list[str]:
    """Return the services that a person wrote on this machine (files in /etc/systemd/system), running or not."""
    try:
        entries = sorted(os.scandir("/etc/systemd/system"), key=lambda entry: entry.name)
    except OSError:
        return []
    return [entry.name for entry in entries if entry.name.endswith(".service") and not entry.is_symlink()][:_MOST]


def _text(path: str) -> str:
    try:
        return hiding.text(read(Path(path), 1 << 16))
    except Unseen:
        return ""


def _link(path: Path) -> str:
    try:
        return os.readlink(path)  # noqa: PTH115  # a text, not a path that must be there
    except OSError:
        return ""


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _venv(command: list[str], executable: str) -> dict[str, Any]:
    """Return `path` and the telling `packages` of the virtual environment that a command runs from."""
    for word in [*command[:2], executable]:
        top = Path(word).parent.parent
        if word.startswith("/") and (top / "pyvenv.cfg").is_file():
            packages = {}
            for site in sorted(top.glob("lib/python*/site-packages")):
                for name in os.listdir(site):  # noqa: PTH208  # names are enough
                    if matched := _PACKAGES.match(name):
                        packages[matched.group(1).lower().replace("-", "_")] = matched.group(2)
            return {"path": str(top), "packages": packages}
    return {}
