"""The way back on the host: one service gives way to the other while callers wait; who was cut off is settled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ai_stack import engines, gateway, observe, switch
from ai_stack.admin import AdminError
from ai_stack.engine import EngineError
from ai_stack.journal import Journal, read
from ai_stack.migration import back, front, settle, takeover
from ai_stack.migration.old import Old, fetched
from ai_stack.migration.state import MigrationError, State

SAMPLE = b"a recording"


class Host:
    """A host on which ours serves and the old service rests; `did` is what was done to it, in order."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.ours, self.old, self.standby, self.paused = True, False, False, False
        self.old_works = True
        self.switches = True

    def backend(self, name: str) -> dict[str, Any]:
        standby = {"url": "http://old", "active": False} if self.standby else None
        return {"name": name, "in_flight": 0, "paused": {"owner": "me"} if self.paused else None, "standby": standby}

    def state(self) -> dict[str, Any]:
        return {"in_flight": 0}

    def call(self, method: str, path: str, *_: Any) -> dict[str, Any]:
        self.did.append(f"{method} {path}")
        return {"models": [{"name": "tiny"}]} if path == "/api/ps" else {}

    @contextlib.contextmanager
    def waiting(self, _: Any, __: Any, backend: str = "whisper-api") -> Iterator[None]:
        self.did.append(f"pause {backend}")
        self.paused = True
        yield
        self.did.append(f"resume {backend}")

    def exchange(self, _: Any) -> None:
        if not self.switches:
            raise MigrationError("no such release")
        self.did.append("gateway")
        self.standby = True

    def command(self, words: list[str], *_: Any) -> str:
        self.did.append(" ".join(words))
        if words[:2] == ["docker", "stop"]:
            self.ours = False
        if words[:2] == ["docker", "start"]:
            self.ours = True
        return ""

    def start_old(self) -> None:
        self.did.append("old starts")
        self.old = True

    def stop_old(self) -> None:
        self.did.append("old stops")
        self.old = False

    def ask_old(self) -> None:
        self.did.append("old is asked")
        if not self.old_works:
            raise MigrationError("The old service does not answer.")


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    """The host, in place of Docker, nginx and the gateway."""
    made = Host()
    compose = SimpleNamespace(
        wait_healthy=lambda *_: made.did.append("ours is healthy"), remove=lambda one: made.did.append(f"rm {one}")
    )
    store = SimpleNamespace(switch=lambda release: made.did.append(f"current {release}"))

    def change_of(
        root: Path, release: str, journal: Journal, engine: Any, sample: bytes, say: Any, state: State
    ) -> Any:
        return SimpleNamespace(
            root=root, journal=journal, say=say, compose=compose, store=store, engine=engine, release="whole",
            sample=sample,
        )  # fmt: skip

    monkeypatch.setattr(takeover, "change_of", change_of)
    monkeypatch.setattr(takeover, "waiting", made.waiting)
    monkeypatch.setattr(takeover, "whole", lambda _: "whole")
    monkeypatch.setattr(takeover, "relay_up", lambda _: made.did.append("relay"))
    monkeypatch.setattr(gateway, "serving", lambda _: made)
    monkeypatch.setattr(gateway, "exchange", made.exchange)
    monkeypatch.setattr(engines, "_settle", lambda _, name, __: made.did.append(f"{name} rests"))
    monkeypatch.setattr(back, "ours", lambda _, running: ["ours"] if made.ours is running else [])
    monkeypatch.setattr(back, "_do", made.command)
    monkeypatch.setattr(back, "_spare_the_name", lambda *_: None)
    monkeypatch.setattr(front, "give_the_port_back", lambda *_: made.did.append("port"))
    monkeypatch.setattr(front, "mend", lambda _: [])
    monkeypatch.setattr(switch, "settle", lambda: False)
    monkeypatch.setattr(front, "has_helpers", lambda _: False)
    monkeypatch.setattr(observe, "containers", lambda _: [])
    monkeypatch.setattr(Old, "is_running", lambda _: made.old)
    monkeypatch.setattr(Old, "start", lambda _: made.start_old())
    monkeypatch.setattr(Old, "stop", lambda *_: made.stop_old())
    monkeypatch.setattr(Old, "works", lambda *_: made.ask_old())
    monkeypatch.setattr(Old, "as_found", lambda _: None)
    return made


