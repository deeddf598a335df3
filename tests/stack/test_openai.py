"""S0.2, S2.1, S4.1, B.7: the official `openai` client against the front door, over both kinds of backend."""

from __future__ import annotations

from pathlib import Path

import openai
import pytest
from support.speech import word_error_rate
from support.stack import Stack

QUESTION = "What is the capital of France?"


@pytest.fixture
def client(either_stack: Stack) -> openai.OpenAI:
    """No retries: what fails must be seen."""
    return openai.OpenAI(base_url=f"{either_stack.url}/v1", api_key=either_stack.key, max_retries=0, timeout=120)


@pytest.mark.promise("S0.2")
def test_chat(client: openai.OpenAI, either_stack: Stack) -> None:
    answer = client.chat.completions.create(
        model=either_stack.model, messages=[{"role": "user", "content": QUESTION}], temperature=0, max_tokens=32
    )
    assert answer.object == "chat.completion"
    content = answer.choices[0].message.content
    assert content is not None
    assert "Paris" in content
    assert answer.choices[0].finish_reason in {"stop", "length"}
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.promise("S0.2")
def test_a_streamed_chat_says_the_same(client: openai.OpenAI, either_stack: Stack) -> None:
    def asked(stream: bool) -> str:
        if not stream:
            whole = client.chat.completions.create(
                model=either_stack.model,
                messages=[{"role": "user", "content": QUESTION}],
                temperature=0,
                seed=1,
                max_tokens=24,
            )
            return whole.choices[0].message.content or ""
        parts = client.chat.completions.create(
            model=either_stack.model,
            messages=[{"role": "user", "content": QUESTION}],
            temperature=0,
            seed=1,
            max_tokens=24,
            stream=True,
        )
        said = [part.choices[0].delta.content or "" for part in parts if part.choices]
        assert len(said) > 2, "a stream of one piece is no stream"
        return "".join(said)

    assert asked(stream=True).strip() == asked(stream=False).strip()


