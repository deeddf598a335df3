"""What the real stack says to scripts and to people; its life and death are in tests/stack/test_lifecycle.py."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from support.stack import AI, Stack, free_port, prepared, wait_until

from ai_services import exits

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("operator")]


@pytest.fixture(scope="module")
def up() -> Iterator[tuple[Stack, dict[str, object]]]:
    """A stack that gives the model's memory back after three seconds, and what `up --json` said."""
    with prepared("llama.cpp") as stack:
        yield stack, json.loads(stack.up("--json", "--unload-after", "3").stdout)


def test_json_of_the_first_up(up: tuple[Stack, dict[str, object]]) -> None:
    stack, told = up
    assert told["url"] == stack.url
    assert told["state"] == "ready"
    proof = told["proof"]
    assert isinstance(proof, dict)
    assert proof["match"] >= 0.8
    assert proof["answer"]
    assert 0 < proof["transcribe_s"] < 120
    assert 0 < proof["answer_s"] < 120


def test_up_with_other_options_says_what_differs_and_changes_nothing(up: tuple[Stack, dict[str, object]]) -> None:
    stack, _ = up
    before = stack.status()["components"]
    done = stack.ai("up", "--port", "9999", "--llm", "qwen2.5:3b", check=False)
    assert done.returncode == exits.OK
    assert f"--port is {stack.port}, not 9999" in done.stdout
    assert "--llm is gemma3:270m, not qwen2.5:3b" in done.stdout
    assert "./ai down && ./ai up --port 9999 --llm qwen2.5:3b" in done.stdout
    told = json.loads(stack.ai("up", "--port", "9999", "--json").stdout)
    assert told["differs"] == [f"--port is {stack.port}, not 9999"]
    assert [row["pid"] for row in stack.status()["components"]] == [row["pid"] for row in before]


def test_memory_comes_back_when_the_model_is_unused(up: tuple[Stack, dict[str, object]]) -> None:
    stack, _ = up
    ask = {"model": stack.model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
    answer = requests.post(f"{stack.url}/v1/chat/completions", json=ask, headers=stack.auth, timeout=120)
    assert answer.status_code == 200
    loaded = stack.component("llm")["memory_mib"]
    wait_until(lambda: stack.component("llm")["memory_mib"] < loaded / 2, "the model is unloaded", 60)
    again = requests.post(f"{stack.url}/v1/chat/completions", json=ask, headers=stack.auth, timeout=120)
    assert again.status_code == 200, "the next request loads it again"


def test_two_ups_at_once() -> None:
    with prepared("llama.cpp") as stack:
        command = [str(AI), "up", "--port", str(stack.port), "--llm-backend", "llama.cpp", "--no-proof"]
        first = subprocess.Popen(command, env=dict(stack.environment), stdout=subprocess.PIPE, text=True)
        with first:
            wait_until((stack.home / "lock.json").exists, "the first is at work", 60)
            second = stack.up("--no-proof", check=False)
            first.communicate(timeout=240)
        assert first.returncode == exits.OK
        if second.returncode == exits.BLOCKED:
            assert f"`ai up`, pid {first.pid}" in second.stderr
        else:
            assert "lready up" in second.stdout, "the first was done before the second began"


@pytest.mark.ollama
def test_an_ollama_of_somebody_else_is_used_and_left_alone(ollama_binary: Path, tmp_path: Path) -> None:
    port = free_port()
    environment = {"OLLAMA_HOST": f"127.0.0.1:{port}", "OLLAMA_MODELS": str(tmp_path / "models"), "HOME": str(tmp_path)}
    log = (tmp_path / "log").open("w")
    with log, subprocess.Popen([ollama_binary, "serve"], env=environment, stdout=log, stderr=log) as theirs:
        try:
            wait_until(lambda: _version(port), "their Ollama answers", 60)
            with prepared("ollama", extra={"OLLAMA_HOST": f"127.0.0.1:{port}"}) as stack:
                said = stack.up().stdout
                assert f"OLLAMA_HOST answers at http://127.0.0.1:{port}" in said
                assert "Paris" in said
                row = stack.component("llm")
                assert (row["state"], row["pid"], row["memory_mib"]) == ("ready", None, None)
                stack.down()
            assert theirs.poll() is None
            assert _version(port)
        finally:
            theirs.terminate()


def _version(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/api/version", timeout=2).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.ollama
def test_an_own_ollama_keeps_everything_in_ai_home(ollama_binary: Path) -> None:
    with prepared("ollama", ollama=ollama_binary) as stack:
        stack.up("--no-proof")
        assert (stack.home / "models" / "ollama" / "manifests").is_dir()
        assert list((stack.home / "models" / ".ollama").glob("id_*"))
        assert str(ollama_binary) in stack.status()["llm_backend"]["reason"]
        assert stack.component("llm")["pid"]