def begun(root: Path, **more: Any) -> State:
    """A migration that is taken back."""
    old = {"api": "asr", "containers": [], "units": [], "port": 9000, **more.pop("old", {})}
    state = State.begin(root, {"id": "20261121-210000-abcdef", "old": old, **more})
    state.keep(phase="undoing")
    return state


def undo(root: Path, state: State) -> Journal:
    journal = Journal(root / "journal.jsonl", "me@here")
    back.undo_speech(root, state, journal, SAMPLE, lambda _: None)
    return journal


class TestSpeech:
    def test_ours_has_left_before_the_old_one_comes_and_callers_wait_meanwhile(
        self, host: Host, tmp_path: Path
    ) -> None:
        """One GPU holds one model; the gateway knows by its standby to whom callers go when they go on."""
        state = begun(tmp_path)
        journal = undo(tmp_path, state)
        assert host.did == [
            "port", "relay", "gateway", "current whole", "pause whisper-api", "whisper-api rests", "docker stop ours",
            "old starts", "old is asked", "resume whisper-api", "old is asked",
        ]  # fmt: skip
        assert [(line["step"], line["state"]) for line in read(journal.path)] == [
            ("migrate:undo:old", "begun"),
            ("migrate:undo:standby", "begun"), ("migrate:undo:standby", "done"),
            ("migrate:undo:speech", "begun"), ("migrate:undo:speech", "done"),
            ("migrate:undo:old", "done"),
        ]  # fmt: skip

    def test_a_gateway_that_knows_the_old_service_is_not_exchanged(self, host: Host, tmp_path: Path) -> None:
        host.standby = True
        undo(tmp_path, begun(tmp_path))
        assert "gateway" not in host.did

    def test_the_language_model_leaves_the_gpu_too(self, host: Host, tmp_path: Path) -> None:
        undo(tmp_path, begun(tmp_path, plan={"wanted": {"accelerator": "nvidia"}}))
        left = host.did.index("POST /api/generate")
        assert host.did.index("pause ollama") < left < host.did.index("old starts") < host.did.index("resume ollama")

    def test_one_that_does_not_work_leaves_again_and_ours_goes_on(self, host: Host, tmp_path: Path) -> None:
        host.old_works = False
        state = begun(tmp_path)
        with pytest.raises(MigrationError, match=r"(?s)does not answer.*Ours serves again"):
            undo(tmp_path, state)
        assert host.ours
        assert not host.old
        assert (state.of("undo:old"), state.of("undo:speech")) == ("failed", "failed")

    def test_without_a_gateway_for_it_both_are_beside_each_other(self, host: Host, tmp_path: Path) -> None:
        host.switches = False
        undo(tmp_path, begun(tmp_path))
        assert host.did == ["port", "relay", "old starts", "old is asked"]

    def test_the_next_run_only_asks_the_one_that_runs(self, host: Host, tmp_path: Path) -> None:
        host.old, host.ours = True, False
        undo(tmp_path, begun(tmp_path))
        assert host.did == ["old is asked"]

    def test_tasks_end_and_are_fetched_before_ours_stops(
        self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only ours knows the tasks that it took."""
        monkeypatch.setattr(back, "fetched", lambda *_: False)
        with pytest.raises(MigrationError, match="still works on tasks"):
            undo(tmp_path, begun(tmp_path, old={"api": "whisper_api"}))
        assert host.ours
        assert "docker stop ours" not in host.did


class TestWithoutDocker:
    """It did not come yet (the way there failed before), or went with us (the way back was cut off after that)."""

    @pytest.fixture
    def host(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
        def gone(*_: Any, **__: Any) -> Any:
            raise EngineError(0, "Docker at /var/run/docker.sock cannot be talked to")

        monkeypatch.setattr(back, "ours", gone)
        monkeypatch.setattr(gateway, "serving", gone)
        return host

    def test_nobody_is_waited_for(self, host: Host, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "journal.jsonl", "me@here")
        assert back.drained(tmp_path, begun(tmp_path), journal, lambda _: None, 5) == 0

    def test_the_old_service_starts(self, host: Host, tmp_path: Path) -> None:
        undo(tmp_path, begun(tmp_path))
        assert host.did == ["port", "old starts", "old is asked"]

    def test_a_boot_starts_it_too(self, host: Host, tmp_path: Path) -> None:
        assert settled(tmp_path, begun(tmp_path)) == ["the old service serves again"]


class TestFetched:
    def test_it_is_once_nothing_was_left_for_a_while(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ai_stack.migration.old.FETCHED_WITHIN_S", 0.2)
        monkeypatch.setattr("ai_stack.migration.old._LOOK_EVERY_S", 0.01)
        said = iter([b'{"currently_busy": true}', b'{"tasks_in_queue": 1}'])
        asked = []

        def ask() -> tuple[int, bytes]:
            asked.append(1)
            return 200, next(said, b'{"currently_busy": false, "tasks_in_queue": 0}')

        assert fetched(ask, 5)
        assert len(asked) > 3

    def test_it_is_not_while_something_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ai_stack.migration.old._LOOK_EVERY_S", 0.01)
        assert not fetched(lambda: (200, b'{"currently_busy": true}'), 0.1)

    def test_one_that_says_nothing_has_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("ai_stack.migration.old.FETCHED_WITHIN_S", 0.05)
        monkeypatch.setattr("ai_stack.migration.old._LOOK_EVERY_S", 0.01)
        assert fetched(lambda: (500, b""), 1)
        assert fetched(lambda: (200, b"[]"), 1)


def settled(root: Path, state: State) -> list[str]:
    return settle.settle(root, state, Journal(root / "journal.jsonl", "boot@here"), SAMPLE, lambda _: None)


class TestSettle:
    def test_what_was_cut_off_between_the_two_is_ended(self, host: Host, tmp_path: Path) -> None:
        """Ours has stopped, the old one has not started: callers go on waiting until it has."""
        host.ours, host.paused = False, True
        state = begun(tmp_path)
        state.content["steps"]["undo:old"] = {"state": "begun"}
        assert settled(tmp_path, state) == ["the old service serves again"]
        assert host.did == ["pause whisper-api", "old starts", "old is asked", "resume whisper-api"]

    def test_nobody_asks_ours_while_it_goes(self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It served, and that could not be written down on a full disk: the pause had ended, and the way is back."""
        one = observe.Container("1", "ai-whisper-api-1", "whisper-api", "", "running", None, 0)
        monkeypatch.setattr(observe, "containers", lambda _: [one])
        state = begun(tmp_path)
        state.keep(phase="begun", steps={"whisper": {"state": "failed"}})
        settled(tmp_path, state)
        assert host.did == ["pause whisper-api", "rm 1", "old starts", "old is asked", "resume whisper-api"]

    def test_ours_comes_back_where_the_old_one_does_not(self, host: Host, tmp_path: Path) -> None:
        host.ours = host.old_works = False
        with pytest.raises(MigrationError, match="Ours serves again"):
            settled(tmp_path, begun(tmp_path))
        assert host.ours

    def test_ours_goes_on_where_it_serves(self, host: Host, tmp_path: Path) -> None:
        assert settled(tmp_path, begun(tmp_path)) == []
        assert host.did == []

    def test_a_front_that_cannot_be_mended_keeps_nobody_from_starting_the_old_service(
        self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(_: State) -> list[str]:
            raise MigrationError("nginx does not accept its configuration")

        monkeypatch.setattr(front, "mend", broken)
        host.ours = False
        state = begun(tmp_path)
        state.keep(phase="begun")
        state.content["steps"]["whisper"] = {"state": "begun"}
        with pytest.raises(MigrationError, match="nginx does not accept"):
            settled(tmp_path, state)
        assert host.old

    @pytest.mark.parametrize(
        ("phase", "steps", "is_needed"),
        [
            ("begun", {"front": "done"}, True),
            ("begun", {"front": "done", "retire": "done"}, False),
            ("migrated", {"front": "done", "retire": "done"}, False),
            ("undoing", {"front": "done", "retire": "done", "undo:old": "begun"}, True),
            ("undoing", {"front": "done", "retire": "done", "undo:front": "begun"}, False),
        ],
    )
    def test_the_way_in_is_made_again_after_a_boot(
        self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, steps: dict[str, str],
        is_needed: bool,
    ) -> None:  # fmt: skip
        """Also on the way back: nginx listens only beside the port that is the old service's again."""
        host.old = True
        monkeypatch.setattr(front, "has_helpers", lambda _: True)
        monkeypatch.setattr(front, "is_redirected", lambda: False)
        monkeypatch.setattr(front, "redirect", lambda *_: host.did.append("redirect"))
        state = begun(tmp_path)
        state.keep(phase=phase, steps={name: {"state": one} for name, one in steps.items()})
        settled(tmp_path, state)
        assert ("redirect" in host.did) is is_needed


def test_a_gateway_that_says_nothing_of_tasks_has_none() -> None:
    class Silent:
        def call(self, *_: Any) -> dict[str, Any]:
            raise AdminError(404, "no such route")

    silent: Any = Silent()
    assert back._tasks(silent) == (404, b"")


class TestLanguageBeside:
    """Callers of the old Ollama who come in by nginx find ours before they are led to it."""

    @pytest.fixture
    def did(self, host: Host, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        nothing: Any = None
        change: Any = takeover.change_of(Path(), "", nothing, nothing, b"", print, nothing)
        change.compose.up_service = lambda name: host.did.append(f"{name} starts")
        change.timeout_s = 1
        monkeypatch.setattr(takeover, "change_of", lambda *_: change)
        monkeypatch.setattr(takeover, "_reachable", lambda _: host.did.append("reachable"))
        monkeypatch.setattr(
            Old, "step_aside", lambda self, _: host.did.extend(f"{one['name']} aside" for one in self.containers)
        )
        return host.did

    def test_it_has_its_name_and_is_seen(self, did: list[str], tmp_path: Path) -> None:
        containers = [{"id": "1", "name": "whisper-api"}, {"id": "2", "name": "ollama"}]
        state = begun(tmp_path, old={"containers": containers}, language_first=True)
        takeover.language_beside(tmp_path, state, Journal(tmp_path / "j", "me@here"), lambda _: None)
        assert did == ["ollama aside", "ollama starts", "ours is healthy", "reachable"]

    @pytest.mark.parametrize(
        ("steps", "is_needed"), [({"beside": "done"}, True), ({"beside": "begun"}, False), ({"whisper": "done"}, False)]
    )
    def test_it_is_there_again_after_a_boot(
        self, did: list[str], host: Host, tmp_path: Path, steps: dict[str, str], is_needed: bool
    ) -> None:
        """The release that serves until then has a gateway alone, and a boot removes what is not of it."""
        host.old = True
        state = begun(tmp_path, language_first=True)
        state.keep(phase="begun", steps={name: {"state": one} for name, one in {"beside": "done", **steps}.items()})
        settled(tmp_path, state)
        assert ("ollama starts" in did) is is_needed

    def test_nowhere_else(self, did: list[str], tmp_path: Path) -> None:
        takeover.language_beside(tmp_path, begun(tmp_path), Journal(tmp_path / "j", "me@here"), lambda _: None)
        assert did == []
