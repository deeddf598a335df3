"""ahmetoner/whisper-asr-webservice (onerahmet/openai-whisper-asr-webservice): POST /asr and /detect-language."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from service_kit.errors import ServiceError
from whisper_api import languages
from whisper_api.formats import srt
from whisper_api.old.uploads import OldRoute, fitting, shown, taken, wav_head
from whisper_api.routes.connection import while_connected
from whisper_api.routes.recordings import service_of
from whisper_api.transcript import Transcript
from whisper_api.wishes import Wishes, from_fields

ENGINE = "faster_whisper"
FIELD = "audio_file"
router = APIRouter(tags=["asr"], route_class=OldRoute)
# They say it of every file that cannot be worked on, and of a language or task that Whisper does not know.
_BUSY = frozenset({429, 503, 413, 408})


@router.post("/asr")
async def asr(
    request: Request,
    encode: Annotated[bool, Query(description="false: bare samples, 16 bit, mono, 16 kHz")] = True,
    task: str | None = "transcribe",
    language: str | None = None,
    initial_prompt: str | None = None,
    word_timestamps: bool = False,
    output: str | None = "txt",
) -> Response:
    """Transcribe the form's `audio_file`; `output` is txt, vtt, srt, tsv or json.

    `vad_filter`, `diarize`, `min_speakers` and `max_speakers` are taken without effect.
    """
    fields = {"language": [language or ""], "task": [task or ""], "prompt": [initial_prompt or ""]}
    try:
        wishes = from_fields(fields)
        granularities = frozenset({"segment", "word"} if word_timestamps else {"segment"})
        wishes = Wishes(wishes.language, wishes.task, wishes.prompt, None, "verbose_json", granularities)
        name, transcript = await _transcribed(request, wishes, encode)
    except ServiceError as error:
        return _failed(error)
    kind = output or "txt"
    # nothing of what a caller sends may end the header's line
    ending = quote(kind, safe="")
    headers = {"Asr-Engine": ENGINE, "Content-Disposition": f'attachment; filename="{quote(name)}.{ending}"'}
    text = "".join(_WRITERS.get(kind, _txt)(transcript))
    return PlainTextResponse(text, headers=headers)


@router.post("/detect-language", response_model=None)
async def detect_language(request: Request, encode: bool = True) -> dict[str, Any] | Response:
    """Which language the first 30 s of the form's `audio_file` are in."""
    try:
        _, transcript = await _transcribed(request, Wishes(detect_only=True), encode)
    except ServiceError as error:
        return _failed(error)
    code = transcript.language
    return {
        "detected_language": languages.name_of(code),
        "language_code": code,
        "confidence": transcript.language_probability,
    }


async def _transcribed(request: Request, wishes: Wishes, encode: bool) -> tuple[str, Transcript]:
    service = service_of(request)
    async with taken(request, FIELD, None if encode else wav_head) as upload:
        work = service.transcribe(upload.place, upload.path, fitting(wishes, service))
        answer = await while_connected(request, work)
        return upload.form.file_name, answer.transcript


def _failed(error: ServiceError) -> Response:
    """Theirs is a bare 500 for whatever is wrong with a file; ours adds what it is. A full server is told as such."""
    if error.status in _BUSY:
        raise error
    return PlainTextResponse(f"Internal Server Error: {error.sentence}", 500)


def _txt(transcript: Transcript) -> Iterator[str]:
    for segment in transcript.segments:
        yield f"{str(segment['text']).strip()}\n"


def _vtt(transcript: Transcript) -> Iterator[str]:
    yield "WEBVTT\n\n"
    for segment in transcript.segments:
        text = str(segment["text"]).strip().replace("-->", "->")
        yield f"{_clock(segment['start'])} --> {_clock(segment['end'])}\n{text}\n\n"


def _srt(transcript: Transcript) -> Iterator[str]:
    yield srt(transcript)


def _tsv(transcript: Transcript) -> Iterator[str]:
    yield "start\tend\ttext\n"
    for segment in transcript.segments:
        start_ms, end_ms = (round(1000 * segment[name]) for name in ("start", "end"))
        text = str(segment["text"]).strip().replace("\t", " ")
        yield f"{start_ms}\t{end_ms}\t{text}\n"


def _json(transcript: Transcript) -> Iterator[str]:
    segments = [shown(segment, number) for number, segment in enumerate(transcript.segments, 1)]
    text = "".join(str(segment["text"]) for segment in segments)
    yield json.dumps({"language": transcript.language, "segments": segments, "text": text})


def _clock(seconds: float) -> str:
    """mm:ss.mmm, with hours only where there are some."""
    milliseconds = max(0, round(seconds * 1000))
    hours, rest = divmod(milliseconds, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    return f"{f'{hours:02}:' if hours else ''}{minutes:02}:{rest // 1000:02}.{rest % 1000:03}"


_WRITERS: dict[str, Callable[[Transcript], Iterator[str]]] = {"vtt": _vtt, "srt": _srt, "tsv": _tsv, "json": _json}
