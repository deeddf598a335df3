"""Samples to text with faster-whisper. Runs only inside the engine process.

Long recordings are worked through in windows cut where it is quietest, so that memory does not grow with the
length; within a window voice activity detection finds the speech and the chunks of it are decoded in batches.
The batched pipeline looks at none of Whisper's own alarms (repetition, low probability, no speech), so they are
looked at here: a chunk that raises one is decoded again with Whisper's temperature fallback, and what still is
nothing that anybody said is left out. Silence gives no text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import get_vad_model

from whisper_api import speech_times

SAMPLE_RATE = 16000
WINDOW_S = 600
CUT_SEARCH_S = 30
LANGUAGE_S = 30
CUT_FRAME_S = 0.2
FALLBACK_TEMPERATURES = (0.0, 0.4, 0.8)  # half of Whisper's steps: each costs a decoding
# OpenAI's own thresholds, as in faster-whisper's defaults.
COMPRESSION_RATIO_LIMIT = 2.4
LOG_PROBABILITY_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
# Ours: measured on repeated words (-0.13) against sentences invented for babble, a vowel or sung notes (below -0.8).
SURE_LOG_PROBABILITY = -0.5

Samples = npt.NDArray[np.float32]
# A note of what is heard instead of words: [Music], (applause), *laughs*, a row of notes.
_NOTE = re.compile(r"[\[(*][^\])*]*[\])*]|[♪♫♬♩]+[^♪♫♬♩]*[♪♫♬♩]+")


@dataclass(frozen=True)
class Options:
    """What a caller may choose. `language` None: find it out; `temperature` None: 0 with fallback."""

    language: str | None = None
    task: str = "transcribe"
    prompt: str | None = None
    temperature: float | None = None
    timestamps: bool = False
    words: bool = False
    hotwords: str | None = None
    detect_only: bool = False


class CancelledTaskError(Exception):
    """The caller left."""


def library_options(options: Options, *, beam_size: int, batch_size: int) -> dict[str, Any]:
    """Keyword arguments for BatchedInferencePipeline.transcribe; a benchmark calls the library with the same."""
    return {
        "language": options.language,
        "task": options.task,
        "initial_prompt": options.prompt,
        "temperature": [options.temperature or 0.0],
        "without_timestamps": not (options.timestamps or options.words),
        "word_timestamps": options.words,
        "hotwords": options.hotwords,
        "beam_size": beam_size,
        "batch_size": batch_size,
    }


class Recogniser:
    """One loaded model. Not for use by two threads at once."""

    def __init__(self, model: WhisperModel, *, beam_size: int, batch_size: int) -> None:
        self._model = model
        self._beam_size = beam_size
        self._batch_size = batch_size

    def prove(self) -> None:
        """Recognise half a second of faint noise, so that what is missing or broken shows before somebody waits."""
        noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE // 2).astype(np.float32) * np.float32(0.001)
        found, _ = self._model.transcribe(noise, language="en", beam_size=1, temperature=0.0, without_timestamps=True)
        list(found)
        get_vad_model()

    def transcribe(
        self, path: Path, options: Options, emit: Callable[[dict[str, Any]], None], cancelled: Callable[[], bool]
    ) -> dict[str, Any]:
        """Send each segment of the samples in `path` to `emit`; returns {"language", "duration"} (seconds).

        A segment has start, end (seconds), text, avg_logprob, compression_ratio, no_speech_prob, temperature,
        tokens, seek, and words when asked for. Raises CancelledTaskError once `cancelled()` is true.
        """
        samples = np.memmap(path, np.int16, "r") if path.stat().st_size else np.zeros(0, np.int16)
        if options.detect_only:
            return self._language(samples)
        language = options.language
        heard_in: str | None = None
        for start, end in windows(samples):
            if cancelled():
                raise CancelledTaskError
            window = samples[start:end].astype(np.float32) / np.float32(32768)
            known = Options(**{**vars(options), "language": language})
            segments, found = self._window(window, known, cancelled)
            offset = start / SAMPLE_RATE
            for segment in segments:
                if language is None:
                    language = found
                emit({**_moved(segment, offset), "language": language})
            heard_in = heard_in or found
            emit({"progress_s": end / SAMPLE_RATE})
        return {"language": language or heard_in or "en", "duration": len(samples) / SAMPLE_RATE}

    def _language(self, samples: npt.NDArray[np.int16]) -> dict[str, Any]:
        """The language of the first 30 s and how likely it is, without a word of text."""
        first = samples[: LANGUAGE_S * SAMPLE_RATE].astype(np.float32) / np.float32(32768)
        # It is known before the first segment is asked for, and none is.
        _, info = self._model.transcribe(first, beam_size=1)
        return {
            "language": info.language,
            "probability": float(info.language_probability),
            "duration": len(samples) / SAMPLE_RATE,
        }

    def _window(
        self, window: Samples, options: Options, cancelled: Callable[[], bool]
    ) -> tuple[Iterator[dict[str, Any]], str]:
        arguments = library_options(options, beam_size=self._beam_size, batch_size=self._batch_size)
        # One pipeline for each window: it keeps the state of a call on the instance.
        found, info = BatchedInferencePipeline(self._model).transcribe(window, **arguments)
        # The speech that voice activity detection found, in samples.
        speech = [
            (stretch["start"] / SAMPLE_RATE, stretch["end"] / SAMPLE_RATE)
            for stretch in info.transcription_options.clip_timestamps
        ]
        return self._checked(found, window, speech, options, info.language, cancelled), info.language

    def _checked(
        self,
        found: Any,
        window: Samples,
        speech: list[tuple[float, float]],
        options: Options,
        language: str,
        cancelled: Callable[[], bool],
    ) -> Iterator[dict[str, Any]]:
        for _, chunk in groupby(found, key=lambda segment: segment.seek):
            segments = list(chunk)
            if cancelled():
                raise CancelledTaskError
            segments = [segment for segment in segments if not _nobody_spoke(segment)]
            if options.temperature is None and any(_alarming(segment) for segment in segments):
                again = self._again(window, segments[0].start, segments[-1].end, options, language)
                segments = again or [segment for segment in segments if _sure(segment)]
            for segment in segments:
                text = without_notes(segment.text)
                if text:
                    segment.start, segment.end = speech_times.snapped(segment.start, segment.end, speech)
                    yield _as_message(segment, text)

    def _again(self, window: Samples, start_s: float, end_s: float, options: Options, language: str) -> list[Any]:
        """Decode one stretch with temperature fallback, which the batched pipeline does not have.

        Returns what raises no alarm. The same recording gives the same answer each time: the seed is fixed.
        """
        ctranslate2.set_random_seed(1)
        first = int(start_s * SAMPLE_RATE)
        stretch = window[first : int(end_s * SAMPLE_RATE)]
        found, _ = self._model.transcribe(
            stretch,
            language=language,
            task=options.task,
            initial_prompt=options.prompt,
            beam_size=self._beam_size,
            temperature=list(FALLBACK_TEMPERATURES),
            compression_ratio_threshold=COMPRESSION_RATIO_LIMIT,
            log_prob_threshold=LOG_PROBABILITY_LIMIT,
            no_speech_threshold=NO_SPEECH_LIMIT,
            condition_on_previous_text=False,
            word_timestamps=options.words,
            vad_filter=True,
        )
        kept = []
        for segment in found:
            if not _sound(segment):
                continue  # the second look raises an alarm too: the model is making something up
            segment.start += start_s
            segment.end += start_s
            for word in segment.words or ():
                word.start += start_s
                word.end += start_s
            kept.append(segment)
        return kept


def windows(samples: npt.NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """Cut `samples` (int16, 16 kHz) into stretches of about WINDOW_S, at the quietest place near each end."""
    start, count = 0, len(samples)
    size, search, frame = WINDOW_S * SAMPLE_RATE, CUT_SEARCH_S * SAMPLE_RATE, int(CUT_FRAME_S * SAMPLE_RATE)
    while count - start > size + search:
        tail = np.asarray(samples[start + size - search : start + size], np.float32)
        energy = np.square(tail[: len(tail) // frame * frame]).reshape(-1, frame).mean(axis=1)
        quietest = int(len(energy) - 1 - np.argmin(energy[::-1]))
        end = start + size - search + quietest * frame + frame // 2
        yield start, end
        start = end
    if count > start:
        yield start, count


def without_notes(text: str) -> str:
    """`text` without notes of music and noises; empty when no letter or digit is left."""
    rest = _NOTE.sub(" ", text)
    if not any(character.isalnum() for character in rest):
        return ""
    # A note is dropped only where it is all there is: a speaker's own brackets stay.
    return text.strip()


def _alarming(segment: Any) -> bool:
    return bool(segment.compression_ratio > COMPRESSION_RATIO_LIMIT or segment.avg_logprob < LOG_PROBABILITY_LIMIT)


def _sure(segment: Any) -> bool:
    """The model hears this clearly: somebody who really says a word thirty times is believed."""
    return bool(segment.avg_logprob >= SURE_LOG_PROBABILITY)


def _sound(segment: Any) -> bool:
    return not _alarming(segment) and segment.no_speech_prob <= NO_SPEECH_LIMIT


def _nobody_spoke(segment: Any) -> bool:
    return bool(segment.no_speech_prob > NO_SPEECH_LIMIT and segment.avg_logprob < LOG_PROBABILITY_LIMIT)


def _as_message(segment: Any, text: str) -> dict[str, Any]:
    message = {
        "start": float(segment.start),
        "end": float(segment.end),
        "text": text,
        "tokens": [int(token) for token in segment.tokens],
        "avg_logprob": float(segment.avg_logprob),
        "compression_ratio": float(segment.compression_ratio),
        "no_speech_prob": float(segment.no_speech_prob),
        "temperature": float(segment.temperature or 0.0),
        "seek": int(segment.seek),
    }
    if segment.words is not None:
        message["words"] = [
            {
                "word": word.word,
                "start": float(word.start),
                "end": float(word.end),
                "probability": float(word.probability),
            }
            for word in segment.words
        ]
    return message


def _moved(message: dict[str, Any], offset_s: float) -> dict[str, Any]:
    for item in (message, *message.get("words", ())):
        item["start"] = round(item["start"] + offset_s, 3)
        item["end"] = round(item["end"] + offset_s, 3)
    return message
