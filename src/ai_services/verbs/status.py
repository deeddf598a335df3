"""`ai status`: what runs, since when, and what it costs."""

from __future__ import annotations

import http.client
import xmlrpc.client
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from ai_services import __version__
from ai_services.exits import NOT_READY, NOT_RUNNING, OK
from ai_services.local import components, llm, processes, readiness
from ai_services.local.components import Component
from ai_services.local.home import Home
from ai_services.local.state import Stack
from ai_services.local.supervisor import ProcessInfo, Supervisor
from ai_services.verbs.output import print_json


def run(*, as_json: bool = False) -> int:
    """Show the state of the stack. Returns 0 when all is ready, 3 when nothing runs, 4 in between."""
    home = Home.current()
    found = report(home)
    if as_json:
        print_json(found)
    else:
        _show(found)
    if found["state"] == "stopped":
        return NOT_RUNNING
    return OK if found["state"] == "ready" else NOT_READY


def report(home: Home) -> dict[str, Any]:
    """Return the state of the stack in `home`, as `ai status --json` prints it.

    `state` is ready, degraded or stopped; times are UTC in ISO 8601; `memory_mib` is a whole process tree.
    """
    stack = Stack.load(home)
    if stack is None:
        return _empty(home)
    infos, keeper = _processes(stack)
    if not keeper and not processes.of_stack(stack.home):
        # Left over from a machine that was switched off; the next `up` or `down` clears it away.
        return _empty(home)
    counts = readiness.starts(home)
    rows = [row for row in components.COMPONENTS if row.runs(stack) or row.name == "llm"]
    with ThreadPoolExecutor(len(rows)) as pool:
        found = list(pool.map(lambda row: _component(row, stack, infos.get(row.name)), rows))
    for row in found:
        count = counts.get(row["name"], readiness.Starts(0, 0))
        row["restarts"] = count.restarts
        row["restarting_often"] = count.recent > 3
    return {
        "version": stack.version,
        "state": "ready" if keeper and all(row["state"] == "ready" for row in found) else "degraded",
        "url": stack.url,
        "api_key_file": str(home.api_key_file),
        "home": str(home.root),
        "since": stack.started_at,
        "supervisor": {
            "state": "ready" if keeper else "lost",
            "pid": stack.supervisor_pid if keeper else None,
            "memory_mib": processes.memory_mib(stack.supervisor_pid) if keeper and stack.supervisor_pid else 0,
        },
        "llm_backend": {"kind": stack.llm.backend, "reason": stack.llm.reason, "url": stack.llm.url or None},
        "components": found,
    }


def _empty(home: Home) -> dict[str, Any]:
    return {
        "version": __version__,
        "state": "stopped",
        "url": None,
        "api_key_file": str(home.api_key_file) if home.api_key_file.exists() else None,
        "home": str(home.root),
        "since": None,
        "supervisor": None,
        "llm_backend": None,
        "components": [],
    }


def _processes(stack: Stack) -> tuple[dict[str, ProcessInfo], bool]:
    try:
        with Supervisor(stack.socket, timeout_s=5) as keeper:
            return keeper.list(), True
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}, False


def _component(row: Component, stack: Stack, info: ProcessInfo | None) -> dict[str, Any]:
    if not row.runs(stack):
        alive = llm.ollama_version(stack.llm.url) is not None
        state, pid, since, memory = ("ready" if alive else "absent"), None, None, None
    else:
        state = readiness.judge(row, stack, info)
        pid = info.pid or None if info else None
        since = datetime.fromtimestamp(info.started, UTC).isoformat() if info and info.started else None
        memory = processes.tree_memory_mib(pid) if pid else 0
    return {
        "name": row.name,
        "state": state,
        "pid": pid,
        "port": row.port(stack) if row.runs(stack) else None,
        "memory_mib": memory,
        "model": row.model(stack),
        "since": since,
    }


def _show(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ai_services.console import STATE_STYLES, Screen

    screen = Screen()
    if found["state"] == "stopped":
        screen.say(f"Nothing is running in {found['home']}. Start it: ./ai up")
        return
    backend = found["llm_backend"]
    screen.say(f"URL      {found['url']}")
    screen.say(f"API key  in {found['api_key_file']}")
    screen.say(f"LLM      {backend['kind']} ({backend['reason']})")
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("component", "state", "pid", "port", "memory", "model", "since"):
        table.add_column(heading, justify="right" if heading in ("pid", "port", "memory") else "left")
    for row in found["components"]:
        style = STATE_STYLES.get(row["state"], "red")
        memory = f"{row['memory_mib']} MiB" if row["memory_mib"] is not None else "-"
        cells = (row["pid"] or "-", row["port"] or "-", memory, row["model"] or "-", row["since"] or "-")
        table.add_row(row["name"], Text(row["state"], style=style), *map(str, cells))
    screen.console.print(table)
    for row in found["components"]:
        if row["restarting_often"]:
            screen.warn(f"{row['name']} was started again and again in the last ten minutes: ./ai logs {row['name']}")
        elif row["state"] == "failed":
            screen.warn(f"{row['name']} gave up: ./ai logs {row['name']}, then ./ai restart {row['name']}")
    if found["supervisor"]["state"] == "lost":
        screen.warn("The supervisor is gone; nothing comes back by itself. Mend it: ./ai down && ./ai up")
