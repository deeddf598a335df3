"""OpenAI's audio routes: /v1/audio/transcriptions, /v1/audio/translations, and /v1/models."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from whisper_api import formats, wishes
from whisper_api.routes import schemas
from whisper_api.routes.recordings import service_of, transcribe_upload

router = APIRouter(tags=["openai"])


@router.post("/v1/audio/transcriptions", openapi_extra=schemas.form(schemas.OPENAI_TRANSCRIPTION))
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording; fields and answers are OpenAI's. The format decides the answer's content type."""
    return await _answer(request, "transcribe")


@router.post("/v1/audio/translations", openapi_extra=schemas.form(schemas.OPENAI_TRANSLATION))
async def translations(request: Request) -> Response:
    """Transcribe a recording into English, where the model can translate."""
    return await _answer(request, "translate")


@router.get("/v1/models")
async def models(request: Request) -> dict[str, Any]:
    """The one model of this service, as OpenAI lists models."""
    return {"object": "list", "data": [_model(request)]}


@router.get("/v1/models/{name:path}")
async def model(request: Request, name: str) -> dict[str, Any]:
    """The model by its name. 404 `model_not_found` for any other."""
    wishes.check_model({"model": [name]}, service_of(request).model_names, required=True)
    return _model(request)


async def _answer(request: Request, task: str) -> Response:
    model_names = service_of(request).model_names
    wish, answer = await transcribe_upload(request, lambda fields: wishes.from_openai_fields(fields, model_names, task))
    transcript = answer.transcript
    match wish.response_format:
        case "text":
            return PlainTextResponse(formats.plain_text(transcript))
        case "srt":
            return PlainTextResponse(formats.srt(transcript))
        case "vtt":
            return PlainTextResponse(formats.vtt(transcript), media_type="text/vtt")
        case "verbose_json":
            return JSONResponse(formats.verbose_json(transcript, task, wish.granularities))
        case _:
            return JSONResponse({"text": transcript.text, "usage": formats.usage(transcript)})


def _model(request: Request) -> dict[str, Any]:
    service = service_of(request)
    return {
        "id": service.model_names[0],
        "object": "model",
        "created": service.started_at,
        "owned_by": "whisper-api",
    }
