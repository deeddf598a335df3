"""A change that is cut off anywhere: callers are answered all the while, and the next run comes to one end (B.3).

Docker and the gateway are stood in for by a table of containers, so that every line can be the last one; the real ones
are changed in test_upgrade.py and test_matrix.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pkgutil
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
    history,
    journal,
    observe,
    releases,
    reserve,
    switch,
    tool,
)
from ai_stack.activate import ActivationError, activate
from ai_stack.admin import Admin, AdminError
from ai_stack.change import Change
from ai_stack.compose import ComposeError
from ai_stack.journal import Journal
from ai_stack.lock import Lock
from ai_stack.releases import Store, plan
from ai_stack.reserve import Reserve
from ai_stack.runs import Teller, read

pytestmark = pytest.mark.promise("B.3")

A = {"gateway": "g1", "whisper-api": "w1", "ollama": "o1"}
B = {"gateway": "g2", "whisper-api": "w2", "ollama": "o1", "grafana": "m1"}
C = {"gateway": "g3", "whisper-api": "w1", "ollama": "o3"}
WANTED = {"A": A, "B": B, "C": C}
KINDS = {"whisper-api": "whisper", "ollama": "ollama"}


class Killed(BaseException):
    """kill -9: nothing that comes after it is done, no `finally` either."""


class World:
    """Docker, two gateway ports, and who is paused. `sick` and `deaf`: configurations that do not work."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: list[dict[str, Any]] = []
        self.paused: set[str] = set()
        self.sick: set[str] = set()
        self.deaf: set[str] = set()
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

    def asked(own: Admin, _: str, path: str, __: object = None, timeout_s: float = 10, ___: str = "") -> dict[str, Any]:
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


def test_a_change_brings_exactly_what_the_release_has(hosts: Callable[[], Host]) -> None:
    host = hosts()
    host.serves("A")
    assert host.activate("B")
    host.serves("B")
    assert host.activate("B") == []
    assert Store(host.root).previous == host.ids["A"]


def test_an_engine_that_looks_seldom_is_not_waited_for(hosts: Callable[[], Host]) -> None:
    """Engines before 25 say `starting` for 15 s: three components of them are more than a rollback has."""
    host = hosts()
    host.world.looks_soon = False
    host.activate("B")
    host.serves("B")


def test_compose_is_asked_once_what_is_in_a_release(hosts: Callable[[], Host]) -> None:
    """Each time is a process and a second of a busy processor, and a rollback has thirty."""
    host = hosts()
    host.world.asked = 0
    host.activate("B")
    assert host.world.asked == 2, "names, and their configurations"


def killed_at_every_step(hosts: Callable[[], Host], then: Callable[[Host], None]) -> int:
    """Kill the change from A to B before each of its steps, and let `then` go on. Returns how many there are."""
    for step in range(300):
        host = hosts()
        host.world.steps_left = step
        try:
            host.activate("B")
        except Killed:
            host.world.steps_left = None
        else:
            return step
        # What a process that is gone holds goes with it, but for a pause, which the gateway ends by itself.
        then(host)
    pytest.fail("the change never came to its end")


@pytest.mark.parametrize("release", ["B", "A", "C"])
def test_killed_anywhere_the_next_run_goes_on_or_back_or_elsewhere(hosts: Callable[[], Host], release: str) -> None:
    def then(host: Host) -> None:
        host.activate(release)
        host.serves(release)

    assert killed_at_every_step(hosts, then) > 20


@pytest.mark.parametrize("release", ["B", "A", "C"])
def test_after_a_power_loss_anywhere_the_machine_serves_and_the_next_run_goes_on(
    hosts: Callable[[], Host], release: str
) -> None:
    def then(host: Host) -> None:
        host.world.reboot()
        host.boot()
        serving = next(name for name, value in host.ids.items() if value == Store(host.root).current)
        assert host.world.running() == {name: [digest] for name, digest in WANTED[serving].items()}
        assert [one["port"] for one in host.world.of("gateway")] == [switch.chosen(host.root)]
        host.world.serves = True
        host.activate(release)
        host.serves(release)

    killed_at_every_step(hosts, then)


