"""B.3: a host's releases are asked for over one session; a lost one is taken up, a dead run's change waited for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import connect, named_files, stack_tool
from ai_services.host.playbook import Run
from ai_services.host.releases import Releases
from ai_services.host.remote import Done, LostError, Remote
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.verbs import deploy, rollback, upgrade

pytestmark = pytest.mark.promise("B.3")

SAID: list[dict[str, Any]] = [
    {"say": "engine:whisper-api"},
    {"say": "gateway:switch"},
    {"end": "done", "done": ["it serves"], "release": "b" * 12, "before": "a" * 12},
]
ROW = {"id": "b" * 12, "version": "0.1.0", "created": "2026-01-01T00:00:00Z", "state": "serves", "why": ""}


@dataclass
class Host:
    """The tool on a host, and the sessions that were opened to it. `lost_after`: a session ends after so many lines."""

    lost_after: int | None = None
    sessions: int = 0
    settings: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def open(self, *_: object) -> Host:
        self.sessions += 1
        return self

    def close(self) -> None:
        """Nothing to close."""

    def run(self, command: str, **_: object) -> Done:
        self.asked.append(command)
        if command.startswith("test"):
            return Done(0, b"there\ndeployed\n", b"")
        if command.startswith("cat"):
            return Done(0, json.dumps({"settings": self.settings, "accelerator": "cpu"}).encode(), b"")
        words = command.split()[3]
        answer = {"history": {"releases": [ROW], "journal": [], "back": None}, "rollback": {"run": "abcdef123456"}}
        return Done(0, json.dumps(answer[words]).encode(), b"")

    def lines(self, command: str, **_: object) -> Iterator[str]:
        self.asked.append(command)
        seen = int(command.rsplit(maxsplit=1)[-1])
        for number, line in enumerate(SAID[seen:]):
            if self.lost_after == number:
                self.lost_after = None
                raise LostError("gone")
            yield json.dumps(line)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host()
    monkeypatch.setattr(Remote, "open", host.open)
    monkeypatch.setattr("ai_services.host.releases.time.sleep", lambda _: None)
    return host


def test_a_rollback_is_one_session(host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A handshake takes a second of a busy host, and all of a rollback thirty."""
    monkeypatch.setenv("AI_HOME", str(tmp_path))
    monkeypatch.setattr(connect, "reach", lambda target, *_, **__: target)
    assert rollback.run(rollback.Wish("gpu-1")) == 0
    assert host.sessions == 1


def test_a_lost_session_is_opened_anew_and_no_word_comes_twice(host: Host) -> None:
    host.lost_after = 1
    told: list[str] = []
    end = Releases(Target("gpu-1"), Screen()).change(["rollback"], lambda line: told.append(line["say"]))
    assert end["release"] == "b" * 12
    assert told == ["engine:whisper-api", "gateway:switch"]
    assert host.sessions == 2
    assert host.asked[-1].endswith("--seen 1")


