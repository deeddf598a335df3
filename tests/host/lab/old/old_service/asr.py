"""ahmetoner/whisper-asr-webservice (image onerahmet/openai-whisper-asr-webservice), with ASR_ENGINE=faster_whisper."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any
from urllib.parse import quote

import numpy as np
from fastapi import FastAPI, Query, UploadFile
from fastapi.responses import RedirectResponse, StreamingResponse
from faster_whisper.utils import format_timestamp

from .engine import Engine, samples_of

ENGINE = "faster_whisper"
LANGUAGES = {"en": "english", "de": "german", "fr": "french", "es": "spanish"}


def create_app() -> FastAPI:
    """The service; the model is loaded first, as there."""
    engine = Engine(os.environ.get("ASR_MODEL", "base"), os.environ.get("ASR_MODEL_PATH"))
    app = FastAPI(title="Whisper Asr Webservice", version="1.9.1")

    @app.get("/", include_in_schema=False)
    async def index() -> RedirectResponse:
        return RedirectResponse("/docs")

    @app.post("/asr", tags=["Endpoints"])
    async def asr(
        audio_file: UploadFile,
        encode: Annotated[bool, Query(description="Encode audio first through ffmpeg")] = True,
        task: str | None = "transcribe",
        language: str | None = None,
        initial_prompt: str | None = None,
        vad_filter: bool | None = False,
        word_timestamps: bool = False,
        output: str | None = "txt",
    ) -> StreamingResponse:
        options: dict[str, Any] = {"task": task}
        options |= {"language": language} if language else {}
        options |= {"initial_prompt": initial_prompt} if initial_prompt else {}
        options |= {"vad_filter": True} if vad_filter else {}
        options |= {"word_timestamps": True} if word_timestamps else {}
        # blocks everybody else meanwhile, as there
        segments, info = engine.transcribe(_samples(audio_file, encode), **options)
        text = "".join(_written(segments, language or info.language, output))
        name = quote(audio_file.filename or "")
        headers = {"Asr-Engine": ENGINE, "Content-Disposition": f'attachment; filename="{name}.{output}"'}
        return StreamingResponse(io.StringIO(text), media_type="text/plain", headers=headers)

    @app.post("/detect-language", tags=["Endpoints"])
    async def detect_language(audio_file: UploadFile, encode: bool = True) -> dict[str, Any]:
        code, confidence = engine.language(_samples(audio_file, encode))
        return {"detected_language": LANGUAGES.get(code, code), "language_code": code, "confidence": confidence}

    return app


def _samples(file: UploadFile, encode: bool) -> Any:
    if encode:
        return samples_of(file.file)  # what it raises becomes a bare 500, as there
    return np.frombuffer(file.file.read(), np.int16).flatten().astype(np.float32) / 32768.0


def _written(segments: list[Any], language: str, output: str | None) -> Iterator[str]:
    if output == "json":
        text = "".join(segment.text for segment in segments)
        yield json.dumps({"language": language, "segments": [asdict(one) for one in segments], "text": text})
        return
    heads = {"vtt": "WEBVTT\n\n", "tsv": "start\tend\ttext\n"}
    yield heads.get(output or "", "")
    for number, segment in enumerate(segments, 1):
        text = segment.text.strip()
        if output == "vtt":
            yield f"{format_timestamp(segment.start)} --> {format_timestamp(segment.end)}\n"
            yield text.replace("-->", "->") + "\n\n"
        elif output == "srt":
            start, end = (format_timestamp(at, True, ",") for at in (segment.start, segment.end))
            yield f"{number}\n{start} --> {end}\n{text.replace('-->', '->')}\n\n"
        elif output == "tsv":
            cells = (str(round(1000 * segment.start)), str(round(1000 * segment.end)), text.replace("\t", " "))
            yield "\t".join(cells) + "\n"
        else:
            yield text + "\n"
