"""Constant load on a host from a process of its own, and what became of every request.

    with Load(Plan(url, (Upload(str(wav), "computer"), Chat("gemma3:270m"), Get()), key=key, ca=str(ca))) as load:
        load.until_each(3)       # everything is under way
        …                        # upgrade, migrate, roll back
    load.result.assert_no_failure()

Each worker has one request in flight and rests a little after it. It asks now on a connection that it keeps, as a
client with a pool does, now on a fresh one. On the command line: `python -m host.load plan.json`, until its standard
input ends.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from host.load_report import Failure, Figures, Result
from host.load_requests import KINDS, Chat, Get, Kind, Upload, described

__all__ = ["Chat", "Get", "Load", "Plan", "Upload"]

TESTS = Path(__file__).resolve().parents[1]
MAX_FAILURES_KEPT = 200
TELL_EVERY_S = 0.2


@dataclass(frozen=True)
class Plan:
    """What to ask whom. `ca` is a PEM file to trust; `resolve` gives the address of names that no DNS here knows.

    Without a rest between two requests of a kind, real speech and a real language model alone would fill two cores.
    """

    url: str
    kinds: Sequence[Kind]
    key: str = ""
    ca: str = ""
    resolve: Mapping[str, str] = field(default_factory=dict)
    rest_s: float = 1.5
    timeout_s: float = 900
    max_s: float = 3600
    max_requests: int = 100_000

    def as_json(self) -> str:
        """For the process that carries it out."""
        kinds = [
            {"kind": next(name for name, each in KINDS.items() if each is type(kind)), **asdict(kind)}
            for kind in self.kinds
        ]
        rest = {name: value for name, value in vars(self).items() if name != "kinds"}
        return json.dumps({**rest, "resolve": dict(self.resolve), "kinds": kinds})

    @classmethod
    def read(cls, text: str) -> Plan:
        """The plan that `as_json` wrote."""
        members: dict[str, Any] = json.loads(text)
        kinds = [KINDS[each.pop("kind")](**each) for each in members.pop("kinds")]
        return cls(kinds=tuple(kinds), **members)


class Load:
    """The process, from the start of the block to its end; `result` is there afterwards."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._counts: dict[str, int] = {}
        self._told = threading.Condition()
        self._ended = False
        self.result = Result({}, [], 0.0)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="ai-load-")
        plan = Path(self._folder.name) / "plan.json"
        plan.touch(mode=0o600)  # the key is in it
        plan.write_text(self._plan.as_json())
        self._log = (Path(self._folder.name) / "log").open("w+b")
        environment = {**os.environ, "PYTHONPATH": str(TESTS)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "host.load", str(plan)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._process.kill()
            self._process.wait()
            self._log.seek(0)
            said = self._log.read().decode(errors="replace")
            self._log.close()
            self._folder.cleanup()
        if kind is None and not self.result.kinds:
            raise AssertionError(f"the load generator came to no result; its last words:\n{said[-2000:]}")

    def stop(self) -> None:
        """Send no more, and wait for the answers that are still to come; the end of the block does the same."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()  # the sign
        self._reader.join(self._plan.timeout_s + 30)

    def until_each(self, count: int, timeout_s: float = 300) -> None:
        """Wait until `count` more requests of each kind have ended, well or not. AssertionError when they do not."""
        names = {kind.name for kind in self._plan.kinds}
        with self._told:
            wanted = {name: self._counts.get(name, 0) + count for name in names}
            if not self._told.wait_for(
                lambda: self._ended or all(self._counts.get(name, 0) >= wanted[name] for name in names), timeout_s
            ):
                raise AssertionError(f"in {timeout_s:.0f} s only {self._counts} requests of {wanted} have ended")
            assert not self._ended, "the load generator ended before it was told to"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            told = json.loads(line)
            with self._told:
                if "result" in told:
                    self.result = Result.read(told["result"])
                else:
                    self._counts = told
                self._told.notify_all()
        with self._told:
            self._ended = True
            self._told.notify_all()


class _Tally:
    """What the workers share."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.stopped = threading.Event()
        self.started_at = time.monotonic()
        self.lock = threading.Lock()
        self.figures = {kind.name: Figures() for kind in plan.kinds}
        self.failures: list[Failure] = []
        self.left = plan.max_requests

    def take(self) -> bool:
        """Whether one more request may be sent."""
        with self.lock:
            self.left -= 1
            over = self.left < 0 or time.monotonic() - self.started_at > self.plan.max_s
        return not over and not self.stopped.is_set()

    def result(self) -> Result:
        return Result(self.figures, self.failures, time.monotonic() - self.started_at)


def _work(tally: _Tally, kind: Kind) -> None:
    kept = _session(tally.plan)
    number = 0
    while tally.take():
        number += 1
        fresh = number % 2 == 0
        session = _session(tally.plan) if fresh else kept
        began_at, began = time.monotonic(), datetime.now(UTC)
        failed = None
        seen: list[requests.Response] = []
        session.hooks["response"] = lambda response, *_, seen=seen, **__: seen.append(response)
        try:
            kind.send(session, tally.plan.url, tally.plan.timeout_s)
        except Exception as error:
            failed = described(error)
        seconds = time.monotonic() - began_at
        if fresh:
            session.close()
        headers: Mapping[str, str] = seen[-1].headers if seen else {}
        with tally.lock:
            figures = tally.figures[kind.name]
            figures.add(seconds, began, queued="X-Queue-Position" in headers)
            if failed is not None:
                figures.errors += 1
                figures.cut += failed.cut
                if len(tally.failures) < MAX_FAILURES_KEPT:
                    connection = "fresh" if fresh else "kept"
                    request_id = headers.get("X-Request-ID", "")
                    tally.failures.append(
                        Failure(began.isoformat(), round(seconds, 3), kind.name, str(failed), connection, request_id)
                    )
        tally.stopped.wait(tally.plan.rest_s)
    kept.close()


def _session(plan: Plan) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    if plan.key:
        session.headers["Authorization"] = f"Bearer {plan.key}"
    if plan.ca:
        session.verify = plan.ca
    return session


def _resolve(names: Mapping[str, str]) -> None:
    """Let this process find `names` at their addresses."""
    asked = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **more: Any) -> Any:
        return asked(names.get(host, host), *rest, **more)

    socket.getaddrinfo = getaddrinfo


def main(path: str) -> None:
    """Carry the plan in `path` out until standard input ends; tell counts, and at last the result, on standard output.

    Requests that run then are awaited, for theirs is the answer that somebody wants.
    """
    plan = Plan.read(Path(path).read_text())
    _resolve(plan.resolve)
    tally = _Tally(plan)
    workers = [
        threading.Thread(target=_work, args=(tally, kind), daemon=True)
        for kind in plan.kinds
        for _ in range(kind.workers)
    ]
    for worker in workers:
        worker.start()

    def await_sign() -> None:
        sys.stdin.read()
        tally.stopped.set()

    threading.Thread(target=await_sign, daemon=True).start()
    while any(worker.is_alive() for worker in workers):
        with tally.lock:
            told = {name: figures.count for name, figures in tally.figures.items()}
        print(json.dumps(told), flush=True)
        tally.stopped.wait(TELL_EVERY_S)
        if tally.stopped.is_set():
            for worker in workers:
                worker.join()
    tally.stopped.set()
    print(json.dumps({"result": tally.result().as_dict()}), flush=True)
    if sys.stderr.isatty():
        print(tally.result().table(), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
