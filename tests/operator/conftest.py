"""A stack of small components under the real supervisor: what the operator does, without what a model costs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.doors import Untouched

from ai_services.console import Screen
from ai_services.local import components, lifecycle, ports, supervisor
from ai_services.local.components import Component
from ai_services.local.home import Home
from ai_services.local.state import Llm, Speech, Stack
from ai_services.local.supervisor import ProcessInfo, Supervisor

# A component in a few lines: answers its probe with 200, and can be told how to begin and how to end.
SERVER = """
import http.server, os, sys, time
print("begin", os.getpid(), flush=True)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


@dataclass
class Small:
    """A stack whose components are `rows`; in this process, so that a test can look into it."""

    home: Home
    stack: Stack
    screen: Screen = field(default_factory=Screen)

    def start(self) -> None:
        lifecycle.start(self.stack, self.home, self.screen)

    def infos(self) -> dict[str, ProcessInfo]:
        with Supervisor(self.stack.socket) as keeper:
            return keeper.list()

    def log(self, name: str) -> str:
        return (self.home.logs / f"{name}.log").read_text()


Prepare = Callable[[Home, Mapping[str, Mapping[str, Any]]], Small]


def _row(
    name: str, *, before: str = "", only: str = "", first: tuple[str, ...] = (), ready_timeout_s: float = 20
) -> Component:
    """A component that runs `before` and then the server, or `only` instead; its port is the first argument."""
    code = only or f"{before}\n{SERVER}"
    return Component(
        name=name,
        summary="small",
        command=lambda stack, _: [sys.executable, "-c", code, str(stack.ports[name])],
        environment=lambda *_: {},
        probe="/",
        first=first,
        ready_timeout_s=ready_timeout_s,
        stop_s=5,
    )


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """An AI_HOME of this test's own, with a name short enough for a socket."""
    top = Path(os.path.realpath(tempfile.mkdtemp(prefix="ai-o-", dir="/tmp")))
    monkeypatch.setenv("AI_HOME", str(top / "home"))
    made = Home.current()
    try:
        yield made
    finally:
        lifecycle.tear_down(made)
        shutil.rmtree(top, ignore_errors=True)


@pytest.fixture
def small(home: Home, prepare: Prepare) -> Small:
    """Two small components, not started yet."""
    return prepare(home, {"one": {}, "two": {}})


@pytest.fixture
def prepare(monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """A function that settles a stack of small components: name to the options of `_row`."""

    def prepared(home: Home, rows: Mapping[str, Mapping[str, Any]]) -> Small:
        return _prepare(home, monkeypatch, *(_row(name, **options) for name, options in rows.items()))

    return prepared


def _prepare(home: Home, monkeypatch: pytest.MonkeyPatch, *rows: Component) -> Small:
    """Put `rows` in the place of the product's components and settle a stack of them."""
    monkeypatch.setattr(components, "COMPONENTS", rows)
    home.create()
    taken: dict[str, int] = {}
    for item in rows:
        taken[item.name] = ports.free_port(avoid=taken.values())
    stack = Stack(
        version="0",
        home=str(home.root),
        host="127.0.0.1",
        port=taken[rows[0].name],
        speech=Speech("none", ""),
        llm=Llm("none", "llama.cpp", "a test"),
        ports=taken,
        socket=supervisor.socket_path(home),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return Small(home, stack)


@pytest.fixture(scope="session")
def hub_standin() -> Any:
    """The module beside this file: a folder called `operator` cannot be a package, the standard library has one."""
    place = Path(__file__).with_name("hub_standin.py")
    specification = importlib.util.spec_from_file_location("hub_standin", place)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["hub_standin"] = module
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment that says nothing, a home of its own, and a settings file that is right."""
    for name in list(os.environ):
        if name.startswith(("TF_VAR_ai_", "AI_", "SSH_USER", "SSH_KEY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ai.yml").write_text('ai_tls: "off"\nai_github_owner: octo-org\n')
    return tmp_path


@pytest.fixture
def untouched() -> Iterator[Untouched]:
    """An address that listens, to give as a host that must not be contacted."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Untouched(listener)
