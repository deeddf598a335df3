"""Nobody speaks: 200 and an empty text, never an invented one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import audio, speech
from support.whisper import WhisperServer

from .conftest import Sounds

SILENT: dict[str, Callable[[], audio.Pcm]] = {
    "silence": lambda: audio.silence(12),
    "a-blink": lambda: audio.silence(0.03),
    "white-noise": lambda: audio.noise(12),
    "loud-noise": lambda: audio.noise(12, level=0.4),
    "faint-noise": lambda: audio.noise(12, level=0.002),
    "pink-noise": lambda: audio.noise(12, kind="pink"),
    "mains-hum": lambda: audio.noise(12, kind="hum"),
    "music": lambda: audio.music(15),
    "sung-notes": lambda: audio.sung_notes(15),
    "clicks": lambda: np.where(np.arange(12 * 16000) % 8000 < 20, 20000, 0).astype(np.int16),
}


@pytest.mark.promise("S3.1")
@pytest.mark.parametrize("kind", SILENT)
@pytest.mark.parametrize("response_format", ["json", "verbose_json"])
def test_no_speech_is_an_empty_text(server: WhisperServer, sounds: Sounds, kind: str, response_format: str) -> None:
    file = sounds.get(f"{kind}.wav", lambda path: audio.write(path, SILENT[kind](), 16000))
    answer = server.transcribe_openai(file, response_format=response_format)
    assert answer.status_code == 200
    assert answer.json()["text"] == ""
    if response_format == "verbose_json":
        assert answer.json()["segments"] == []


@pytest.mark.promise("S3.1")
def test_subtitles_of_silence_are_empty(server: WhisperServer, sounds: Sounds) -> None:
    file = sounds.get("silence.wav", lambda path: audio.write(path, audio.silence(12), 16000))
    assert server.transcribe_openai(file, response_format="srt").text == ""
    assert server.transcribe_openai(file, response_format="vtt").text == "WEBVTT\n\n"
    assert server.transcribe_openai(file, response_format="text").text == "\n"


@pytest.mark.promise("S3.1")
def test_a_room_full_of_voices_is_not_made_into_a_sentence(server: WhisperServer, sounds: Sounds) -> None:
    """Voice activity detection hears voices here; Whisper, asked again, would thank everybody for watching."""

    def babble(path: Path) -> None:
        said = [speech.say_for(15, voice) for voice in speech.VOICES]
        voices = [audio.resample(one.pcm, one.rate, 16000) for one in said]
        audio.write(path, audio.mixed(voices, 7000), 16000)

    assert server.transcribe(sounds.get("babble.wav", babble)).json()["text"] == ""


@pytest.mark.promise("S3.1")
def test_a_word_that_is_really_repeated_is_kept(server: WhisperServer, sounds: Sounds) -> None:
    """Whisper's alarm for repetitions goes off, and the model is sure of what it hears."""
    said = speech.say("It is very " + "very " * 30 + "good.")
    text = server.transcribe(sounds.spoken(said)).json()["text"]
    assert text.lower().count("very") > 10
