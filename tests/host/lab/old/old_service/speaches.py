"""speaches (once faster-whisper-server): OpenAI's routes over the models in Hugging Face's cache."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from av.error import InvalidDataError
from fastapi import Depends, FastAPI, Form, HTTPException, Request, UploadFile
from fastapi.responses import PlainTextResponse, Response, StreamingResponse

from .engine import Engine, UnreadableError, samples_of

INSTALLED = "Systran/faster-whisper-tiny.en"
Format = Literal["text", "json", "verbose_json", "srt", "vtt"]


def create_app() -> FastAPI:
    """The service."""
    engine = Engine(INSTALLED)
    app = FastAPI(title="Speaches", version="0.8.3")

    @app.get("/health")
    def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return {"data": [_model()], "object": "list"}

    @app.get("/v1/models/{model_id:path}")
    def model(model_id: str) -> dict[str, Any]:
        if model_id != INSTALLED:
            raise HTTPException(404, f"Model '{model_id}' not found")
        return _model()

    @app.get("/api/ps")
    def loaded() -> dict[str, list[str]]:
        return {"models": [INSTALLED]}

    @app.post("/v1/audio/transcriptions", response_model=None)
    async def transcriptions(
        request: Request,
        samples: Annotated[Any, Depends(_samples)],
        model: Annotated[str, Form()],
        language: Annotated[str | None, Form()] = None,
        prompt: Annotated[str | None, Form()] = None,
        response_format: Annotated[Format, Form()] = "json",
        temperature: Annotated[float, Form()] = 0.0,
        stream: Annotated[bool, Form()] = False,
        hotwords: Annotated[str | None, Form()] = None,
        vad_filter: Annotated[bool | None, Form()] = None,
    ) -> Response:
        _installed(model)
        words = "word" in (await request.form()).getlist("timestamp_granularities[]")
        segments, info = engine.transcribe(
            samples, task="transcribe", language=language, initial_prompt=prompt, word_timestamps=words,
            temperature=temperature, hotwords=hotwords, vad_filter=True if vad_filter is None else vad_filter,
        )  # fmt: skip
        return _answer(segments, info, response_format, words, stream)

    @app.post("/v1/audio/translations", response_model=None)
    async def translations(
        samples: Annotated[Any, Depends(_samples)],
        model: Annotated[str, Form()],
        prompt: Annotated[str | None, Form()] = None,
        response_format: Annotated[Format, Form()] = "json",
        temperature: Annotated[float, Form()] = 0.0,
        stream: Annotated[bool, Form()] = False,
        vad_filter: Annotated[bool | None, Form()] = None,
    ) -> Response:
        _installed(model)
        segments, info = engine.transcribe(
            samples, task="translate", initial_prompt=prompt, temperature=temperature,
            vad_filter=True if vad_filter is None else vad_filter,
        )  # fmt: skip
        return _answer(segments, info, response_format, False, stream)

    return app


def _samples(file: Annotated[UploadFile, Form()]) -> Any:
    try:
        return samples_of(file.file)
    except UnreadableError as error:
        cause = error.__cause__
        if isinstance(cause, InvalidDataError):
            raise HTTPException(415, "Failed to decode audio. The provided file type is not supported.") from None
        if isinstance(cause, ValueError):
            raise HTTPException(400, "Failed to decode audio. The provided file is likely empty.") from None
        raise HTTPException(500, "Failed to decode audio.") from None


def _installed(model: str) -> None:
    if model not in {INSTALLED, "whisper-1"}:
        raise HTTPException(
            404, f"Model '{model}' is not installed locally. You can download the model using `POST /v1/models`"
        )


def _model() -> dict[str, Any]:
    return {
        "id": INSTALLED, "created": int(time.time()), "object": "model", "owned_by": "Systran", "language": ["en"],
        "task": "automatic-speech-recognition",
    }  # fmt: skip


def _answer(segments: list[Any], info: Any, kind: Format, words: bool, stream: bool) -> Response:
    if stream:
        return StreamingResponse(_events(segments, info, kind, words), media_type="text/event-stream")
    content, media_type = _one(segments, 0, info, kind, words, info.duration)
    return Response(content, media_type=media_type)


def _events(segments: list[Any], info: Any, kind: Format, words: bool) -> Iterator[str]:
    for number, segment in enumerate(segments):
        data = _one([segment], number, info, kind, words, segment.end - segment.start, stripped=kind == "json")[0]
        yield f"data: {data}\n\n"


def _one(
    segments: list[Any], first: int, info: Any, kind: Format, words: bool, duration: float, stripped: bool = True
) -> tuple[str, str]:
    text = "".join(segment.text for segment in segments)
    text = text.strip() if stripped else text
    if kind == "text":
        return text, "text/plain"
    if kind == "json":
        return json.dumps({"text": text}), "application/json"
    if kind == "verbose_json":
        return json.dumps(
            {
                "task": "transcribe", "language": info.language, "duration": duration, "text": text,
                "words": [_word(word) for one in segments for word in one.words or ()] if words else None,
                "segments": [_segment(one) for one in segments],
            }
        ), "application/json"  # fmt: skip
    numbered = enumerate(segments, first)
    if kind == "vtt":
        return "".join(
            ("" if number else "WEBVTT\n\n")
            + f"{_clock(one.start if number else 0.0, '.')} --> {_clock(one.end, '.')}\n{one.text}\n\n"
            for number, one in numbered
        ), "text/vtt"
    return "".join(
        f"{number + 1}\n{_clock(one.start, ',')} --> {_clock(one.end, ',')}\n{one.text}\n\n" for number, one in numbered
    ), "text/plain"


def _segment(one: Any) -> dict[str, Any]:
    names = ("id", "seek", "start", "end", "text", "tokens", "avg_logprob", "compression_ratio", "no_speech_prob")
    return {name: getattr(one, name) for name in names} | {
        "temperature": one.temperature or 0.0,
        "words": [_word(word) for word in one.words] if one.words is not None else None,
    }


def _word(word: Any) -> dict[str, Any]:
    return {"start": word.start, "end": word.end, "word": word.word, "probability": word.probability}


def _clock(seconds: float, mark: str) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{int(seconds * 1000 % 1000):03}"