@pytest.mark.promise("S2.1")
def test_stream_with_usage(client: openai.OpenAI, either_stack: Stack) -> None:
    parts = list(
        client.chat.completions.create(
            model=either_stack.model,
            messages=[{"role": "user", "content": QUESTION}],
            max_tokens=8,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert parts[-1].usage is not None
    assert parts[-1].usage.completion_tokens > 0


@pytest.mark.promise("S4.1")
def test_completion(client: openai.OpenAI, either_stack: Stack) -> None:
    answer = client.completions.create(
        model=either_stack.model, prompt="One, two, three, four,", max_tokens=8, temperature=0, top_p=0.95, n=1
    )
    assert answer.object == "text_completion"
    assert answer.choices[0].text.strip()
    if either_stack.backend == "llama.cpp":  # Ollama wraps a bare prompt into the model's chat template
        assert "five" in answer.choices[0].text.lower() or "5" in answer.choices[0].text
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 8


@pytest.mark.promise("S4.1")
def test_stop_words_stop(client: openai.OpenAI, either_stack: Stack) -> None:
    answer = client.completions.create(
        model=either_stack.model, prompt="One, two, three, four,", max_tokens=30, temperature=0, stop=[","]
    )
    assert "," not in answer.choices[0].text
    assert answer.choices[0].finish_reason == "stop"


@pytest.mark.promise("S2.1")
def test_embeddings_tell_near_from_far(stack: Stack) -> None:
    """Over llama.cpp; Ollama does not let this model embed."""
    client = openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=0, timeout=120)
    texts = [
        "The cat sleeps on the sofa.",
        "A kitten is sleeping on the couch.",
        "Interest rates rose by a quarter point.",
    ]
    answer = client.embeddings.create(model=stack.model, input=texts)
    assert [item.index for item in answer.data] == [0, 1, 2]
    cat, kitten, money = (item.embedding for item in answer.data)
    assert len(cat) == len(kitten) == len(money) > 100

    def closeness(a: list[float], b: list[float]) -> float:
        norms = (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5
        return float(sum(x * y for x, y in zip(a, b, strict=True)) / norms)

    assert closeness(cat, kitten) > closeness(cat, money)


@pytest.mark.promise("S4.1")
def test_models(client: openai.OpenAI, either_stack: Stack) -> None:
    names = {model.id for model in client.models.list()}
    speech = str(either_stack.component("whisper-api")["model"])
    assert {either_stack.model, speech} <= names
    assert client.models.retrieve(either_stack.model).id == either_stack.model


@pytest.mark.promise("S4.1")
def test_an_unknown_model_is_named_and_so_are_the_known(client: openai.OpenAI, either_stack: Stack) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": QUESTION}])
    assert "no-such-model" in str(refused.value)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


@pytest.mark.promise("S2.7")
def test_a_wrong_key(either_stack: Stack) -> None:
    stranger = openai.OpenAI(base_url=f"{either_stack.url}/v1", api_key="sk-wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.models.list()


class TestTranscription:
    """S3.1: speech in each of the formats that OpenAI names."""

    @pytest.fixture
    def client(self, stack: Stack) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{stack.url}/v1", api_key=stack.key, max_retries=0, timeout=120)

    @pytest.mark.promise("S3.1")
    def test_json(self, client: openai.OpenAI, spoken: tuple[Path, str]) -> None:
        path, words = spoken
        answer = client.audio.transcriptions.create(model="whisper-1", file=path, response_format="json")
        assert word_error_rate(words, answer.text) <= 0.15

    @pytest.mark.promise("S3.1")
    def test_text(self, client: openai.OpenAI, spoken: tuple[Path, str]) -> None:
        path, words = spoken
        answer = client.audio.transcriptions.create(model="whisper-1", file=path, response_format="text")
        assert isinstance(answer, str)
        assert word_error_rate(words, answer) <= 0.15
        assert not answer.lstrip().startswith("{")

    @pytest.mark.promise("S3.1")
    def test_srt(self, client: openai.OpenAI, spoken: tuple[Path, str]) -> None:
        path, words = spoken
        answer = client.audio.transcriptions.create(model="whisper-1", file=path, response_format="srt")
        blocks = [block.splitlines() for block in answer.strip().split("\n\n")]
        assert [block[0] for block in blocks] == [str(number + 1) for number in range(len(blocks))]
        assert all(" --> " in block[1] and "," in block[1] for block in blocks)
        assert word_error_rate(words, " ".join(" ".join(block[2:]) for block in blocks)) <= 0.15

    @pytest.mark.promise("S3.1")
    def test_vtt(self, client: openai.OpenAI, spoken: tuple[Path, str]) -> None:
        path, words = spoken
        answer = client.audio.transcriptions.create(model="whisper-1", file=path, response_format="vtt")
        head, *cues = [block.splitlines() for block in answer.strip().split("\n\n")]
        assert head[0] == "WEBVTT"
        assert cues
        assert all(" --> " in line and "." in line for cue in cues for line in cue if "-->" in line)
        said = " ".join(line for cue in cues for line in cue if "-->" not in line)
        assert word_error_rate(words, said) <= 0.15

    @pytest.mark.promise("S3.1")
    def test_verbose_json_with_words(self, client: openai.OpenAI, spoken: tuple[Path, str]) -> None:
        path, words = spoken
        answer = client.audio.transcriptions.create(
            model="whisper-1", file=path, response_format="verbose_json", timestamp_granularities=["word", "segment"]
        )
        assert answer.language in {"en", "english"}
        assert answer.segments
        assert answer.words
        assert float(answer.duration) > 2
        assert all(0 <= w.start <= w.end <= float(answer.duration) + 0.5 for w in answer.words)
        assert [w.start for w in answer.words] == sorted(w.start for w in answer.words)
        assert word_error_rate(words, " ".join(w.word for w in answer.words)) <= 0.15
        assert word_error_rate(words, " ".join(s.text for s in answer.segments)) <= 0.15

    @pytest.mark.promise("S3.1")
    def test_an_unknown_model(self, client: openai.OpenAI, spoken: tuple[Path, str], stack: Stack) -> None:
        with pytest.raises(openai.NotFoundError) as refused:
            client.audio.transcriptions.create(model="whisper-9", file=spoken[0])
        assert str(stack.component("whisper-api")["model"]) in str(refused.value)

    @pytest.mark.promise("S3.1")
    def test_what_is_no_audio(self, client: openai.OpenAI, tmp_path: Path) -> None:
        (tmp_path / "a.mp3").write_text("this is a text that says it is music")
        with pytest.raises(openai.APIStatusError) as refused:
            client.audio.transcriptions.create(model="whisper-1", file=tmp_path / "a.mp3")
        assert 400 <= refused.value.status_code < 500
