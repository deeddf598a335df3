"""A host of which Docker and the gateway are a table of containers, so that every line of a change can be its last."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_stack import (
    admin,
    compose,
    durable,
    engines,
    gateway,
    journal,
    releases,
    reserve,
    switch,
    tool,
)
from ai_stack.activate import activate
from ai_stack.admin import Admin, AdminError
from ai_stack.change import Change
from ai_stack.compose import ComposeError
from ai_stack.journal import Journal
from ai_stack.lock import Lock
from ai_stack.releases import Store, plan
from ai_stack.reserve import Reserve

A = {"gateway": "g1", "whisper-api": "w1", "ollama": "o1"}
B = {"gateway": "g2", "whisper-api": "w2", "ollama": "o1", "grafana": "m1"}
C = {"gateway": "g3", "whisper-api": "w1", "ollama": "o3"}
WANTED = {"A": A, "B": B, "C": C}
KINDS = {"whisper-api": "whisper", "ollama": "ollama"}


class Killed(BaseException):
    """kill -9: nothing that comes after it is done, no `finally` either."""


class World:
    """Docker, two gateway ports, and who is paused. `sick`, `deaf` and `blind`: configurations that do not work."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []
        self.paused: set[str] = set()
        self.sick: set[str] = set()
        self.deaf: set[str] = set()
        self.blind: set[str] = set()
        self.steps_left: int | None = None
        self.serves = False
        self.looks_soon = True
        self.asked = 0
        self.patience_s = 0.0
        self.made = 0

    def step(self) -> None:
        """Something is about to be changed; here the power may go."""
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                raise Killed
        if self.serves:
            assert any(one["State"] == "running" for one in self.of("gateway")), "nobody answers"

    @property
    def is_dead(self) -> bool:
        """Whether the process that changes it was killed."""
        return self.steps_left is not None and self.steps_left < 0

    def of(self, service: str) -> list[dict[str, Any]]:
        return [one for one in self.rows if one["service"] == service]

    def running(self) -> dict[str, list[str]]:
        """Configurations of what runs, by service."""
        names = sorted({one["service"] for one in self.rows})
        return {name: sorted(one["digest"] for one in self.of(name) if one["State"] == "running") for name in names}

    # -- Docker's API

    def get(self, path: str) -> Any:
        assert path == "/info"
        return {"DockerRootDir": str(self.root / "docker")}

    def image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": reference}

    def logs(self, container: str, lines: int) -> list[str]:
        return ["its last words"]

    def container(self, name: str) -> dict[str, Any] | None:
        for one in self.rows:
            if name in (one["Id"], one["service"]):
                well = "healthy" if self.looks_soon else "starting"
                health = "unhealthy" if one["digest"] in self.sick else well
                check = {"Test": ["CMD", "healthcheck"], **({"StartInterval": 10**9} if self.looks_soon else {})}
                state = {"Status": one["State"], "Health": {"Status": health}}
                return {"Id": one["Id"], "State": state, "Config": {"Healthcheck": check}}
        return None

    def containers(self, project: str) -> list[dict[str, Any]]:
        return [
            {
                **one,
                "Names": [f"/{one['Id']}"],
                "Labels": {
                    "com.docker.compose.service": one["service"],
                    "com.docker.compose.config-hash": one["digest"],
                },
                "Ports": [{"PublicPort": one["port"]}] if one["port"] and one["State"] == "running" else [],
            }
            for one in self.rows
        ]

    # -- docker, the command

    def docker(self, words: list[str]) -> str:
        if words[0] == "exec":
            assert words[2:] == ["healthcheck"]
            return ""
        if words[0] in ("stop", "rm"):
            self.step()
            found = next(one for one in self.rows if one["Id"] == words[-1])
            if words[0] == "stop":
                found["State"] = "exited"
            else:
                self.rows.remove(found)
            return ""
        wanted = json.loads(Path(words[words.index("--file") + 1]).read_text())
        if "config" in words:
            self.asked += 1
            return "\n".join(wanted if "--services" in words else [f"{name} {value}" for name, value in wanted.items()])
        alone = words[-1] if words[-1] in wanted else None
        scale = next((int(word.partition("=")[2]) for word in words if word.startswith("gateway=")), 1)
        if alone is None:
            for gone in [one for one in self.rows if one["service"] not in wanted]:
                self.step()
                self.rows.remove(gone)
        for name in [alone] if alone else wanted:
            self._up(name, wanted[name], scale, recreate="--no-recreate" not in words)
        return ""

    def _up(self, name: str, digest: str, scale: int, *, recreate: bool) -> None:
        own = self.of(name)
        for surplus in own[scale:]:
            self.step()
            self.rows.remove(surplus)
        for one in self.of(name):
            if recreate and one["digest"] != digest:
                self.step()
                self.rows.remove(one)
            elif one["State"] != "running":
                self.step()
                one["State"] = "running"
        while len(self.of(name)) < scale:
            self.step()
            self.made += 1
            made = {"Id": f"{name}-{self.made}", "service": name, "digest": digest, "Created": self.made, "port": None}
            self.rows.append({**made, "State": "created"})
            self.step()
            port = None
            if name == "gateway":
                taken = {one["port"] for one in self.of(name) if one["State"] == "running"}
                port = next((port for port in switch.PORTS if port not in taken), None)
                if port is None:
                    raise ComposeError("port is already allocated")
            self.rows[-1].update(State="running", port=port)

    def reboot(self) -> None:
        """Docker starts what ran; ports of a range are given out anew. Whoever was paused is so no more."""
        self.paused.clear()
        self.serves = False
        for port, one in zip(reversed(switch.PORTS), self.of("gateway"), strict=False):
            one["port"] = port

    # -- the gateway

    def call(self, port: int, path: str, timeout_s: float) -> dict[str, Any]:
        answers = [one for one in self.of("gateway") if one["State"] == "running" and one["digest"] not in self.sick]
        if not any(one["port"] == port for one in answers):
            raise AdminError(0, "nobody listens")
        if path == "/api/admin/backends":
            rows = [
                {"name": name, "kind": kind, "paused": {"owner": "test"} if name in self.paused else None}
                for name, kind in KINDS.items()
            ]
            return {"version": "0.2.0", "in_flight": 0, "backends": rows}
        if path == "/health":
            sees = next(one["digest"] for one in answers if one["port"] == port) not in self.blind
            return {"components": {name: {"status": "ok" if sees else "down"} for name in KINDS}}
        if path.endswith(("/pause", "/resume")):
            self.step()
            name = path.split("/")[4]
            self.paused.add(name) if path.endswith("/pause") else self.paused.discard(name)
            return {}
        if path == "/transcribe":
            self.patience_s = timeout_s
            heard = any(one["State"] == "running" and one["digest"] not in self.deaf for one in self.of("whisper-api"))
            return {"text": "hello" if heard else ""}
        if path == "/api/generate":
            return {"eval_count": 4}
        return {"running": 0}


