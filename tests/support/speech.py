"""Generated speech with known words, and the word error rate to judge a transcript of it.

The voice is espeak-ng, carried by the `espeakng_loader` wheel, so every machine that runs the tests hears the same.
espeak-ng sounds like a robot: what a small model understands of it is a lower bound of what it understands of people.
The sentences and voices here are ones that faster-whisper `tiny.en` (int8) really understands.
"""

from __future__ import annotations

import ctypes
import functools
import re
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import espeakng_loader
import jiwer
import numpy as np
import numpy.typing as npt

Pcm = npt.NDArray[np.int16]

SENTENCES = (
    "The new computer is much faster than the old one.",
    "Please remember to close the window before you leave the house.",
    "After the concert we went home and watched a film.",
    "The meeting has been moved to Thursday because the manager is still on holiday.",
    "She opened the door, looked at the garden and smiled at her old friend.",
    "Thank you very much for your help with this project.",
    "We are going to have dinner with our parents on Saturday evening.",
    "The doctor told him to stay in bed for three days.",
    "My favorite food is chicken with rice and vegetables.",
    "It has been raining all day and the roads are very wet.",
    "You should drink more water when it is hot outside.",
    "He wrote a letter to his teacher and thanked her for the help.",
)


@dataclass(frozen=True)
class Voice:
    """One espeak-ng voice: its name, words a minute, and pitch (0-99)."""

    name: str = "en-us"
    words_per_minute: int = 150
    pitch: int = 50


AMERICAN = Voice("en-us", 150, 50)
SLOW = Voice("en-us", 130, 45)
FAST = Voice("en-us", 180, 50)
FEMALE = Voice("en-us+f2", 150, 50)
BRITISH = Voice("en-gb-x-rp", 150, 50)
BARITONE = Voice("en-us+m3", 150, 45)
VOICES = (AMERICAN, SLOW, FAST, FEMALE, BRITISH, BARITONE)


@dataclass(frozen=True)
class Speech:
    """Samples and the words that they say. `pcm`: int16, mono, shape (samples,); `rate` in Hz."""

    pcm: Pcm
    rate: int
    text: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.pcm) / self.rate


def say(text: str, voice: Voice = AMERICAN) -> Speech:
    """Speak `text`. Raises RuntimeError when espeak-ng refuses the voice or the text."""
    return Speech(*_espeak().speak(text, voice), text)


def say_sentences(count: int, voice: Voice = AMERICAN, *, first: int = 0, pause_s: float = 0.5) -> Speech:
    """Speak `count` sentences of the list from number `first` on (going round it), a pause after each."""
    spoken = [say(SENTENCES[(first + i) % len(SENTENCES)], voice) for i in range(count)]
    rate = spoken[0].rate
    pause = np.zeros(int(rate * pause_s), np.int16)
    pcm = np.concatenate([part for one in spoken for part in (one.pcm, pause)])
    return Speech(pcm, rate, " ".join(one.text for one in spoken))


def say_for(duration_s: float, voice: Voice = AMERICAN) -> Speech:
    """Speak sentences until at least `duration_s` seconds are filled (whole sentences, so a little more)."""
    one_round = [say(sentence, voice) for sentence in SENTENCES]
    rate = one_round[0].rate
    pause = np.zeros(rate // 2, np.int16)
    parts: list[Pcm] = []
    said: list[str] = []
    samples = 0
    while samples < duration_s * rate:
        one = one_round[len(said) % len(one_round)]
        parts += [one.pcm, pause]
        said.append(one.text)
        samples += len(one.pcm) + len(pause)
    return Speech(np.concatenate(parts), rate, " ".join(said))


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Word error rate (0 = equal) after removing what a listener cannot hear: case, punctuation, spelled numbers."""
    return float(jiwer.wer(normalise(reference), normalise(hypothesis) or "(nothing)"))


def normalise(text: str) -> str:
    """Lower case, no punctuation, small numbers as words, single blanks."""
    text = re.sub(r"[^a-z0-9' ]+", " ", text.lower())
    return " ".join(_NUMBERS.get(word, word) for word in text.split())


_NUMBERS = {"1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "10": "ten", "20": "twenty", "okay": "ok"}


class _Espeak:
    """libespeak-ng through ctypes. The library keeps global state, hence the lock and the single instance."""

    RETRIEVAL = 1  # AUDIO_OUTPUT_RETRIEVAL: samples go to the callback, no sound device is opened
    UTF8 = 1
    RATE, PITCH = 1, 3

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lib: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        self._chunks: list[bytes] = []
        signature = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = signature(self._receive)  # kept: ctypes does not hold a reference
        self.rate = int(self._lib.espeak_Initialize(self.RETRIEVAL, 0, _short_data_path().encode(), 0))
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng found no voices in {espeakng_loader.get_data_path()}")
        self._lib.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: Voice) -> tuple[Pcm, int]:
        with self._lock:
            self._chunks.clear()
            if self._lib.espeak_SetVoiceByName(voice.name.encode()) != 0:
                raise RuntimeError(f"espeak-ng has no voice {voice.name!r}")
            self._lib.espeak_SetParameter(self.RATE, voice.words_per_minute, 0)
            self._lib.espeak_SetParameter(self.PITCH, voice.pitch, 0)
            data = text.encode()
            status = self._lib.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, 0, 0, self.UTF8, None, None)
            self._lib.espeak_Synchronize()
            if status != 0 or not self._chunks:
                raise RuntimeError(f"espeak-ng could not speak {text[:40]!r} (status {status})")
            return np.frombuffer(b"".join(self._chunks), np.int16), self.rate

    def _receive(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._chunks.append(ctypes.string_at(samples, count * 2))
        return 0


@functools.cache
def _espeak() -> _Espeak:
    return _Espeak()


def _short_data_path() -> str:
    """espeak-ng cuts paths at 160 bytes: a deep checkout gets a short link instead."""
    path = espeakng_loader.get_data_path()
    if len(path) < 120:
        return str(path)
    link = Path(tempfile.mkdtemp(prefix="espeak-")) / "espeak-ng-data"
    link.symlink_to(path)
    return str(link)
