"""S0.1, S0.8, B.7: the official `ollama` client against the front door, over both kinds of backend."""

from __future__ import annotations

import ollama
import pytest
import requests
from support.stack import Stack

QUESTION = "What is the capital of France?"
# temperature 0 and one window size: another size per request makes Ollama load the model anew
OPTIONS = {"temperature": 0, "num_predict": 24}


@pytest.fixture
def client(either_stack: Stack) -> ollama.Client:
    """The client as its documentation says, with the key in a header."""
    return ollama.Client(host=either_stack.url, headers=either_stack.auth, timeout=120)


@pytest.mark.promise("S0.2")
def test_generate(client: ollama.Client, either_stack: Stack) -> None:
    answer = client.generate(model=either_stack.model, prompt="One, two, three, four,", raw=True, options=OPTIONS)
    assert answer.response
    assert "five" in answer.response.lower() or "5" in answer.response
    assert answer.done is True
    assert answer.done_reason in {"stop", "length"}
    assert answer.eval_count
    assert answer.total_duration


@pytest.mark.promise("S0.1")
def test_generate_at_its_short_address(either_stack: Stack) -> None:
    answer = requests.post(
        f"{either_stack.url}/generate",
        headers=either_stack.auth,
        json={"model": either_stack.model, "prompt": QUESTION, "stream": False, "options": OPTIONS},
        timeout=120,
    )
    assert answer.status_code == 200
    assert answer.json()["model"] == either_stack.model
    assert answer.json()["response"]
    assert answer.json()["done"] is True


@pytest.mark.promise("B.7")
def test_generate_streams_by_default(client: ollama.Client, either_stack: Stack) -> None:
    parts = list(client.generate(model=either_stack.model, prompt=QUESTION, stream=True, options=OPTIONS))
    assert len(parts) > 2
    assert [part.done for part in parts] == [False] * (len(parts) - 1) + [True]
    assert "".join(part.response or "" for part in parts).strip()
    assert parts[-1].eval_count


@pytest.mark.promise("B.7")
def test_chat(client: ollama.Client, either_stack: Stack) -> None:
    answer = client.chat(model=either_stack.model, messages=[{"role": "user", "content": QUESTION}], options=OPTIONS)
    assert answer.message.role == "assistant"
    assert answer.message.content is not None
    assert "Paris" in answer.message.content
    assert answer.prompt_eval_count


@pytest.mark.promise("B.7")
def test_a_streamed_chat_says_the_same(client: ollama.Client, either_stack: Stack) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    whole = client.chat(model=either_stack.model, messages=messages, options=OPTIONS)
    parts = list(client.chat(model=either_stack.model, messages=messages, options=OPTIONS, stream=True))
    assert parts[-1].done is True
    assert parts[-1].eval_count
    assert "".join(part.message.content or "" for part in parts).strip() == (whole.message.content or "").strip()


@pytest.mark.promise("B.7")
def test_embed_one_and_many(stack: Stack) -> None:
    client = ollama.Client(host=stack.url, headers=stack.auth, timeout=120)
    one = client.embed(model=stack.model, input="a cat")
    many = client.embed(model=stack.model, input=["a cat", "a dog"])
    assert len(one.embeddings) == 1
    assert len(many.embeddings) == 2
    assert list(many.embeddings[0]) == pytest.approx(list(one.embeddings[0]), abs=0.02)
    assert list(many.embeddings[0]) != list(many.embeddings[1])


@pytest.mark.promise("B.7")
def test_what_ollama_itself_refuses_is_passed_on(ollama_stack: Stack) -> None:
    """Ollama does not let Gemma embed; its own status and words reach the client."""
    client = ollama.Client(host=ollama_stack.url, headers=ollama_stack.auth, timeout=120)
    with pytest.raises(ollama.ResponseError) as refused:
        client.embed(model=ollama_stack.model, input="a cat")
    assert refused.value.status_code == 501
    assert refused.value.error == "this model does not support embeddings"


@pytest.mark.promise("S0.8")
def test_list_show_and_ps(client: ollama.Client, either_stack: Stack) -> None:
    client.generate(model=either_stack.model, prompt="Hi", options=OPTIONS)  # so that it is loaded
    listed = {model.model: model for model in client.list().models}
    assert either_stack.model in {(name or "").removesuffix(":latest") for name in listed} | listed.keys()
    assert all(model.size for model in listed.values())
    shown = client.show(either_stack.model)
    assert shown.details is not None
    assert shown.details.format == "gguf"
    loaded = [model.model for model in client.ps().models]
    assert either_stack.model in loaded


@pytest.mark.promise("B.7")
def test_version(either_stack: Stack) -> None:
    answer = requests.get(f"{either_stack.url}/api/version", headers=either_stack.auth, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["version"]


@pytest.mark.promise("S0.12")
def test_create_and_push_are_closed(client: ollama.Client, either_stack: Stack) -> None:
    with pytest.raises(ollama.ResponseError) as created:
        client.create(model="mine", from_=either_stack.model)
    assert created.value.status_code == 403
    assert "/api/create" in str(created.value)
    with pytest.raises(ollama.ResponseError) as pushed:
        client.push(either_stack.model)
    assert pushed.value.status_code == 403
    blob = requests.post(
        f"{either_stack.url}/api/blobs/sha256:{'0' * 64}", headers=either_stack.auth, data=b"x", timeout=30
    )
    assert blob.status_code == 403


@pytest.mark.promise("S0.8")
def test_what_llama_cpp_cannot_do_is_said(stack: Stack) -> None:
    """The embedded backend holds one model that was chosen at `up`: it can neither fetch nor delete."""
    client = ollama.Client(host=stack.url, headers=stack.auth)
    with pytest.raises(ollama.ResponseError) as pulled:
        client.pull("qwen2.5:3b")
    with pytest.raises(ollama.ResponseError) as deleted:
        client.delete(stack.model)
    assert (pulled.value.status_code, deleted.value.status_code) == (501, 501)
    assert pulled.value.error
    assert deleted.value.error


@pytest.mark.promise("S0.8")
def test_ollama_copies_and_deletes(ollama_stack: Stack) -> None:
    client = ollama.Client(host=ollama_stack.url, headers=ollama_stack.auth)
    client.copy(ollama_stack.model, "a-copy:latest")
    assert "a-copy:latest" in [model.model for model in client.list().models]
    client.delete("a-copy:latest")
    assert "a-copy:latest" not in [model.model for model in client.list().models]


@pytest.mark.promise("B.7")
def test_an_unknown_model(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client.generate(model="no-such-model", prompt="Hi")
    assert refused.value.status_code == 404
    assert "no-such-model" in refused.value.error
