"""Free ports, and who sits on a taken one."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Collection
from dataclasses import dataclass

from ai_services.exits import BLOCKED, OperatorError

# Below the range that Linux (32768) and macOS (49152) hand to outgoing connections, so that none of
# those can take the port between the choice and the start.
_FIRST, _LAST = 20_000, 32_000


def can_bind(host: str, port: int) -> OSError | None:
    """Return None if a server could listen on `host`:`port` now, else why not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError as error:
            return error
    return None


def free_port(avoid: Collection[int] = ()) -> int:
    """Return a port on 127.0.0.1 that nobody listens on."""
    for port in random.sample(range(_FIRST, _LAST), 200):
        if port not in avoid and can_bind("127.0.0.1", port) is None:
            return port
    raise OperatorError("No free port was found on 127.0.0.1 in 200 tries.", exit_code=BLOCKED)


def next_free(host: str, port: int) -> int:
    """Return the first free port above `port`."""
    for candidate in range(port + 1, min(port + 200, 65_536)):
        if can_bind(host, candidate) is None:
            return candidate
    return free_port()


@dataclass(frozen=True)
class Holder:
    """The process that listens on a port; `home` is its AI_HOME if it belongs to a local stack."""

    pid: int
    command: str
    home: str | None = None


def holder(port: int) -> Holder | None:
    """Return who listens on `port`, or None where the system does not tell (another user's process)."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS tells only root
        return None
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr or connection.laddr.port != port:
            continue
        if connection.pid is None:
            continue
        try:
            process = psutil.Process(connection.pid)
            command = " ".join(process.cmdline()) or process.name()
            home = process.environ().get("AI_STACK_HOME")
        except psutil.Error:
            return Holder(connection.pid, "a process that does not show its command")
        return Holder(connection.pid, command if len(command) <= 120 else command[:117] + "...", home)
    return None


def require_free(host: str, port: int) -> None:
    """Make sure the front door can open.

    Raises:
        OperatorError: the port is taken (by whom, and a free one to move to) or may not be used.
    """
    problem = can_bind(host, port)
    if problem is None:
        return
    if problem.errno == errno.EADDRINUSE:
        who = holder(port)
        if who is None:
            by = "a process of another user"
        elif who.home:
            by = f"the stack in AI_HOME={who.home} (pid {who.pid})"
        else:
            by = f"pid {who.pid}: {who.command}"
        raise OperatorError(
            f"Port {port} on {host} is taken by {by}.",
            hint=f"Move this stack: ./ai up --port {next_free(host, port)}",
            exit_code=BLOCKED,
        )
    if problem.errno == errno.EACCES:
        raise OperatorError(
            f"Port {port} needs rights that this user has not (ports under 1024).",
            hint=f"Use a higher one: ./ai up --port {next_free(host, 8079)}",
            exit_code=BLOCKED,
        )
    raise OperatorError(
        f"Nothing can listen on {host}:{port} on this machine: {problem.strerror or problem}.",
        hint="Leave --host out (127.0.0.1), or name an address of this machine.",
        exit_code=BLOCKED,
    )
