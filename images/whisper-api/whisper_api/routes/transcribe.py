"""POST /transcribe and POST /transcribe/url."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service_kit.errors import ServiceError
from whisper_api import multipart, wishes
from whisper_api.routes import schemas
from whisper_api.routes.recordings import MAX_JSON_BYTES, service_of, transcribe_upload, transcribe_url
from whisper_api.service import Answer

router = APIRouter(tags=["transcribe"])
URL_FIELDS = ("url", "language", "task", "prompt", "model")


class Transcription(BaseModel):
    """What was said."""

    text: str = Field(description="the text; empty when nobody speaks")
    language: str = Field(description="ISO-639-1 code", examples=["en"])
    duration: float = Field(description="length of the recording in seconds")
    processing_time: float = Field(description="seconds of work for it, waiting left out")


@router.post("/transcribe", response_model=Transcription, openapi_extra=schemas.form(schemas.UPLOAD))
async def transcribe(request: Request) -> Transcription:
    """Transcribe an uploaded recording: any common audio format, or a video with sound."""
    model_names = service_of(request).model_names

    def read(fields: wishes.Fields) -> wishes.Wishes:
        wishes.check_model(fields, model_names, required=False)
        return wishes.from_fields(fields)

    _, answer = await transcribe_upload(request, read)
    return _shape(answer)


@router.post("/transcribe/url", response_model=Transcription, openapi_extra=schemas.json_or_form(schemas.URL))
async def transcribe_from_url(request: Request) -> Transcription:
    """Fetch a recording from a public http(s) address and transcribe it."""
    fields = await _url_fields(request)
    wishes.check_model(fields, service_of(request).model_names, required=False)
    return _shape(await transcribe_url(request, fields, wishes.from_fields(fields)))


def _shape(answer: Answer) -> Transcription:
    transcript = answer.transcript
    return Transcription(
        text=transcript.text,
        language=transcript.language,
        duration=round(transcript.duration_s, 2),
        processing_time=round(answer.processing_s, 3),
    )


async def _url_fields(request: Request) -> dict[str, list[str]]:
    """Fields of a small JSON object or form."""
    kind = request.headers.get("content-type", "application/json").split(";", 1)[0].strip().lower()
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_JSON_BYTES:
            raise ServiceError(413, "body_too_large", f"The body is larger than {MAX_JSON_BYTES} bytes.")
    if kind == "application/json":
        return _json_fields(bytes(body))
    if kind == "application/x-www-form-urlencoded":
        try:
            return parse_qs(body.decode("utf-8", "replace"), max_num_fields=multipart.MAX_PARTS)
        except ValueError as error:
            raise multipart.broken("it has too many fields") from error
    if kind == "multipart/form-data":
        boundary = multipart.boundary_of(request.headers["content-type"])
        return multipart.read_fields(bytes(body), boundary)
    raise ServiceError(
        415,
        "unsupported_media_type",
        f"The body has content type {kind[:100]}; this route takes application/json or a form.",
        hint='Send {"url": "https://..."} as application/json.',
    )


def _json_fields(body: bytes) -> dict[str, list[str]]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            400, "invalid_json", "The body is not valid JSON.", hint='Send {"url": "https://..."}.'
        ) from error
    if not isinstance(value, dict):
        raise ServiceError(400, "invalid_json", "The body is not a JSON object.", hint='Send {"url": "https://..."}.')
    fields: dict[str, list[str]] = {}
    for name in URL_FIELDS:
        given = value.get(name)
        if given is None:
            continue
        if not isinstance(given, str):
            raise ServiceError(400, f"invalid_{name}", f"The field '{name}' is not a string.", param=name)
        fields[name] = [given]
    return fields