@pytest.mark.parametrize("fault", ["g2", "w2", "m1"])
def test_what_does_not_become_healthy_is_taken_back(hosts: Callable[[], Host], fault: str) -> None:
    host = hosts()
    host.world.sick.add(fault)
    with pytest.raises(ActivationError, match="which served before it, serves again"):
        host.activate("B")
    host.serves("A")
    assert {row["id"]: row["state"] for row in history.releases(host.root)}[host.ids["B"]] == "failed"


def test_a_gateway_that_hangs_is_exchanged_though_its_callers_wait_for_it(
    hosts: Callable[[], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connections never end; a deploy is what somebody does about that."""
    host = hosts()
    host.world.sick.add("g1")
    monkeypatch.setattr(observe, "callers", lambda *_: 3)
    activate(dataclasses.replace(host.change("B"), drain_s=0.05))
    host.serves("B")


def test_what_is_healthy_and_deaf_is_taken_back(hosts: Callable[[], Host]) -> None:
    host = hosts()
    host.world.deaf.add("w2")
    with pytest.raises(ActivationError, match="hears nothing"):
        host.activate("B")
    host.serves("A")


def test_what_nobody_foresaw_is_taken_back_too(hosts: Callable[[], Host], monkeypatch: pytest.MonkeyPatch) -> None:
    host = hosts()
    waits = compose.Compose.wait_healthy

    def odd(own: compose.Compose, *rest: Any) -> None:
        if own.release_dir.name == host.ids["B"] and ["whisper-api"] in rest:
            raise KeyError("Health")
        waits(own, *rest)

    monkeypatch.setattr(compose.Compose, "wait_healthy", odd)
    with pytest.raises(ActivationError, match=r"'Health'(.|\n)*serves again"):
        host.activate("B")
    host.serves("A")


def test_what_is_asked_under_a_pause_gets_no_more_time_than_callers_have(hosts: Callable[[], Host]) -> None:
    host = hosts()
    host.activate("B")
    assert 0 < host.world.patience_s <= engines.HEALTHY_WITHIN_S


def test_a_switch_that_fails_at_the_very_last_leaves_no_mark_of_the_new_release(
    hosts: Callable[[], Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything runs and `current` says so, and that cannot be written down: what is undone is undone whole."""
    host = hosts()
    write, failed = Journal._write, list[str]()

    def failing(own: Journal, step: str, state: str, release: str | None, detail: str) -> None:
        if (step, state) == ("activate", "done") and not failed:
            failed.append(step)
            raise OSError(5, "Input/output error")
        write(own, step, state, release, detail)

    monkeypatch.setattr(Journal, "_write", failing)
    with pytest.raises(ActivationError, match="which served before it, serves again"):
        host.activate("B")
    host.serves("A")


def test_the_machine_s_start_leaves_a_change_alone_that_is_at_work(
    hosts: Callable[[], Host], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`systemctl restart ai` in the middle of an upgrade: half of it is not to be taken back under it."""
    host = hosts()
    host.world.steps_left = 12
    with pytest.raises(Killed):
        host.activate("B")
    before = json.dumps(host.world.rows)
    host.world.steps_left = None
    with Lock(tmp_path / "lock").change("one", {"user": "ann"}, "upgrade"):
        host.boot()
    assert json.dumps(host.world.rows) == before
    assert "at work here" in capsys.readouterr().out


def test_a_change_that_succeeded_does_not_fail_for_what_cannot_be_tidied(
    hosts: Callable[[], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = hosts()

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Store, "prune", refuse)
    monkeypatch.setattr(pkgutil, "get_data", lambda *_: b"Ogg")
    teller = Teller("abcdef123456", aloud=False, directory=tmp_path / "changes")
    asked = argparse.Namespace(root=host.root, by="ann@laptop", token="", why="", timeout_s=5, drain_s=5, keep=1)
    assert tool._work(asked, host.ids["B"], teller)["before"] == host.ids["A"]
    host.serves("B")
    assert "Read-only" in str(read("abcdef123456", tmp_path / "changes")[-1]["say"])


def test_a_release_whose_record_is_damaged_is_refused_before_anything_changes(hosts: Callable[[], Host]) -> None:
    host = hosts()
    (Store(host.root).path(host.ids["B"]) / "release.json").write_text("{")
    with pytest.raises(tool.Refused, match="is damaged"):
        tool._check(host.root, host.ids["B"])
