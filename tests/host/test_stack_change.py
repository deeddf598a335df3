"""A change that is cut off anywhere: callers are answered all the while, and the next run comes to one end (B.3).

Docker and the gateway are stood in for by a table of containers, so that every line can be the last one; the real ones
are changed in test_upgrade.py and test_matrix.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pkgutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_stack import compose, engines, history, observe, switch, tool
from ai_stack.activate import ActivationError, activate
from ai_stack.journal import Journal
from ai_stack.lock import Lock
from ai_stack.releases import Store
from ai_stack.runs import Teller, read

from host.stack_world import WANTED, Host, Killed, hosts

__all__ = ["hosts"]
pytestmark = pytest.mark.promise("B.3")


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


def test_a_gateway_that_does_not_reach_the_engines_is_never_asked(hosts: Callable[[], Host]) -> None:
    """Its own health says nothing of the network that it is in; callers would be answered with 502."""
    host = hosts()
    host.world.blind.add("g2")
    before = switch.chosen(host.root)
    with pytest.raises(ActivationError, match="does not reach ollama, whisper-api, and the one before does"):
        host.activate("B")
    host.serves("A")
    assert switch.chosen(host.root) == before


@pytest.mark.parametrize(
    ("accepted", "called"), [(True, ["nginx -t -q", "systemctl reload-or-restart nginx"]), (False, ["nginx -t -q"])]
)
def test_no_gateway_is_exchanged_behind_an_nginx_that_does_not_know_of_it(
    hosts: Callable[[], Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accepted: bool, called: list[str]
) -> None:
    """A deploy was killed between nginx's files and its reload: nginx looks at no switch, and asks for what is gone."""
    host, asked = hosts(), list[str]()
    owed = tmp_path / "nginx-reload"
    owed.touch()

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(words))
        return subprocess.CompletedProcess(words, 0 if accepted else 1, "", "unknown directive")

    monkeypatch.setattr(switch, "OWED", owed)
    monkeypatch.setattr(subprocess, "run", run)
    if accepted:
        host.activate("B")
        host.serves("B")
    else:
        with pytest.raises(ActivationError, match=r"unknown directive(.|\n)*serves again"):
            host.activate("B")
        host.serves("A")
    assert asked[: len(called)] == called
    assert owed.exists() is not accepted


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


@pytest.mark.parametrize(("busy", "waits"), [(True, True), (False, False)])
def test_results_of_an_old_api_are_fetched_before_they_go(
    hosts: Callable[[], Host], monkeypatch: pytest.MonkeyPatch, busy: bool, waits: bool
) -> None:
    """A task that ends under the pause: its caller asks a moment later, and would hear that there is no such task."""
    host, seen = hosts(), list[tuple[float, list[str]]]()
    call = host.world.call

    def answer(port: int, path: str, timeout_s: float) -> dict[str, Any]:
        return {"currently_busy": busy} if path == "/api/v1/decoder_status" else call(port, path, timeout_s)

    monkeypatch.setattr(host.world, "call", answer)
    monkeypatch.setattr(time, "sleep", lambda s: seen.append((s, host.world.running()["whisper-api"])))
    host.activate("B")
    assert ((engines._FETCHED_WITHIN_S, ["w1"]) in seen) is waits


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
