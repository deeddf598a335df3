"""The real stack for tests: `./ai up` in a directory of its own, on a free port, and `./ai down` at the end.

Nothing here reaches into the product: what a test knows of the stack it knows from the command line, as a user does.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import psutil
import requests

ROOT = Path(__file__).resolve().parents[2]
AI = ROOT / "ai"
Backend = Literal["llama.cpp", "ollama"]

# An embedded model on two busy cores; not a judgement, only the point at which a hang is called one.
UP_TIMEOUT_S = 280.0

# What a developer's shell may carry and a stack under test must not.
NOT_INHERITED = ("AI_HOME", "AI_URL", "AI_API_KEY", "OLLAMA_HOST", "OLLAMA_MODELS", "PYTEST_CURRENT_TEST", "PYTHONPATH")

T = TypeVar("T")


class StackError(RuntimeError):
    """A call of `./ai` that had to work did not; carries its words."""


@dataclass
class Stack:
    """One stack: where its state is and how to reach it. `environment` is what its `ai` is called with."""

    home: Path
    port: int
    backend: Backend
    environment: Mapping[str, str] = field(repr=False)
    # Asking costs a call of `ai`; neither changes while a stack lives.
    _key: str = field(default="", repr=False)
    _model: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """Address of the front door, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        """The public key, read as a user would: from the file that `status --json` names."""
        if not self._key:
            self._key = Path(self.status()["api_key_file"]).read_text().split()[0]
        return self._key

    @property
    def auth(self) -> dict[str, str]:
        """Headers that open the door."""
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def model(self) -> str:
        """The language model's name."""
        if not self._model:
            self._model = str(self.component("llm")["model"])
        return self._model

    def ai(
        self, *arguments: str, check: bool = True, timeout_s: float = UP_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Call `./ai`. Raises StackError when `check` and it failed."""
        done = subprocess.run(
            [str(AI), *arguments],
            env=dict(self.environment),
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode != 0:
            raise StackError(f"./ai {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done

    def up(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Call `./ai up` for this stack's port and backend."""
        return self.ai("up", "--port", str(self.port), "--llm-backend", self.backend, *arguments, check=check)

    def down(self) -> None:
        """End it; what is left afterwards is the test's to look for."""
        self.ai("down")

    def status(self) -> dict[str, Any]:
        """The document of `./ai status --json`, whatever its exit status says."""
        done = self.ai("status", "--json", check=False)
        try:
            found = json.loads(done.stdout)
        except ValueError:
            raise StackError(f"./ai status --json printed no JSON:\n{done.stdout}{done.stderr}") from None
        assert isinstance(found, dict)
        return found

    def component(self, name: str) -> dict[str, Any]:
        """One component's row of the status."""
        rows = [row for row in self.status()["components"] if row["name"] == name]
        assert len(rows) == 1, f"{name} stands {len(rows)} times in the status"
        row = rows[0]
        assert isinstance(row, dict)
        return row

    def ready(self) -> bool:
        """Whether the front door says that every component works."""
        try:
            return requests.get(f"{self.url}/health", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    def processes(self) -> list[psutil.Process]:
        """Every process that lives with this stack's AI_HOME, whoever started it."""
        return processes_of(self.home)

    def transcribe(self, audio: Path, **form: str) -> requests.Response:
        """POST /transcribe with the key."""
        with audio.open("rb") as opened:
            return requests.post(
                f"{self.url}/transcribe", headers=self.auth, files={"file": opened}, data=form, timeout=UP_TIMEOUT_S
            )


def processes_of(home: Path) -> list[psutil.Process]:
    """Processes whose environment or command line names `home`."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            words = process.cmdline()
        except (psutil.Error, OSError):
            continue
        mine = process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE
        if not mine and (
            any(str(home) in value for value in environment.values()) or any(str(home) in w for w in words)
        ):
            found.append(process)
    return found


def free_port() -> int:
    """A port on loopback that was free a moment ago, outside the range that outgoing connections are given."""
    while True:
        port = random.randrange(10_000, 20_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def wait_until(condition: Callable[[], T], what: str, timeout_s: float = 90.0) -> T:
    """Return the first true value of `condition`; AssertionError naming `what` when none came in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        if value := condition():
            return value
        assert time.monotonic() < deadline, f"in {timeout_s:.0f} s it did not happen that {what}"
        time.sleep(0.05)


def environment(home: Path, extra: Mapping[str, str] | None = None, path_first: Sequence[Path] = ()) -> dict[str, str]:
    """The environment in which `ai` is called: the machine's own, without what would point at another stack."""
    ours = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
    ours["AI_HOME"] = str(home)
    ours["PATH"] = os.pathsep.join([*map(str, path_first), os.environ.get("PATH", os.defpath)])
    ours.update(extra or {})
    return ours


@contextmanager
def prepared(
    backend: Backend = "llama.cpp", *, extra: Mapping[str, str] | None = None, ollama: Path | None = None
) -> Iterator[Stack]:
    """A stack that is not up yet, and is taken down and removed at the end, whatever the test did with it.

    The directory has a short name, as a socket's path may hold 107 bytes only. Models come from the caches of the
    machine (they are read, never written), all state is the stack's own.
    """
    top = Path(tempfile.mkdtemp(prefix="ai-t-", dir="/tmp"))
    home = top / "home"
    path_first = [ollama.parent] if ollama else []
    stack = Stack(home, free_port(), backend, environment(home, extra, path_first))
    try:
        yield stack
    finally:
        try:
            stack.ai("down", check=False)
        finally:
            for process in stack.processes():
                process.kill()
            shutil.rmtree(top, ignore_errors=True)


@contextmanager
def running(
    backend: Backend = "llama.cpp", *, extra: Mapping[str, str] | None = None, ollama: Path | None = None
) -> Iterator[Stack]:
    """A stack that is up and has proven itself."""
    with prepared(backend, extra=extra, ollama=ollama) as stack:
        stack.up()
        yield stack
