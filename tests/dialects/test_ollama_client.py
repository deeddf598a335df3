"""Ollama's own client through the gateway, over llama.cpp and over Ollama (S0.2, S0.8, B.7)."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

import ollama
import pytest
import requests

from dialects import harness
from dialects.harness import AUTH, MODEL

pytestmark = pytest.mark.promise("B.7")

QUESTION = "What is the capital of France?"
GREEDY: dict[str, Any] = {"temperature": 0, "seed": 1, "num_predict": 10}


@pytest.fixture
def client(door: str) -> ollama.Client:
    return ollama.Client(host=door, headers=AUTH)


def test_generate(client: ollama.Client) -> None:
    answer = client.generate(MODEL, QUESTION, options=GREEDY)
    assert "Paris" in (answer.response or "")
    assert answer.model == MODEL
    assert answer.done
    assert answer.done_reason in {"stop", "length"}
    assert answer.eval_count
    assert 0 < answer.eval_count <= 10
    assert answer.prompt_eval_count
    assert answer.prompt_eval_count > 5
    assert answer.total_duration
    assert answer.eval_duration
    assert answer.total_duration >= answer.eval_duration > 0
    assert answer.prompt_eval_duration


def test_generate_streams_by_default_on_the_wire(door: str) -> None:
    """S0.2: /generate is Ollama's generate, `stream` true unless said otherwise."""
    answer = requests.post(f"{door}/generate", headers=AUTH, json={"model": MODEL, "prompt": QUESTION}, timeout=60)
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert len(answer.text.splitlines()) > 2


def test_generate_stream_says_what_one_answer_says(client: ollama.Client) -> None:
    whole = client.generate(MODEL, QUESTION, options=GREEDY)
    pieces = list(client.generate(MODEL, QUESTION, options=GREEDY, stream=True))
    assert "".join(piece.response or "" for piece in pieces) == whole.response
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert pieces[-1].done_reason == whole.done_reason
    assert pieces[-1].eval_count == whole.eval_count


def test_generate_obeys_system_raw_and_length(client: ollama.Client) -> None:
    one = client.generate(MODEL, "The capital of France is", raw=True, options=GREEDY | {"num_predict": 1})
    assert one.done_reason == "length"
    assert one.eval_count == 1
    assert one.prompt_eval_count is not None
    plain = client.generate(MODEL, "Hi", options=GREEDY | {"num_predict": 1})
    spoken_to = client.generate(MODEL, "Hi", system="Speak like a pirate.", options=GREEDY | {"num_predict": 1})
    assert plain.prompt_eval_count
    assert spoken_to.prompt_eval_count
    assert spoken_to.prompt_eval_count > plain.prompt_eval_count > one.prompt_eval_count


def test_generate_stops_where_told(client: ollama.Client) -> None:
    answer = client.generate(MODEL, "1, 2, 3, 4,", raw=True, options=GREEDY | {"stop": ["7"]})
    assert answer.response
    assert "5" in answer.response
    assert "7" not in answer.response
    assert answer.done_reason == "stop"


def test_empty_prompt_loads_and_zero_unloads(client: ollama.Client) -> None:
    assert client.generate(MODEL, "").done_reason == "load"
    assert client.generate(MODEL, "", keep_alive=0).done_reason == "unload"
    assert client.chat(MODEL, []).done_reason == "load"
    assert client.chat(MODEL, [], keep_alive="0s").done_reason == "unload"


def test_chat(client: ollama.Client) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    answer = client.chat(MODEL, messages, options=GREEDY)
    assert answer.message.role == "assistant"
    assert answer.message.content
    assert "Paris" in answer.message.content
    assert answer.done
    pieces = list(client.chat(MODEL, messages, options=GREEDY, stream=True))
    assert len(pieces) > 2
    assert "".join(piece.message.content or "" for piece in pieces) == answer.message.content
    assert pieces[-1].eval_count == answer.eval_count


async def test_chat_with_the_asynchronous_client(door: str) -> None:
    client = ollama.AsyncClient(host=door, headers=AUTH)

    async def ask() -> str:
        answer = await client.chat(MODEL, [{"role": "user", "content": QUESTION}], options=GREEDY)
        return answer.message.content or ""

    answers = await asyncio.gather(ask(), ask())
    assert all("Paris" in answer for answer in answers)


@pytest.mark.parametrize("kind", ["json", "schema"])
def test_chat_in_a_format(client: ollama.Client, kind: str) -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}},
        "required": ["city"],
        "additionalProperties": False,
    }
    answer = client.chat(
        MODEL,
        [{"role": "user", "content": "The capital of France as JSON with the key city."}],
        format="json" if kind == "json" else schema,
        options={"temperature": 0, "seed": 1, "num_predict": 40},
    )
    content = (answer.message.content or "").lstrip()
    assert content.startswith("{")
    if kind == "schema":
        assert re.match(r'\{\s*"city"\s*:\s*"', content)
        # a grammar lets a small model dither in white space until its tokens are used up
        if answer.done_reason == "stop":
            assert set(json.loads(content)) == {"city"}


def test_models_are_listed_shown_and_running(client: ollama.Client) -> None:
    """S0.8: the listings of /api/*."""
    listed = {model.model: model for model in client.list().models}
    assert MODEL in listed
    assert listed[MODEL].size
    assert int(listed[MODEL].size or 0) > 200_000_000
    details = listed[MODEL].details
    assert details
    assert details.parameter_size == "268.10M"
    assert details.quantization_level == "Q4_K_M"
    shown = client.show(MODEL)
    assert shown.details
    assert shown.details.quantization_level == "Q4_K_M"
    assert shown.modelinfo
    assert shown.modelinfo["general.parameter_count"] == 268098176
    assert shown.capabilities
    assert "completion" in shown.capabilities
    client.generate(MODEL, "Hi", options={"num_predict": 1})
    running = {model.model: model for model in client.ps().models}
    assert MODEL in running