@dataclasses.dataclass
class Host:
    """A host on which A serves, and B and C are staged."""

    world: World
    ids: dict[str, str]

    @property
    def root(self) -> Path:
        return self.world.root

    def change(self, release: str) -> Change:
        log = Journal(self.root / "journal.jsonl", "ann@laptop")
        engine: Any = self.world
        return Change(self.root, self.ids[release], engine, log, 5, 5, "test", lambda _: None, b"Ogg")

    def activate(self, release: str) -> list[str]:
        return activate(self.change(release))

    def boot(self) -> None:
        tool._boot(argparse.Namespace(root=self.root, by="root@host"))

    def serves(self, release: str) -> None:
        """See that exactly this release serves, and that nothing else is left."""
        assert Store(self.root).current == self.ids[release]
        assert self.world.running() == {name: [digest] for name, digest in WANTED[release].items()}
        assert [one["port"] for one in self.world.of("gateway")] == [switch.chosen(self.root)]
        assert not self.world.paused
        assert journal.broken_off(self.root / "journal.jsonl") == []
        assert not list(self.root.rglob(".ai-services-reserve"))


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Host]:
    """Makes hosts; the newest is the one that Docker is on."""
    made: list[Host] = []

    def world() -> World:
        return made[-1].world

    class Engine:
        def __init__(self, **_: Any) -> None: ...

        def __getattr__(self, name: str) -> Any:
            return getattr(world(), name)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def counting(*arguments: Any, **options: Any) -> Any:
            world().step()
            return call(*arguments, **options)

        return counting

    def asked(
        own: Admin, _: str, path: str, __: object = None, timeout_s: float = 10, *___: object, **____: object
    ) -> dict[str, Any]:
        return world().call(own.port, path, timeout_s)

    free = Reserve.free
    monkeypatch.setattr(admin.Admin, "call", asked)
    monkeypatch.setattr(Reserve, "free", lambda own: None if world().is_dead else free(own))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(compose.Compose, "_docker", lambda _, words, __: world().docker(words))
    monkeypatch.setattr(tool, "Engine", Engine)
    monkeypatch.setattr(tool, "Lock", lambda: Lock(tmp_path / "lock"))
    monkeypatch.setattr(Journal, "_write", counted(Journal._write))
    monkeypatch.setattr(releases, "point", counted(durable.point))
    monkeypatch.setattr(switch, "choose", counted(switch.choose))
    monkeypatch.setattr(gateway, "_SETTLED_S", 0)
    monkeypatch.setattr(gateway, "_REACHES_WITHIN_S", 0.05)
    for module in (compose, engines, gateway):
        monkeypatch.setattr(module.time, "sleep", lambda _: None)
    for name in ("_DOCKER_MIB", "_OWN_MIB"):
        monkeypatch.setattr(reserve, name, 1)

    def make() -> Host:
        root = tmp_path / str(len(made))
        (root / "docker").mkdir(parents=True)
        ids = {}
        for name, services in WANTED.items():
            wanted = plan(root, {"compose.yaml": json.dumps(services), ".env": ""}, {})
            Store(root).stage(
                wanted,
                {"version": "0.2.0", "created": f"2026-01-01T0{ord(name) - 65}", "settings": {"ai_ollama_model": "m"}},
            )
            ids[name] = wanted.id
        host = Host(World(root), ids)
        made.append(host)
        host.activate("A")
        host.world.serves = True
        return host

    return make
