"""What `./ai deploy` shows of a run: phases with their times, the plan, long tasks, the one reason why it stopped.

recorded_deploy.jsonl is what plugins/callback/ai_events.py wrote in a real first deploy of a laboratory host.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ai_services.console import Screen
from ai_services.exits import BLOCKED, FAILED
from ai_services.host.phases import HEARTBEAT_S, Story, duration, progress_words
from ai_services.host.target import Target
from ai_services.verbs.deploy import failed

RECORDED = [json.loads(line) for line in Path(__file__).with_name("recorded_deploy.jsonl").read_text().splitlines()]


class Told:
    """A story on a screen that is a text, at a time that the test decides."""

    def __init__(self, *, checking: bool = False) -> None:
        self.text, self.now = io.StringIO(), 0.0
        screen = Screen()
        screen.console, screen.live = Console(file=self.text, width=200, highlight=False, soft_wrap=True), False
        self.story = Story(screen, checking=checking, now=lambda: self.now)

    def take(self, event: str, **content: Any) -> None:
        self.story.take({"event": event, "time": self.now, "host": "h", **content})

    def task(self, role: str, task: str, seconds: float, status: str = "ok", **more: Any) -> None:
        self.take("task", role=role, task=task)
        self.now += seconds
        self.take("result", role=role, task=task, status=status, message=more.pop("message", ""), hidden=False, **more)

    def lines(self) -> list[str]:
        return self.text.getvalue().splitlines()


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_recorded_deploy() -> None:
    told = Told()
    for event in RECORDED:
        told.now = event["time"]
        told.story.take(event)
        told.story.tick()
    told.story.close()
    lines = told.lines()
    phases = [line.split("  ")[0] for line in lines if line.startswith("✔")]
    assert phases == [
        "✔ Looking at the host", "✔ Base system", "✔ Docker", "✔ Certificate", "✔ nginx", "✔ Services and models",
        "✔ Firewall", "✔ Asking from outside",
    ]  # fmt: skip
    assert "The plan:" in lines
    assert any("has no NVIDIA GPU" in line for line in lines)
    assert any("pulling gemma3:270m" in line and "MiB" in line for line in lines), "progress of a long task"
    assert len(told.story.told.verified) > 10
    assert all(check["ok"] for check in told.story.told.verified)
    assert not told.story.told.failures
    assert told.story.told.changed == sum(1 for e in RECORDED if e["event"] == "result" and e["status"] == "changed")
    by_name = {phase.name: phase.seconds for phase in told.story.told.phases}
    whole = RECORDED[-1]["time"] - RECORDED[0]["time"]
    assert sum(by_name.values()) == pytest.approx(whole, rel=0.1), "the times of the phases make up the run"
    assert not any("\x1b" in line for line in lines)


def test_the_plan_is_shown_once_whatever_its_phase_does_after_it(told: Told) -> None:
    told.take("play", name="Preflight", hosts=["h"])
    told.take("plan", plan=["Docker is installed."], warnings=[], refusals=[])
    told.task("", "Look at the host and plan", 1)
    told.task("", "See that nobody else is at work on this host", 1)
    told.task("base", "Install", 1)
    assert [line.split("  ")[0] for line in told.lines() if line.startswith("✔")] == ["✔ Looking at the host"]
    assert told.lines().count("The plan:") == 1
    assert [phase.name for phase in told.story.told.phases] == ["Preflight", "base"]
    assert told.story.told.phases[0].seconds == 2


def test_a_host_where_somebody_is_at_work_is_refused_after_the_plan(told: Told) -> None:
    told.take("play", name="Preflight", hosts=["h"])
    told.take("plan", plan=["Docker is installed."], warnings=[], refusals=[])
    told.task("", "Look at the host and plan", 1)
    told.task("", "See that nobody else is at work on this host", 1, "failed", message="ann is at work here")
    told.story.close()
    assert [line.split("  ")[0] for line in told.lines() if line[:1] in "✔✘" and line] == [
        "✔ Looking at the host",
        "✘ Looking at the host",
    ]
    error = failed(told.story, Target.parse("h.test"), Path("log"), "deploy")
    assert (error.exit_code, error.message) == (BLOCKED, "ann is at work here")


def test_a_second_run_says_that_all_is_as_it_should_be(told: Told) -> None:
    told.take("play", name="Host")
    told.task("base", "Install", 2.0)
    told.task("docker", "Install", 75.0, "changed")
    told.story.close()
    assert told.lines() == [
        "✔ Base system               2.0 s   as it should be",
        "✔ Docker                 1 min 15 s   1 changed",
    ]


def test_in_check_mode_nothing_is_said_to_have_changed() -> None:
    told = Told(checking=True)
    told.task("nginx", "Write the site", 1.0, "changed")
    told.story.close()
    assert told.lines() == ["✔ nginx                     1.0 s   1 would change"]


def test_a_phase_of_which_nothing_was_done_is_not_shown(told: Told) -> None:
    told.task("nvidia_driver", "Install", 0.1, "skipped")
    told.task("nginx", "Install", 1.0)
    told.story.close()
    assert [line.split()[1] for line in told.lines()] == ["nginx"]


def test_a_long_task_shows_how_long(told: Told) -> None:
    told.take("task", role="docker", task="Install Docker")
    for _ in range(40):
        told.now += 1
        told.story.tick()
    assert told.lines() == ["  … Docker: Install Docker (15 s)", "  … Docker: Install Docker (30 s)"]
    assert HEARTBEAT_S == 15


def test_a_task_that_tells_how_far_it_is(told: Told) -> None:
    told.take("task", role="ai_stack", task="Pull the language model")
    told.now = 20.0
    told.take(
        "retry", role="ai_stack", task="x", progress={"text": "pulling m", "done": 512 << 20, "total": 2048 << 20}
    )
    told.story.tick()
    assert told.lines() == ["  … Services and models: pulling m, 512 of 2048 MiB (25 %) (20 s)"]


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        ({"text": "pulling m"}, "pulling m"),
        ({"text": "m", "done": 1 << 20, "total": 0}, "m"),
        ({"text": "m", "done": 3 << 20, "total": 2 << 20}, "m, 3 of 2 MiB (100 %)"),
    ],
)
def test_progress_in_words(progress: dict[str, Any], words: str) -> None:
    assert progress_words(progress) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


class TestWhyItStopped:
    @pytest.fixture
    def error_of(self, told: Told, tmp_path: Path) -> Callable[..., Any]:
        log = tmp_path / "a.log"
        log.write_text("Ansible's last words\n")

        def made(**result: Any) -> Any:
            told.take("play", name=result.pop("play", "Host"))
            told.task(result.pop("role", ""), result.pop("task", "Do it"), 1.0, **result)
            told.story.close()
            return failed(told.story, Target("gpu-1", "deployer"), log, "deploy")

        return made

    def test_a_step_that_failed(self, error_of: Callable[..., Any]) -> None:
        error = error_of(role="docker", task="Install Docker", status="failed", message="No space is left.\nFree some.")
        assert error.message == "Docker: Install Docker failed.\n  No space is left.\n  Free some."
        assert "a second run goes on from here: ./ai deploy deployer@gpu-1" in error.hint
        assert "a.log" in error.hint
        assert error.exit_code == FAILED

    def test_a_secret_is_not_shown(self, told: Told, error_of: Callable[..., Any]) -> None:
        told.take("task", role="ai_stack", task="Write the token")
        told.take("result", role="ai_stack", task="Write the token", status="failed", message="", hidden=True)
        error = error_of(role="ai_stack", task="Other", status="ok")
        assert "it handles a secret" in error.message

    def test_a_refusal_is_no_failure_of_a_step(self, error_of: Callable[..., Any]) -> None:
        error = error_of(play="Preflight", status="failed", message="This host cannot become what was asked for.")
        assert error.message == "This host cannot become what was asked for."
        assert error.exit_code == BLOCKED

    def test_a_host_that_is_lost_on_the_way(self, error_of: Callable[..., Any]) -> None:
        said = "Failed to connect to the host via ssh: ssh: connect to host gpu-1 port 22: Connection timed out"
        error = error_of(role="nginx", task="Install", status="unreachable", message=said)
        assert "During 'Install' the host was lost: deployer@gpu-1 cannot be reached" in error.message
        assert "a second run goes on" in error.hint
        assert error.exit_code == BLOCKED

    def test_many_wrong_answers_are_not_all_repeated(self, error_of: Callable[..., Any]) -> None:
        message = "\n".join(["The host does not answer as it should:", *(f"/route{n}: no answer" for n in range(20))])
        error = error_of(play="Verify", status="failed", message=message)
        assert "/route2: no answer" in error.message
        assert "/route15" not in error.message
        assert "and 16 more; the log has them" in error.message

    def test_without_any_event(self, told: Told, tmp_path: Path) -> None:
        log = tmp_path / "a.log"
        log.write_text("ERROR! something about the playbook\n")
        error = failed(told.story, Target("gpu-1"), log, "deploy")
        assert "something about the playbook" in error.detail
