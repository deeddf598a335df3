"""The moment in which our speech service takes over from the old one: callers wait for all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ai_stack import engines
from ai_stack.journal import Journal, read
from ai_stack.migration import front, takeover
from ai_stack.migration.old import Old
from ai_stack.migration.state import MigrationError, State
from ai_stack.reserve import Reserve


@pytest.fixture
def did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done, in order, to a host that is none."""
    done: list[str] = []
    compose = SimpleNamespace(
        up_service=lambda name: done.append(f"{name} starts"), wait_healthy=lambda *_: None,
        remove_service=lambda name: done.append(f"{name} goes"),
    )  # fmt: skip
    store = SimpleNamespace(switch=lambda release: done.append(f"current {release}"))

    @contextlib.contextmanager
    def waiting(*_: Any) -> Iterator[None]:
        done.append("pause")
        try:
            yield
        finally:
            done.append("resume")
            # As the journal has it at that moment.
            done.append(str(read(tmp_path / "journal.jsonl")[-1]["state"]))

    def change_of(*_: Any) -> Any:
        return SimpleNamespace(compose=compose, store=store, release="whole", say=done.append)

    monkeypatch.setattr(takeover, "change_of", change_of)
    monkeypatch.setattr(takeover, "whole", lambda _: "whole")
    monkeypatch.setattr(takeover, "admin_of", lambda _: None)
    monkeypatch.setattr(takeover, "waiting", waiting)
    monkeypatch.setattr(engines, "_settle", lambda *_: done.append("rests"))
    monkeypatch.setattr(engines, "prove", lambda *_: done.append("ours is heard"))
    monkeypatch.setattr(front, "subnets", lambda _: [])
    monkeypatch.setattr(Reserve, "of", lambda root, _: Reserve({root: 1}))
    for name, answer in (("left", 0), ("has_finished", True), ("step_aside", None), ("works", None)):
        monkeypatch.setattr(Old, name, lambda *_, answer=answer: answer)
    monkeypatch.setattr(Old, "stop", lambda *_: done.append("old stops"))
    monkeypatch.setattr(Old, "start", lambda _: done.append("old starts"))
    return done


def take_over(root: Path) -> State:
    old = {"api": "asr", "containers": [], "units": [], "port": 9000}
    state = State.begin(root, {"id": "20261121-210000-abcdef", "old": old})
    takeover.speech(root, state, Journal(root / "journal.jsonl", "me@here"), b"", lambda _: None)
    return state


def test_callers_go_on_when_it_is_written_down_that_ours_serves(did: list[str], tmp_path: Path) -> None:
    """A run that is killed before is undone: the old service starts again, and ours goes, under whoever had gone on."""
    assert take_over(tmp_path).of("whisper") == "done"
    assert did == [
        "pause", "rests", "old stops", "whisper-api starts", "ours is heard", "current whole", "resume", "done",
    ]  # fmt: skip


def test_or_that_it_does_not(did: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(*_: Any) -> None:
        raise MigrationError("whisper-api hears nothing")

    monkeypatch.setattr(engines, "prove", deaf)
    with pytest.raises(MigrationError, match=r"(?s)hears nothing.*The old service serves again"):
        take_over(tmp_path)
    assert did[-4:] == ["whisper-api goes", "old starts", "resume", "failed"]


def test_what_is_asked_while_callers_wait_gets_no_more_time_than_they_have(
    did: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes for an answer would be over only when they have been refused, and the old service not yet back."""
    given: list[float] = []

    def prove(change: Any, service: str, admin: Any, limit_s: float = engines._PROBE_S) -> None:
        given.append(limit_s)

    monkeypatch.setattr(engines, "prove", prove)
    take_over(tmp_path)
    assert did[-1] == "done"
    assert 0 < given[0] <= engines.HEALTHY_WITHIN_S