def test_older_clients_say_name(door: str) -> None:
    """S0.8: the host's own clients send `name`."""
    shown = requests.post(f"{door}/api/show", headers=AUTH, json={"name": MODEL}, timeout=30)
    assert shown.status_code == 200
    assert shown.json()["details"]["quantization_level"] == "Q4_K_M"


def test_version(door: str) -> None:
    version = requests.get(f"{door}/api/version", headers=AUTH, timeout=30).json()["version"]
    assert version.split(".")[0].isdigit()


def test_errors_read_as_ollamas(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match=r"(?i)not found") as caught:
        client.chat("no-such-model", [{"role": "user", "content": "Hi"}])
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="temperature"):
        client.generate(MODEL, "Hi", options={"temperature": "hot"})
    with pytest.raises(ollama.ResponseError, match=r"(?i)suffix|insert") as caught:
        client.generate(MODEL, "Hi", suffix="there")
    assert caught.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match=r"(?i)not found"):
        list(client.generate("no-such-model", "Hi", stream=True))


def test_what_writes_the_model_store_is_refused(door: str, client: ollama.Client) -> None:
    """S0.12: create, push and blobs are closed, whoever is behind."""
    with pytest.raises(ollama.ResponseError) as caught:
        client.create("mine", from_=MODEL, stream=False)
    assert caught.value.status_code == 403
    with pytest.raises(ollama.ResponseError) as caught:
        client.push(MODEL)
    assert caught.value.status_code == 403
    blob = requests.post(f"{door}/api/blobs/sha256:00", headers=AUTH, data=b"x", timeout=30)
    assert blob.status_code == 403
    assert "error" in blob.json()


@pytest.mark.xdist_group("dialects-llama")
def test_embeddings_over_llama_cpp(over_llama: str) -> None:
    client = ollama.Client(host=over_llama, headers=AUTH)
    two = client.embed(MODEL, ["cats purr", "dogs bark"])
    assert [len(vector) for vector in two.embeddings] == [640, 640]
    assert two.prompt_eval_count
    assert sum(value * value for value in two.embeddings[0]) == pytest.approx(1, abs=1e-3)
    one = client.embed(MODEL, "cats purr")
    assert one.embeddings[0] == pytest.approx(two.embeddings[0], abs=2e-2)
    short = client.embed(MODEL, "cats purr", dimensions=32)
    assert len(short.embeddings[0]) == 32
    assert sum(value * value for value in short.embeddings[0]) == pytest.approx(1)
    assert client.embed(MODEL, "").embeddings == []
    assert len(client.embeddings(MODEL, "cats purr").embedding) == 640


@pytest.mark.ollama
@pytest.mark.xdist_group("dialects-ollama")
def test_embeddings_over_ollama_are_its_own_affair(over_ollama: str) -> None:
    """This Gemma makes no embeddings under Ollama: its own error comes through, word for word."""
    client = ollama.Client(host=over_ollama, headers=AUTH)
    with pytest.raises(ollama.ResponseError, match="this model does not support embeddings") as caught:
        client.embed(MODEL, "cats purr")
    assert caught.value.status_code == 501


@pytest.mark.xdist_group("dialects-llama")
def test_managing_models_needs_ollama(over_llama: str) -> None:
    """Over llama.cpp pull, delete and copy say clearly that it cannot be done there."""
    client = ollama.Client(host=over_llama, headers=AUTH)
    calls: list[Callable[[], object]] = [
        lambda: client.pull("qwen2.5:1.5b"),
        lambda: client.delete(MODEL),
        lambda: client.copy(MODEL, "mine"),
    ]
    for call in calls:
        with pytest.raises(ollama.ResponseError, match="Ollama") as caught:
            call()
        assert caught.value.status_code == 501


@pytest.mark.ollama
@pytest.mark.xdist_group("dialects-ollama")
def test_managing_models_over_ollama(over_ollama: str) -> None:
    """S0.8: copy, list, delete; DELETE carries its body."""
    client = ollama.Client(host=over_ollama, headers=AUTH)
    client.copy(MODEL, "mine:latest")
    assert "mine:latest" in {model.model for model in client.list().models}
    deleted = requests.delete(f"{over_ollama}/api/delete", headers=AUTH, json={"name": "mine"}, timeout=30)
    assert deleted.status_code == 200
    assert "mine:latest" not in {model.model for model in client.list().models}
    with pytest.raises(ollama.ResponseError, match="not found"):
        client.delete("mine")


@pytest.mark.ollama
@pytest.mark.xdist_group("dialects-llama")
def test_ollamas_command_line_over_llama_cpp(
    llama_line: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The strictest reader of the dialect. It cannot send a key, so this door is open."""
    binary = harness.find_ollama()
    if binary is None:
        pytest.skip(harness.NO_OLLAMA)
    with harness.gateway(tmp_path_factory.mktemp("open-gateway"), [llama_line], AUTH="off") as running:

        def say(*arguments: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [str(binary), *arguments],
                env={**os.environ, "OLLAMA_HOST": running.url},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )

        assert MODEL in say("list").stdout
        assert "268.10M" in say("show", MODEL).stdout
        assert "Forever" in say("ps").stdout
        answered = say("run", MODEL, "What is the capital of France?")
        assert answered.returncode == 0
        assert answered.stdout.strip()
        refused = say("pull", "qwen2.5:1.5b")
        assert refused.returncode != 0
        assert "needs Ollama" in refused.stderr
