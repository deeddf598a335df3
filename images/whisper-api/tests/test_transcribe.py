"""POST /transcribe with real speech, the real model and the real decoder."""

from __future__ import annotations

import numpy as np
import pytest
from support import audio, speech
from support.whisper import MODEL, WhisperServer

from .conftest import Sounds

# tiny.en makes no mistake in these sentences on the machine where they were chosen. Another processor rounds
# otherwise, so a word or two may differ.
WORD_ERRORS_OF_ONE_VOICE = 0.2
WORD_ERRORS_OF_ONE_FORMAT = 0.15


@pytest.mark.promise("S0.2")
def test_the_answer_has_text_language_duration_and_processing_time(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech
) -> None:
    answer = server.transcribe(sounds.spoken(sentence))
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"text", "language", "duration", "processing_time"}
    assert speech.word_error_rate(sentence.text, body["text"]) <= WORD_ERRORS_OF_ONE_FORMAT
    assert body["language"] == "en"
    assert body["duration"] == pytest.approx(sentence.duration_s, abs=0.05)
    assert 0 < body["processing_time"] <= answer.elapsed.total_seconds()


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("form", [form for form in audio.FORMATS if form != "wav"])
def test_every_common_format_is_understood(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, form: str
) -> None:
    body = server.transcribe(sounds.spoken(sentence, form)).json()
    assert speech.word_error_rate(sentence.text, body["text"]) <= WORD_ERRORS_OF_ONE_FORMAT
    assert body["duration"] == pytest.approx(sentence.duration_s, abs=0.2)


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("container", ["mp4", "matroska", "avi"])
def test_the_sound_of_a_video_is_understood(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, container: str
) -> None:
    file = sounds.get(
        f"video.{container}", lambda path: audio.write_video(path, sentence.pcm, sentence.rate, container=container)
    )
    body = server.transcribe(file).json()
    assert speech.word_error_rate(sentence.text, body["text"]) <= WORD_ERRORS_OF_ONE_FORMAT


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (44100, 2), (48000, 2)])
def test_telephone_and_stereo_are_understood(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, rate: int, channels: int
) -> None:
    body = server.transcribe(sounds.spoken(sentence, "wav", rate=rate, channels=channels)).json()
    assert speech.word_error_rate(sentence.text, body["text"]) <= 0.2
    assert body["duration"] == pytest.approx(sentence.duration_s, abs=0.05)


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("voice", speech.VOICES, ids=lambda voice: f"{voice.name}-{voice.words_per_minute}")
def test_voices_and_speeds_are_understood(server: WhisperServer, sounds: Sounds, voice: speech.Voice) -> None:
    said = speech.say_sentences(2, voice)
    body = server.transcribe(sounds.spoken(said)).json()
    assert speech.word_error_rate(said.text, body["text"]) <= WORD_ERRORS_OF_ONE_VOICE


@pytest.mark.promise("S3.1")
def test_speech_over_noise_is_understood_and_pauses_say_nothing(server: WhisperServer, sounds: Sounds) -> None:
    """Pauses of eight seconds lie between the sentences, and noise under all of it."""
    said = [speech.say(text) for text in speech.SENTENCES[:2]]
    rate = said[0].rate
    pause = audio.silence(8, rate)
    pcm = np.concatenate([pause, said[0].pcm, pause, said[1].pcm, pause])
    noisy = (pcm + audio.noise(len(pcm) / rate, rate, level=0.005)[: len(pcm)]).astype(np.int16)
    file = sounds.get("noisy.wav", lambda path: audio.write(path, noisy, rate))
    body = server.transcribe(file).json()
    assert speech.word_error_rate(f"{said[0].text} {said[1].text}", body["text"]) <= 0.15


@pytest.mark.promise("S3.1")
def test_eleven_minutes_keep_their_words_and_times(server: WhisperServer, sounds: Sounds) -> None:
    """Longer than the engine's window: speech at the beginning, across the cut at ten minutes, and at the end."""
    parts = [speech.say_sentences(3, first=first) for first in (0, 3, 6)]
    rate = parts[0].rate
    pcm = audio.noise(660, rate, level=0.0005)
    starts_s = (5, 592, 640)
    for part, start_s in zip(parts, starts_s, strict=True):
        start = start_s * rate
        pcm[start : start + len(part.pcm)] += part.pcm
    file = sounds.get("eleven-minutes.flac", lambda path: audio.write(path, pcm, rate, "flac"))
    body = server.transcribe_openai(file, response_format="verbose_json").json()
    assert body["duration"] == pytest.approx(660, abs=0.1)
    assert speech.word_error_rate(" ".join(part.text for part in parts), body["text"]) <= 0.15
    spoken = [(start_s, start_s + part.duration_s) for part, start_s in zip(parts, starts_s, strict=True)]
    for segment in body["segments"]:
        middle = (segment["start"] + segment["end"]) / 2
        assert any(start - 2 <= middle <= end + 2 for start, end in spoken), segment
    assert body["segments"][-1]["end"] > 640
    starts = [segment["start"] for segment in body["segments"]]
    assert starts == sorted(starts)


def test_a_wrong_extension_does_not_matter(server: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    with sounds.spoken(sentence, "flac").open("rb") as stream:
        answer = server.post("/transcribe", files={"file": ("speech.mp3", stream, "video/mp4")})
    assert speech.word_error_rate(sentence.text, answer.json()["text"]) <= WORD_ERRORS_OF_ONE_FORMAT


def test_a_prompt_and_a_language_name_are_taken(server: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    answer = server.transcribe(
        sounds.spoken(sentence), language="en-GB", prompt="<|endoftext|>A sentence about a house.", task="transcribe"
    )
    assert answer.status_code == 200
    assert "window" in answer.json()["text"]


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"language": "pt"}, "language", "English only"),
        ({"language": "klingon"}, "language", "klingon"),
        ({"task": "translate"}, "task", "cannot translate"),
        ({"task": "summarise"}, "task", "summarise"),
    ],
)
def test_what_the_model_cannot_do_is_refused_with_a_hint(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech, fields: dict[str, str], param: str, says: str
) -> None:
    answer = server.transcribe(sounds.spoken(sentence), **fields)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["param"] == param
    assert says in answer.json()["detail"]


def test_another_model_is_not_found(server: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    answer = server.transcribe(sounds.spoken(sentence), model="large-v3")
    assert answer.status_code == 404
    assert answer.json()["code"] == "model_not_found"
    assert MODEL in answer.json()["detail"]


@pytest.mark.promise("S3.3")
def test_nothing_of_a_recording_is_left_or_logged(
    server: WhisperServer, sounds: Sounds, sentence: speech.Speech
) -> None:
    with sounds.spoken(sentence).open("rb") as stream:
        files = {"file": ("my-secret-name.wav", stream)}
        answer = server.post("/transcribe", files=files, data={"prompt": "hush-hush"})
    assert "window" in answer.json()["text"]
    server.wait_until(lambda: not server.recordings())
    for word in ("my-secret-name", "hush-hush", "window", "Bearer"):
        assert word not in server.log
    assert '"event":"transcribed"' in server.log
