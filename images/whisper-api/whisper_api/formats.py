"""Transcripts as OpenAI's response formats: json, text, srt, vtt, verbose_json."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from whisper_api import languages
from whisper_api.transcript import Transcript

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
GRANULARITIES = ("word", "segment")
TIMED = frozenset({"srt", "vtt", "verbose_json"})


def plain_text(transcript: Transcript) -> str:
    """The text and a newline, as OpenAI sends it."""
    return transcript.text + "\n"


def srt(transcript: Transcript) -> str:
    """SubRip subtitles; empty when nothing was said."""
    return "".join(
        f"{number}\n{start} --> {end}\n{text}\n\n"
        for number, (start, end, text) in enumerate(_cues(transcript, ","), 1)
    )


def vtt(transcript: Transcript) -> str:
    """WebVTT subtitles."""
    cues = (f"{start} --> {end}\n{_escaped(text)}\n\n" for start, end, text in _cues(transcript, "."))
    return "WEBVTT\n\n" + "".join(cues)


def verbose_json(transcript: Transcript, task: str, granularities: frozenset[str]) -> dict[str, Any]:
    """OpenAI's verbose_json; times in seconds. `words` and `segments` appear as asked for."""
    answer: dict[str, Any] = {
        "task": task,
        "language": languages.name_of(transcript.language),
        "duration": round(transcript.duration_s, 3),
        "text": transcript.text,
    }
    if "segment" in granularities:
        answer["segments"] = [
            {
                "id": number,
                "seek": segment["seek"],
                "start": segment["start"],
                "end": segment["end"],
                "text": segment["text"],
                "tokens": segment["tokens"],
                "temperature": segment["temperature"],
                "avg_logprob": segment["avg_logprob"],
                "compression_ratio": segment["compression_ratio"],
                "no_speech_prob": segment["no_speech_prob"],
            }
            for number, segment in enumerate(transcript.segments)
        ]
    if "word" in granularities:
        answer["words"] = [
            {"word": word["word"].strip(), "start": word["start"], "end": word["end"]}
            for segment in transcript.segments
            for word in segment.get("words", ())
        ]
    answer["usage"] = usage(transcript)
    return answer


def usage(transcript: Transcript) -> dict[str, Any]:
    """OpenAI's account of a transcription: whole seconds, rounded up."""
    return {"type": "duration", "seconds": int(-(-transcript.duration_s // 1))}


def _cues(transcript: Transcript, decimal_mark: str) -> Iterator[tuple[str, str, str]]:
    for segment in transcript.segments:
        # A blank line or an arrow inside a cue would end it.
        text = " ".join(str(segment["text"]).replace("-->", "->").split())
        yield _clock(segment["start"], decimal_mark), _clock(segment["end"], decimal_mark), text


def _clock(seconds: float, decimal_mark: str) -> str:
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, rest = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{decimal_mark}{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
