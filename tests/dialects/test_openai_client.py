"""OpenAI's own client through the gateway, over llama.cpp and over Ollama (S0.2, S2.1, S4.1, B.7)."""

from __future__ import annotations

import openai
import pytest
import requests
from openai.types.chat import ChatCompletionMessageParam

from dialects.harness import AUTH, KEY, MODEL

pytestmark = pytest.mark.promise("B.7")

QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(door: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{door}/v1", api_key=KEY, max_retries=0)


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=10, temperature=0, seed=1)
    assert "Paris" in (answer.choices[0].message.content or "")
    assert answer.usage
    assert answer.usage.completion_tokens > 0


def test_chat_streams(client: openai.OpenAI) -> None:
    pieces = list(
        client.chat.completions.create(
            model=MODEL,
            messages=QUESTION,
            max_tokens=10,
            temperature=0,
            seed=1,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert "Paris" in text
    assert pieces[-1].usage
    assert pieces[-1].usage.completion_tokens > 0


async def test_chat_with_the_asynchronous_client(door: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{door}/v1", api_key=KEY) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=QUESTION, max_tokens=10, temperature=0)
    assert "Paris" in (answer.choices[0].message.content or "")


def test_completions(client: openai.OpenAI) -> None:
    """S4.1: the listed parameters are taken."""
    answer = client.completions.create(
        model=MODEL,
        prompt="1, 2, 3, 4,",
        max_tokens=12,
        temperature=0,
        top_p=0.95,
        n=1,
        stop=["7"],
        presence_penalty=0,
        frequency_penalty=0,
    )
    # Ollama puts the prompt into the model's chat format here, llama.cpp continues it: only the frame is the same
    assert answer.choices[0].text.strip()
    assert "7" not in answer.choices[0].text
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    pieces = list(client.completions.create(model=MODEL, prompt="1, 2, 3,", max_tokens=4, temperature=0, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces if piece.choices).strip()
    assert len(pieces) > 2


def test_models(client: openai.OpenAI) -> None:
    assert MODEL in {model.id for model in client.models.list()}
    model = client.models.retrieve(MODEL)
    assert model.id == MODEL
    assert model.owned_by == "llm"
    with pytest.raises(openai.NotFoundError, match="gemma3:270m"):
        client.models.retrieve("org/no-such:model")


def test_errors_have_openais_shape(client: openai.OpenAI, door: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
    assert "no-such-model" in str(caught.value)
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model=MODEL, messages="no list")  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{door}/v1", api_key="wrong").models.list()
    broken = requests.post(f"{door}/v1/chat/completions", headers=AUTH, data=b"{oops", timeout=30)
    assert broken.status_code == 400
    assert broken.json()["error"]["message"]


@pytest.mark.xdist_group("dialects-llama")
def test_without_a_model_the_first_one_answers(over_llama: str) -> None:
    body = {"messages": QUESTION, "max_tokens": 1}
    answer = requests.post(f"{over_llama}/v1/chat/completions", headers=AUTH, json=body, timeout=60)
    assert answer.status_code == 200
    assert answer.json()["model"] == MODEL


@pytest.mark.xdist_group("dialects-llama")
def test_embeddings(over_llama: str) -> None:
    client = openai.OpenAI(base_url=f"{over_llama}/v1", api_key=KEY)
    answer = client.embeddings.create(model=MODEL, input=["cats purr", "dogs bark"])
    assert [len(entry.embedding) for entry in answer.data] == [640, 640]


@pytest.mark.ollama
@pytest.mark.xdist_group("dialects-ollama")
def test_unknown_model_is_answered_by_ollama_itself(over_ollama: str) -> None:
    body = {"model": "no-such-model", "messages": QUESTION}
    answer = requests.post(f"{over_ollama}/v1/chat/completions", headers=AUTH, json=body, timeout=60)
    assert answer.status_code == 404
    assert answer.json()["error"]["message"] == "model 'no-such-model' not found"
