"""Runs after one another: each waits for what the one before left at work, and says what it does otherwise."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.target import Target
from ai_services.host.values import Given
from ai_services.migrate import do, undo
from ai_services.migrate.host_tool import HostTool, ToolError
from ai_services.migrate.steps import Step, Work

from .worlds import GIVEN


class Host:
    """The host's half: what it is asked, and what it says."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.busy: list[list[str]] = []
        self.state: dict[str, Any] = {
            "id": "x", "phase": "begun", "steps": {},
            "order": {
                "id": "x", "settings": dict(GIVEN), "plan": {}, "old": {"name": "old", "containers": [], "units": []},
            },
        }  # fmt: skip
        self.fails = ""
        self.back: dict[str, str] | None = None

    def call(self, command: str, *arguments: str, **_: Any) -> dict[str, Any]:
        self.asked.append((command, *arguments))
        if command == "state":
            return {"state": self.state, "busy": self.busy.pop(0) if self.busy else []}
        if command == "gone":
            return {"back": self.back}
        return {"state": self.state, "lines": [], "running": False, "changed": [], "in_flight": 0, "gone": []}

    def follow(self, command: str, *_: Any) -> None:
        self.asked.append(("follow", command))
        if self.fails:
            raise ToolError(self.fails)

    def long(self, command: str, *_: Any) -> None:
        self.asked.append(("follow", command))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    made = Host()
    for name, told in (("call", made.call), ("follow", made.follow), ("long", made.long)):
        monkeypatch.setattr(HostTool, name, lambda _, *words, told=told, **more: told(*words, **more))
    for name in ("bring", "lock", "release"):
        monkeypatch.setattr(HostTool, name, lambda *_: None)
    monkeypatch.setattr(do.steps, "carry_out", lambda work: None)  # type: ignore[attr-defined]  # what `do` imports
    monkeypatch.setattr(Work, "play", lambda *_, **__: None)
    return made


def around(tmp_path: Path) -> tuple[dict[str, Any], io.StringIO]:
    screen, said = Screen(), io.StringIO()
    screen.console = Console(file=said, width=400)
    target: Any = Target("gpu-1")
    remote: Any = None
    words = {"remote": remote, "target": target, "screen": screen, "log": tmp_path / "log", "again": "gpu-1"}
    return words, said


@pytest.mark.parametrize("verb", [do.resume, do.roll_back, do.finalize])
def test_it_waits_for_what_a_dead_run_left_at_work(host: Host, tmp_path: Path, verb: Any) -> None:
    """Both would write the same state; a rollback begun meanwhile was forgotten by it."""
    host.state["phase"] = "migrated"
    host.busy, host.fails = [["whisper"], ["settle"]], "It was cut off on the host"
    words, said = around(tmp_path)
    verb(**words)
    assert host.asked[:4] == [("state",), ("follow", "whisper"), ("state",), ("follow", "settle")]
    assert "still at work on: whisper" in said.getvalue()
    assert "It was cut off on the host" in said.getvalue()


def test_what_is_given_otherwise_than_in_the_plan_is_said(host: Host, tmp_path: Path) -> None:
    """Another machine's ai.yml may be another host's."""
    words, said = around(tmp_path)
    given = Given()
    given.put("ai_ollama_model", "qwen2.5:7b", "from ai.yml")
    given.put("ai_github_owner", "octo-org", "from ai.yml")
    do.resume(given=given, **words)
    assert "ai_ollama_model is qwen2.5:7b now (from ai.yml), and was gemma3:270m in the plan." in said.getvalue()
    assert "ai_github_owner is" not in said.getvalue()


def test_no_file_of_this_machine_is_taken_by_the_hosts_word(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order lies on the host: one in strangers' hands would be sent whatever it names."""
    own = tmp_path / "ca.pem"
    own.write_text("-----BEGIN CERTIFICATE-----\nmine\n")
    host.state["order"]["settings"]["ai_extra_ca_file"] = str(own)
    taken: list[str | None] = []
    words, _ = around(tmp_path)
    steps: Any = vars(do)["steps"]
    monkeypatch.setattr(steps, "carry_out", lambda work: taken.append(work.settings.ai_extra_ca_file))
    do.resume(**words)
    do.resume(known={"ai_extra_ca_file": str(own)}, **words)
    assert [bool(one) for one in taken] == [False, True]


def test_what_was_half_made_final_is_not_taken_back(host: Host, tmp_path: Path) -> None:
    host.state |= {"phase": "migrated", "finalizing": True}
    words, _ = around(tmp_path)
    with pytest.raises(OperatorError, match="being made final") as caught:
        do.roll_back(**words)
    assert caught.value.exit_code == BLOCKED
    assert "--finalize" in (caught.value.hint or "")


class TestNothingThere:
    def test_a_way_back_that_was_gone_already_is_no_failure(self, host: Host, tmp_path: Path) -> None:
        """Its operator was killed in the last step, and does not know."""
        host.state, host.back = {}, {"time": "2026-11-22T04:36:00.000Z", "by": "ann@laptop"}
        words, said = around(tmp_path)
        assert do.roll_back(**words).what == "rolled back"
        assert "ann@laptop took it back at 2026-11-22T04:36:00.000Z" in said.getvalue()
        assert host.asked == [("state",), ("state",), ("gone",)]

    @pytest.mark.parametrize("verb", [do.roll_back, do.finalize])
    def test_one_that_never_was_is_refused(self, host: Host, tmp_path: Path, verb: Any) -> None:
        host.state, host.back = {}, None if verb is do.roll_back else {"time": "t", "by": "ann@laptop"}
        words, _ = around(tmp_path)
        with pytest.raises(OperatorError, match="There is no migration on this host") as caught:
            verb(**words)
        assert caught.value.exit_code == BLOCKED


class TestUndo:
    def test_each_step_is_written_down_before_and_after(self, host: Host, tmp_path: Path) -> None:
        words, _ = around(tmp_path)
        do.roll_back(**words)
        marks = [one[1:] for one in host.asked if one[0] == "mark"]
        assert marks == [
            ("undo:drain", "begun"), ("undo:drain", "done"), ("undo:ours", "begun"), ("undo:ours", "done"),
        ]  # fmt: skip
        assert host.asked.index(("phase", "undoing")) < host.asked.index(("follow", "undo-old"))

    def test_one_that_fails_says_so_on_the_host(
        self, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Work) -> None:
            raise OperatorError("no way", exit_code=1)

        monkeypatch.setattr(undo, "UNDO", (Step("undo:ours", "Ours goes", fail),))
        words, _ = around(tmp_path)
        with pytest.raises(OperatorError, match="Going back stopped at 'undo:ours': no way"):
            do.roll_back(**words)
        assert ("mark", "undo:ours", "failed", "no way") in host.asked

    def test_it_needs_nothing_of_the_machine_that_began(self, host: Host, tmp_path: Path) -> None:
        """Files of tokens and certificates lie there."""
        host.state["order"]["settings"] |= {
            "ai_tls": "letsencrypt", "ai_domain": "ai.example.com", "ai_cloudflare_token_file": "/nowhere/token",
        }  # fmt: skip
        words, _ = around(tmp_path)
        do.roll_back(**words)
        assert host.asked[-1] == ("sweep",)
