"""Is a component ready? Asked over HTTP at its probe, judged together with what the supervisor knows."""

from __future__ import annotations

import http.client
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from ai_services.exits import OperatorError
from ai_services.local.components import Component, probe_path
from ai_services.local.home import Home
from ai_services.local.state import Stack
from ai_services.local.supervisor import ProcessInfo

State = Literal["ready", "starting", "restarting", "not ready", "stopped", "failed", "lost", "absent"]


def answers(port: int, path: str, timeout_s: float = 2.0, host: str = "127.0.0.1") -> bool:
    """Tell whether GET `path` on the port gives 200 in time."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def judge(component: Component, stack: Stack, info: ProcessInfo | None, *, ask: bool = True) -> State:
    """Return one word for a component's state, from its process first and its probe second.

    With `ask` false the probe is left out: whose process runs counts as ready.
    """
    if info is None:
        return "lost"
    if info.state == "FATAL":
        return "failed"
    if info.state == "BACKOFF" or info.state == "EXITED":
        return "restarting"
    if info.state in ("STOPPED", "STOPPING", "UNKNOWN"):
        return "stopped"
    host = stack.host if component.name == "gateway" and stack.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104  # compared, not bound
    if not ask or answers(component.port(stack), probe_path(component, stack), host=host):
        return "ready"
    young = time.time() - info.started < component.ready_timeout_s
    return "starting" if young else "not ready"


@dataclass(frozen=True)
class Starts:
    """How often a component was started: in all since `up`, and in the last ten minutes."""

    total: int
    recent: int

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(self.total - 1, 0)


def starts(home: Home) -> dict[str, Starts]:
    """Read the starts that `launch` noted."""
    try:
        lines = home.starts_file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    since = (datetime.now(UTC) - timedelta(minutes=10)).timestamp()
    counted: dict[str, Starts] = {}
    for line in lines:
        stamp, name, _ = line.split(" ", 2)
        before = counted.get(name, Starts(0, 0))
        counted[name] = Starts(before.total + 1, before.recent + (float(stamp) >= since))
    return counted


def last_lines(home: Home, component: str, count: int = 12) -> list[str]:
    """Return the last lines of a component's log, none if it has not written any."""
    try:
        with (home.logs / f"{component}.log").open(encoding="utf-8", errors="replace") as stream:
            return [line.rstrip("\n") for line in deque(stream, count)]
    except OSError:
        return []


def gave_up(component: Component, home: Home, info: ProcessInfo | None) -> OperatorError:
    """Return the error for a component that ends each time it is started."""
    count = starts(home).get(component.name, Starts(0, 0)).recent
    why = f" ({info.said})" if info and info.said else ""
    return OperatorError(
        f"{component.name} ended {count} times right after its start{why}; the supervisor gave up.",
        detail="\n".join(last_lines(home, component.name)),
        hint=f"The lines above are its last words; all of them: ./ai logs {component.name}",
    )


def pauses() -> Iterator[None]:
    """Yield, with short waits between, as long as the caller wants to look again."""
    while True:
        yield
        time.sleep(0.1)
