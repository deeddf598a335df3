"""OpenAI's audio routes through OpenAI's own client."""

from __future__ import annotations

import itertools
import re
from typing import Any

import openai
import pytest
from support import speech
from support.whisper import KEY, MODEL, WhisperServer

from .conftest import Sounds


@pytest.fixture(scope="module")
def client(server: WhisperServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=KEY, max_retries=0)


@pytest.fixture(scope="module")
def two() -> speech.Speech:
    """Two sentences with a pause of two seconds between them."""
    return speech.say_sentences(2, pause_s=2)


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("model", ["whisper-1", "default", MODEL])
def test_json_is_the_text(client: openai.OpenAI, sounds: Sounds, sentence: speech.Speech, model: str) -> None:
    answer = client.audio.transcriptions.create(model=model, file=sounds.spoken(sentence))
    assert isinstance(answer, openai.types.audio.Transcription)
    assert speech.word_error_rate(sentence.text, answer.text) <= 0.15


@pytest.mark.promise("S3.1")
def test_verbose_json_has_segments_that_cover_the_text(
    client: openai.OpenAI, sounds: Sounds, two: speech.Speech
) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=sounds.spoken(two), response_format="verbose_json", temperature=0
    )
    assert isinstance(answer, openai.types.audio.TranscriptionVerbose)
    assert answer.language == "english"
    assert float(answer.duration) == pytest.approx(two.duration_s, abs=0.05)
    assert answer.words is None
    assert answer.segments
    assert " ".join(segment.text.strip() for segment in answer.segments) == answer.text
    assert [segment.id for segment in answer.segments] == list(range(len(answer.segments)))
    for segment in answer.segments:
        assert 0 <= segment.start < segment.end <= two.duration_s + 0.5
        assert segment.tokens


@pytest.mark.promise("S3.1")
def test_words_have_their_times(client: openai.OpenAI, sounds: Sounds, two: speech.Speech) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=sounds.spoken(two),
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert answer.words
    assert answer.segments
    assert speech.word_error_rate(two.text, " ".join(word.word for word in answer.words)) <= 0.15
    for word, following in itertools.pairwise(answer.words):
        assert word.start <= word.end <= following.start + 0.02
    first = speech.say(speech.SENTENCES[0]).duration_s
    remember = next(word for word in answer.words if word.word.lower().startswith("remember"))
    assert remember.start > first + 1, "a word of the second sentence comes after the pause"


@pytest.mark.promise("S3.1")
def test_words_alone_leave_the_segments_out(client: openai.OpenAI, sounds: Sounds, sentence: speech.Speech) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1",
        file=sounds.spoken(sentence),
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert answer.words
    assert answer.segments is None


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("response_format", ["text", "srt", "vtt"])
def test_texts_and_subtitles(client: openai.OpenAI, sounds: Sounds, two: speech.Speech, response_format: Any) -> None:
    answer: Any = client.audio.transcriptions.create(
        model="whisper-1", file=sounds.spoken(two), response_format=response_format
    )
    assert isinstance(answer, str)
    if response_format == "vtt":
        assert answer.startswith("WEBVTT\n\n")
    if response_format == "srt":
        assert answer.startswith("1\n00:00:0")
    mark = {"srt": ",", "vtt": r"\."}.get(response_format)
    cues = re.findall(rf"^\d\d:\d\d:\d\d{mark}\d{{3}} --> \d\d:\d\d:\d\d{mark}\d{{3}}$", answer, re.MULTILINE)
    assert bool(cues) == (response_format != "text")
    words = " ".join(line for line in answer.splitlines() if line and "-->" not in line and not line.isdigit())
    assert speech.word_error_rate(two.text, words.removeprefix("WEBVTT ")) <= 0.15


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": "yaml"}, "response_format"),
        ({"response_format": "diarized_json"}, "response_format"),
        ({"temperature": "2"}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"language": "pt"}, "language"),
        ({"timestamp_granularities[]": "letter", "response_format": "verbose_json"}, "timestamp_granularities"),
        ({"timestamp_granularities[]": "word"}, "timestamp_granularities"),
        ({"model": ""}, "model"),
    ],
)
def test_a_wrong_field_is_named_in_openai_s_shape(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, fields: dict[str, str], param: str
) -> None:
    answer = server.transcribe_openai(sounds.spoken(sentence), **fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"
    assert error["message"]


def test_an_unknown_model_is_not_found(client: openai.OpenAI, sounds: Sounds, sentence: speech.Speech) -> None:
    with pytest.raises(openai.NotFoundError) as raised:
        client.audio.transcriptions.create(model="gpt-4o-transcribe", file=sounds.spoken(sentence))
    assert raised.value.code == "model_not_found"
    assert MODEL in raised.value.message


def test_an_english_model_does_not_translate(client: openai.OpenAI, sounds: Sounds, sentence: speech.Speech) -> None:
    with pytest.raises(openai.BadRequestError, match="cannot translate"):
        client.audio.translations.create(model="whisper-1", file=sounds.spoken(sentence))


def test_the_model_is_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-5")


def test_a_file_that_is_no_recording_has_openai_s_shape(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.audio.transcriptions.create(model="whisper-1", file=("a.wav", b"not a recording" * 99))
    assert (raised.value.code, raised.value.param) == ("not_audio", "file")


def test_a_temperature_is_taken(client: openai.OpenAI, sounds: Sounds, sentence: speech.Speech) -> None:
    answer = client.audio.transcriptions.create(
        model="whisper-1", file=sounds.spoken(sentence), response_format="verbose_json", temperature=0.2
    )
    assert answer.segments
    assert [segment.temperature for segment in answer.segments] == [pytest.approx(0.2)] * len(answer.segments)
