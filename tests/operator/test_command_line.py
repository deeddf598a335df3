"""`ai`'s own words: help, exit codes, JSON, and what it says when it is told something that is not so."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from support.stack import wait_until
from typer.main import get_command

from ai_services import __version__, exits
from ai_services.cli import app
from ai_services.exits import OperatorError
from ai_services.local import lifecycle, lock, ports
from ai_services.local.home import Home, write_atomically
from ai_services.local.lifecycle import Wish
from ai_services.local.state import Llm, Speech, Stack
from ai_services.verbs import deploy, destroy, logs
from ai_services.verbs.host import HostWish

VERBS = ("up", "down", "status", "logs", "restart", "test", "version")


def ai(home: Home | Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    place = home.root if isinstance(home, Home) else home
    return subprocess.run(
        [sys.executable, "-m", "ai_services.cli", *arguments],
        env={**os.environ, "AI_HOME": str(place), "COLUMNS": "120", **extra},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_host_is_named_in_the_same_words_whatever_is_done_to_it() -> None:
    """The option of every member that deploy and destroy have in common: spelled and explained alike."""
    said = {
        verb: {
            parameter.name: (parameter.opts, parameter.required, getattr(parameter, "help", ""))
            for parameter in command.params
        }
        for verb, command in get_command(app).commands.items()  # type: ignore[attr-defined]  # a group, said to be a command
        if verb in ("deploy", "destroy")
    }
    options = [{member.name for member in fields(wish)} for wish in (deploy.Wish, destroy.Wish)]
    shared = set.intersection(*options)
    assert shared == {member.name for member in fields(HostWish)}
    shared.remove("options")
    assert {name: said["deploy"][name] for name in shared} == {name: said["destroy"][name] for name in shared}


class TestHelp:
    def test_names_every_verb_and_exit_code(self, home: Home) -> None:
        said = ai(home, "--help").stdout
        for verb in VERBS:
            assert re.search(rf"^│ {verb} ", said, re.MULTILINE), verb
        codes = {int(code) for code in re.findall(r"^\s+(\d+)  \S", said, re.MULTILINE)}
        assert codes == set(exits.MEANINGS)

    @pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "version"])
    def test_has_examples(self, home: Home, verb: str) -> None:
        said = ai(home, verb, "--help").stdout
        assert f"./ai {verb}" in said.partition("Examples:")[2]

    def test_needs_no_home(self) -> None:
        assert ai(Path("/proc/nowhere"), "--help").returncode == 0

    def test_no_colour_where_none_is_wanted(self, home: Home) -> None:
        assert "\x1b" not in ai(home, "--help", NO_COLOR="1").stdout


class TestWrongUse:
    @pytest.mark.parametrize("arguments", [("upp",), ("up", "--port", "0"), ("up", "--port", "x"), ("status", "-x")])
    def test_is_exit_code_2(self, home: Home, arguments: tuple[str, ...]) -> None:
        assert ai(home, *arguments).returncode == exits.USAGE

    def test_unknown_backend(self, home: Home) -> None:
        done = ai(home, "up", "--llm-backend", "vllm")
        assert done.returncode == exits.USAGE
        assert "auto, ollama or llama.cpp" in done.stderr

    def test_unknown_component(self, home: Home) -> None:
        done = ai(home, "logs", "whisper")
        assert done.returncode == exits.USAGE
        assert "gateway" in done.stderr

    def test_unknown_model_names_near_ones(self, home: Home) -> None:
        done = ai(home, "up", "--whisper-model", "large-v3-turb", "--port", str(ports.free_port()))
        assert done.returncode == exits.BLOCKED
        assert "did you mean large-v3-turbo" in done.stderr
        assert not home.run.exists(), "nothing is left of the attempt"

    def test_a_home_that_cannot_be(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        done = ai(tmp_path / "file" / "home", "up")
        assert done.returncode == exits.BLOCKED
        assert "AI_HOME=" in done.stderr
        assert "Traceback" not in done.stderr


class TestNothingRuns:
    def test_status(self, home: Home) -> None:
        done = ai(home, "status", "--json")
        assert done.returncode == exits.NOT_RUNNING
        told = json.loads(done.stdout)
        assert told["state"] == "stopped"
        assert told["components"] == []
        assert told["version"] == __version__

    def test_restart(self, home: Home) -> None:
        done = ai(home, "restart")
        assert done.returncode == exits.NOT_RUNNING
        assert "./ai up" in done.stderr

    def test_logs(self, home: Home) -> None:
        assert ai(home, "logs").returncode == exits.NOT_RUNNING

    def test_down(self, home: Home) -> None:
        done = ai(home, "down")
        assert done.returncode == exits.OK
        assert "Nothing was running" in done.stdout

    def test_version(self, home: Home) -> None:
        assert ai(home, "version").stdout == f"ai-services {__version__}\n"
        assert json.loads(ai(home, "version", "--json").stdout)["version"] == __version__


def test_a_second_one_is_told_who_is_at_work(home: Home) -> None:
    with lock.exclusive(home, "up"):
        done = ai(home, "down")
    assert done.returncode == exits.BLOCKED
    assert f"`ai up`, pid {os.getpid()}" in done.stderr
    assert ai(home, "down").returncode == exits.OK, "the lock is gone with its holder"


def test_the_lock_dies_with_its_owner(home: Home) -> None:
    code = (
        "import sys, time; from ai_services.local import lock; from ai_services.local.home import Home\n"
        "with lock.exclusive(Home.current(), 'up'): print('held', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "held\n"
        with pytest.raises(OperatorError, match="Another ai works"), lock.exclusive(home, "down"):
            pass
        owner.kill()
    with lock.exclusive(home, "down"):
        assert (home.root / "lock.json").exists()
    assert not (home.root / "lock.json").exists()


class TestDifferences:
    """`up` with other options while it is up says what differs."""

    STACK = Stack(
        "0", "/h", "127.0.0.1", 8080, Speech("tiny.en", "/m"), Llm("gemma3:270m", "llama.cpp", "x"), {}, "", "t",
        asked={"whisper_model": None, "llm": None, "unload_after_s": None},
    )  # fmt: skip

    @pytest.mark.parametrize(
        ("wish", "said"),
        [
            (Wish(), []),
            (Wish(port=8080, host="127.0.0.1", whisper_model="tiny.en", llm="gemma3:270m"), []),
            (Wish(llm_backend="auto"), []),
            (Wish(port=9000), ["--port is 8080, not 9000"]),
            (Wish(llm="qwen2.5:3b"), ["--llm is gemma3:270m, not qwen2.5:3b"]),
            (Wish(llm_backend="ollama"), ["--llm-backend is llama.cpp, not ollama"]),
            (Wish(unload_after_s=60), ["--unload-after is never, not 60"]),
        ],
    )
    def test_are_named(self, wish: Wish, said: list[str]) -> None:
        assert lifecycle.differences(self.STACK, wish) == said


class TestLogs:
    def test_last_lines_of_one(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        home.create()
        (home.logs / "gateway.log").write_text("".join(f"line {n}\n" for n in range(100)))
        assert logs.run("gateway", lines=2) == 0
        assert capsys.readouterr().out == "line 98\nline 99\n"

    def test_all_are_labelled(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        home.create()
        for name in ("gateway", "llm"):
            (home.logs / f"{name}.log").write_text(f"from {name}\n")
        assert logs.run(None) == 0
        assert set(capsys.readouterr().out.splitlines()) == {"gateway | from gateway", "llm | from llm"}

    def test_follow_goes_on_over_a_rotation(self, home: Home) -> None:
        home.create()
        file = home.logs / "gateway.log"
        file.write_text("before\n")
        out = home.tmp / "out"
        with (
            out.open("w") as stream,
            subprocess.Popen(
                [sys.executable, "-m", "ai_services.cli", "logs", "gateway", "-f"], stdout=stream
            ) as follower,
        ):
            wait_until(lambda: "before\n" in out.read_text(), "what is there is shown", 20)
            with file.open("a") as log:
                log.write("added\n")
            wait_until(lambda: "added\n" in out.read_text(), "what is added is shown", 20)
            file.rename(home.logs / "gateway.log.1")
            file.write_text("after the rotation\n")
            wait_until(lambda: "after the rotation\n" in out.read_text(), "the new file is followed", 20)
            follower.terminate()
        assert out.read_text() == "before\nadded\nafter the rotation\n"

    def test_a_reader_that_leaves_is_no_error(self, home: Home) -> None:
        home.create()
        (home.logs / "gateway.log").write_text("x" * 80 + "\n" * 200_000)
        command = f"{shlex.quote(sys.executable)} -m ai_services.cli logs gateway -n 200000 | head -n 1"
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        assert done.stderr == ""


class TestHome:
    def test_default_is_in_the_users_data_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("AI_HOME", raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert Home.current().root == tmp_path.resolve() / "ai-services"
        monkeypatch.delenv("XDG_DATA_HOME")
        monkeypatch.setenv("HOME", "")
        assert Home.current().root.parts[-3:] == (".local", "share", "ai-services")

    def test_a_write_that_fails_leaves_the_old(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = tmp_path / "state.json"
        write_atomically(file, "old")

        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("ai_services.local.home.os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_atomically(file, "new")
        assert file.read_text() == "old"
        assert list(tmp_path.iterdir()) == [file]

    def test_a_key_is_made_once(self, home: Home) -> None:
        home.create()
        assert home.key(home.api_key_file) == home.key(home.api_key_file)
        home.api_key_file.write_text("# mine\nchosen-by-me\nanother\n")
        assert home.key(home.api_key_file) == "chosen-by-me"


class TestPorts:
    def test_taken_by_a_stack_is_told_with_its_home(self, small: Any) -> None:
        small.start()
        with pytest.raises(OperatorError) as raised:
            ports.require_free("127.0.0.1", small.stack.port)
        assert f"the stack in AI_HOME={small.home.root}" in raised.value.message
        offered = re.search(r"--port (\d+)", raised.value.hint)
        assert offered
        assert ports.can_bind("127.0.0.1", int(offered[1])) is None

    def test_an_address_of_another_machine(self) -> None:
        with pytest.raises(OperatorError, match=r"192\.0\.2\.1"):
            ports.require_free("192.0.2.1", ports.free_port())
