"""Work that takes its time: every change of a machine or a storage is a task with a UPID, as in the real one."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from terraform.proxmox.access import Account
from terraform.proxmox.refusals import Refused, wrong_parameter

Log = list[str]
Work = Callable[[Log], None]


@dataclass
class Task:
    """One piece of work. `done` is set when it ended; `outcome` is then OK or what went wrong."""

    upid: str
    kind: str
    subject: str
    user: str
    pid: int
    started_s: int
    log: Log = field(default_factory=list)
    outcome: str = "OK"
    done: threading.Event = field(default_factory=threading.Event)


@dataclass
class Tasks:
    """The tasks of one node. `takes_s`: how long each lasts at least; `gates` hold a kind until their event is set."""

    node: str
    takes_s: float = 0.05
    all: dict[str, Task] = field(default_factory=dict)
    gates: dict[str, threading.Event] = field(default_factory=dict)
    # upid -> how many times the task is not to be found yet: the real one writes its list after it answers
    unknown_at_first: int = 0
    _asked: dict[str, int] = field(default_factory=dict)
    _pids: itertools.count[int] = field(default_factory=lambda: itertools.count(0x1000))

    def start(self, kind: str, subject: str, account: Account, work: Work) -> str:
        """Begin a task and return its UPID at once; `work` runs when the task's time is over and its gate is open."""
        pid, now = next(self._pids), int(time.time())
        upid = f"UPID:{self.node}:{pid:08X}:{pid * 16:08X}:{now:08X}:{kind}:{subject}:{account.name}:"
        task = self.all[upid] = Task(upid, kind, subject, account.name, pid, now)

        def run() -> None:
            gate = self.gates.get(kind)
            if gate is not None:
                gate.wait()
            try:
                work(task.log)
                task.log.append("TASK OK")
            except Refused as no:
                task.outcome = no.message
                task.log.append(f"TASK ERROR: {no.message}")
            finally:
                task.done.set()

        timer = threading.Timer(self.takes_s, run)
        timer.daemon = True
        timer.start()
        return upid

    def status(self, upid: str, account: Account) -> dict[str, Any]:
        """`GET …/tasks/UPID/status`. Refuses an unknown task with 400."""
        task = self._get(upid, account)
        running = not task.done.is_set()
        return {
            "upid": upid, "node": self.node, "pid": task.pid, "pstart": task.pid * 16, "starttime": task.started_s,
            "type": task.kind, "id": task.subject, "user": task.user, "status": "running" if running else "stopped",
        } | ({} if running else {"exitstatus": task.outcome})  # fmt: skip

    def log(self, upid: str, account: Account) -> list[dict[str, Any]]:
        """`GET …/tasks/UPID/log`: the first fifty lines."""
        lines = self._get(upid, account).log[:50]
        return [{"n": number, "t": text} for number, text in enumerate(lines or ["no content"], start=1)]

    def stop(self, upid: str, account: Account) -> None:
        """`DELETE …/tasks/UPID`: our tasks are past stopping when somebody asks, which is no error."""
        self._get(upid, account)

    def wait(self) -> None:
        """Return when every task that was begun has ended."""
        for task in list(self.all.values()):
            task.done.wait()

    def _get(self, upid: str, account: Account) -> Task:
        if upid.count(":") != 8 or not upid.startswith("UPID:"):
            raise wrong_parameter({"upid": "unable to parse worker upid"})
        self._asked[upid] = self._asked.get(upid, 0) + 1
        task = self.all.get(upid)
        if task is None or self._asked[upid] <= self.unknown_at_first:
            raise wrong_parameter({"upid": "no such task"})
        if task.user != account.name:
            account.need(f"/nodes/{self.node}", "Sys.Audit")
        return task