def test_a_host_that_is_away_is_said_once_a_while_and_given_up_at_last(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 10_000, 2))

    def gone(*_: object, **__: object) -> Iterator[str]:
        raise LostError("gone")

    monkeypatch.setattr("ai_services.host.releases.time.monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(host, "lines", gone)
    with pytest.raises(OperatorError, match="has not come back") as error:
        Releases(Target("gpu-1"), Screen()).change(["rollback"], lambda _: None)
    assert "./ai history gpu-1" in str(error.value.hint)
    assert 2 <= capfd.readouterr().out.count("Trying again") <= 11


@pytest.mark.parametrize("begun", [True, False])
def test_a_session_that_is_lost_when_it_is_asked_for_asks_no_second_time(
    host: Host, monkeypatch: pytest.MonkeyPatch, begun: bool
) -> None:
    """Once more, a rollback goes forward again."""
    answer = host.run

    def run(command: str, **more: object) -> Done:
        if " rollback " in command:
            host.asked.append(command)
            raise LostError("gone")
        if command.startswith("test -e"):
            return Done(0 if begun else 1, b"", b"")
        return answer(command, **more)

    monkeypatch.setattr("ai_services.host.releases._BEGINS_S", 0.05)
    monkeypatch.setattr(host, "run", run)
    releases = Releases(Target("gpu-1"), Screen())
    if begun:
        assert releases.change(["rollback"], lambda _: None)["release"] == "b" * 12
    else:
        with pytest.raises(OperatorError, match="not known") as error:
            releases.change(["rollback"], lambda _: None)
        assert "./ai history gpu-1" in str(error.value.hint)
    assert len([one for one in host.asked if " rollback " in one]) == 1


@dataclass
class Looked:
    """What `running` answers to the first look by ssh."""

    stdout: str


def looks(monkeypatch: pytest.MonkeyPatch, **answer: object) -> list[str]:
    asked: list[str] = []

    def run(_: Target, command: str, **__: object) -> Looked:
        asked.append(command)
        return Looked(json.dumps(answer) if answer else "")

    monkeypatch.setattr(Target, "run", run)
    return asked


ORPHAN = {"run": "abcdef123456", "orphan": True, "owner": {"user": "ann", "host": "laptop"}, "why": "upgrade to 0.2.0"}


def test_what_a_dead_operator_began_is_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = looks(monkeypatch, **ORPHAN)
    Releases(Target("gpu-1"), Screen()).wait_for_orphan()
    assert stack_tool.PLACE in asked[0]
    said = capsys.readouterr().out
    assert "ann on laptop" in said
    assert "upgrade to 0.2.0" in said
    assert "gateway:switch" in said


@pytest.mark.parametrize("answer", [{}, {"run": None, "orphan": True}, {"run": "abcdef123456", "orphan": False}])
def test_where_nothing_is_an_orphan_nothing_is_waited_for(
    host: Host, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    """A bare host has no tool at all; a living run is refused by the lock, which names it."""
    looks(monkeypatch, **answer)
    Releases(Target("gpu-1"), Screen()).wait_for_orphan()
    assert host.sessions == 0


@pytest.mark.parametrize(("check", "waited"), [(False, True), (True, False)])
def test_a_deploy_waits_for_it_too(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: bool, waited: bool
) -> None:
    monkeypatch.setenv("AI_HOME", str(tmp_path))
    looks(monkeypatch, **ORPHAN)
    order: list[str] = []

    def go(*_: object) -> int:
        order.append("ansible" if host.sessions == waited else "too early")
        raise OperatorError("that far")

    monkeypatch.setattr(connect, "reach", lambda target, *_, **__: target)
    monkeypatch.setattr(Run, "go", go)
    settings = {"ai_domain": "ai.example.com", "ai_tls": "off", "ai_github_owner": "octo-org"}
    with pytest.raises(OperatorError, match="that far"):
        deploy.run(deploy.Wish("gpu-1", settings, check=check))
    assert order == ["ansible"]


def test_an_upgrade_says_which_files_are_on_another_machine(
    host: Host, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A certificate authority that is left out without a word is missed only when nothing can be downloaded."""
    monkeypatch.setenv("AI_HOME", str(tmp_path))
    monkeypatch.setattr(connect, "reach", lambda target, *_, **__: target)
    looks(monkeypatch)
    here = tmp_path / "keys"
    here.write_text("x" * 40)
    here.chmod(0o600)
    host.settings = {
        "ai_domain": "ai.example.com", "ai_tls": "off", "ai_github_owner": "octo-org",
        "ai_extra_ca_file": "/home/ann/ca.pem", "ai_api_keys_file": str(here),
    }  # fmt: skip

    def go(*_: object) -> int:
        raise OperatorError("that far")

    monkeypatch.setattr(Run, "go", go)
    with pytest.raises(OperatorError, match="that far"):
        upgrade.run(upgrade.Wish("gpu-1", check=True))
    said = capsys.readouterr().out
    assert "ai_extra_ca_file was /home/ann/ca.pem, which is not on this machine" in said
    assert "--set ai_extra_ca_file=FILE" in said
    assert f"ai_api_keys_file was {here}, and nobody has named that here for this host" in said

    named_files.remember(Home.current(), Target("gpu-1"), {"ai_api_keys_file": str(here)})
    with pytest.raises(OperatorError, match="that far"):
        upgrade.run(upgrade.Wish("gpu-1", check=True))
    assert "ai_api_keys_file was" not in capsys.readouterr().out


def test_who_is_refused_is_told_by_whom(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {"end": "failed", "message": "Nothing was changed. ann on laptop has been at work", "code": 4}
    monkeypatch.setattr(
        Host, "run",
        lambda _, command, **__: Done(4, b"there deployed" if "test" in command else json.dumps(refused).encode(), b""),
    )  # fmt: skip
    with pytest.raises(OperatorError, match="ann on laptop") as error:
        Releases(Target("gpu-1"), Screen()).change(["rollback"], lambda _: None)
    assert error.value.exit_code == BLOCKED
