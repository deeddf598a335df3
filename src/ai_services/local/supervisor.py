"""supervisord as the stack's keeper: its configuration, its start, and talking to it over its unix socket."""

from __future__ import annotations

import hashlib
import http.client
import os
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.exits import FAILED, OperatorError
from ai_services.local import processes
from ai_services.local.components import Component, running
from ai_services.local.home import Home, write_atomically
from ai_services.local.state import Stack

# sockaddr_un holds 108 bytes on Linux and 104 on macOS; supervisord binds "NAME.PID" first and renames.
_SOCKET_PATH_MAX = 104 - len(".4194304") - 1

_DAEMON = """\
[supervisord]
nodaemon = false
logfile = %(here)s/../logs/supervisord.log
logfile_maxbytes = 2MB
logfile_backups = 2
pidfile = %(here)s/supervisord.pid
umask = 077
strip_ansi = true
{user}
[unix_http_server]
file = %(ENV_AI_STACK_SOCKET)s
chmod = 0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# startsecs: a component that ends sooner counts as a failed start; after startretries of those, with growing
# pauses, supervisord gives up and reports FATAL. Later deaths are answered by a restart at once.
_PROGRAM = """
[program:{name}]
command = %(ENV_AI_STACK_PYTHON)s -m ai_services.local.launch {name}
autostart = false
autorestart = true
startsecs = 5
startretries = 3
stopsignal = TERM
stopwaitsecs = {stop_s}
killasgroup = true
redirect_stderr = true
stdout_logfile = %(here)s/../logs/{name}.log
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""


def socket_path(home: Home) -> str:
    """Return where supervisord listens: in AI_HOME, or in a short private directory where that path is too long."""
    inside = str(home.run / "supervisor.sock")
    if len(os.fsencode(inside)) <= _SOCKET_PATH_MAX:
        return inside
    mark = hashlib.sha256(os.fsencode(home.root)).hexdigest()[:12]
    return str(Path("/tmp") / f"ai-{os.getuid()}-{mark}" / "s")  # noqa: S108  # ownership is checked in `start`


def _private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or not path.is_dir() or path.is_symlink():
        raise OperatorError(
            f"{path} is not a private directory of this user, so the supervisor's socket cannot be put there.",
            hint="Choose an AI_HOME with a shorter path.",
        )


def start(stack: Stack, home: Home) -> None:
    """Start supervisord for `stack`, with no component running yet, and note its pid in the state.

    Raises:
        OperatorError: it did not come up; its own words are in the detail.
    """
    if Path(stack.socket).parent != home.run:
        _private_directory(Path(stack.socket).parent)
    configuration = home.run / "supervisord.conf"
    user = "user = root\n" if os.geteuid() == 0 else ""
    text = _DAEMON.format(user=user)
    text += "".join(_PROGRAM.format(name=row.name, stop_s=row.stop_s) for row in running(stack))
    write_atomically(configuration, text)
    environment = {
        **os.environ,
        processes.HOME_MARK: str(home.root),
        "AI_STACK_SOCKET": stack.socket,
        "AI_STACK_PYTHON": _quoted(sys.executable),
        "TMPDIR": str(home.tmp),
        # Components read imports from the environment of `ai` only, never from where the user happens to stand.
        "PYTHONSAFEPATH": "1",
    }
    command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration)]
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            env=environment,
            cwd=home.run,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            check=False,
        )
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if done.returncode:
        raise OperatorError("The supervisor did not start.", detail=said, hint=f"Look at {home.logs}/supervisord.log")
    with Supervisor(stack.socket) as supervisor:
        stack.supervisor_pid = supervisor.pid()
    stack.supervisor_created = processes.started(stack.supervisor_pid)
    stack.save(home)


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)


@dataclass(frozen=True)
class ProcessInfo:
    """What supervisord knows of one component. `state` is its word; `started` in seconds since 1970, 0 if never."""

    name: str
    state: str
    pid: int
    started: int
    said: str


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__()
        self._path = path
        self._timeout_s = timeout_s

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        # supervisor's own transport does the same, but has no timeout and costs 0.15 s to import.
        kept = self._connection[1]
        if kept is None:
            kept = _UnixConnection(self._path, self._timeout_s)
            self._connection = host, kept
        return kept


class Supervisor:
    """A running supervisord, over XML-RPC.

    Raises (every method): OSError when nobody listens any more, xmlrpc.client.Fault for a refused request.
    """

    def __init__(self, path: str, timeout_s: float = 10) -> None:
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=_UnixTransport(path, timeout_s))

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._proxy("close")()

    def _call(self, method: str, *arguments: Any) -> Any:
        return getattr(self._proxy.supervisor, method)(*arguments)

    def pid(self) -> int:
        """Return the daemon's process id."""
        return int(self._call("getPID"))

    def list(self) -> dict[str, ProcessInfo]:
        """Return all components by name."""
        found = {}
        for raw in self._call("getAllProcessInfo"):
            found[raw["name"]] = ProcessInfo(
                raw["name"], raw["statename"], raw["pid"], raw["start"] if raw["pid"] else 0, raw["spawnerr"]
            )
        return found

    def begin(self, component: str) -> None:
        """Start one component, without waiting for anything."""
        self._call("startProcess", component, False)

    def stop(self, component: Component) -> None:
        """Stop one component and wait for its end (at most `stop_s`, then it is killed)."""
        if self.list()[component.name].state in ("STOPPED", "EXITED", "FATAL"):
            return
        self._call("stopProcess", component.name, False)
        deadline = time.monotonic() + component.stop_s + 10
        while time.monotonic() < deadline:
            if self.list()[component.name].state in ("STOPPED", "EXITED", "FATAL"):
                return
            time.sleep(0.05)
        raise OperatorError(f"{component.name} did not stop.", exit_code=FAILED)

    def shutdown(self) -> None:
        """Stop all components and then the daemon; returns before that is done."""
        self._call("shutdown")


def is_answering(stack: Stack) -> bool:
    """Tell whether this stack's supervisor is alive and answers."""
    try:
        with Supervisor(stack.socket, timeout_s=3) as supervisor:
            return supervisor.pid() == stack.supervisor_pid or stack.supervisor_pid is None
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return False
