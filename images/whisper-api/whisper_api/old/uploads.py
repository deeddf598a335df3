"""What the old APIs share: an upload under another field's name, and errors as FastAPI words them."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.requests import Request

from service_kit.errors import ServiceError
from whisper_api import multipart
from whisper_api.multipart import Form
from whisper_api.routes.recordings import refuse_too_large, service_of
from whisper_api.service import Service
from whisper_api.tasks import Place
from whisper_api.transcript import WRITTEN_WITHOUT_BLANKS
from whisper_api.wishes import Wishes

RAW_RATE = 16000
_SEGMENT = (
    "seek", "start", "end", "tokens", "temperature", "avg_logprob", "compression_ratio", "no_speech_prob",
)  # fmt: skip


@dataclass(frozen=True)
class Upload:
    """A recording that came in: its place in the queue, where it lies, and the form around it."""

    place: Place
    path: Path
    form: Form


class InvalidFieldsError(Exception):
    """Fields that FastAPI would refuse with 422; `errors` as pydantic lists them."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


class OldRoute(APIRoute):
    """A route whose errors are FastAPI's own: {"detail": …}, and not those of this house."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, and what becomes of the errors it raises."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except RequestValidationError as error:
                return detail(422, jsonable_encoder(error.errors()))
            except InvalidFieldsError as error:
                return detail(422, jsonable_encoder(error.errors))
            except ServiceError as error:
                return refused(error)

        return handler


def detail(status: int, content: Any, **headers: str) -> JSONResponse:
    """An error as FastAPI's HTTPException has it."""
    return JSONResponse({"detail": content}, status, headers or None)


def refused(error: ServiceError) -> JSONResponse:
    """An error of ours in that shape."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return detail(error.status, error.sentence, **headers)


def missing(field: str) -> InvalidFieldsError:
    """A field of the form that is not there."""
    return InvalidFieldsError([{"type": "missing", "loc": ("body", field), "msg": "Field required", "input": None}])


@contextlib.asynccontextmanager
async def taken(request: Request, file_field: str, head: Callable[[str], bytes] | None = None) -> AsyncIterator[Upload]:
    """Take a place and the upload of `request`; place and file are given back at the end of the block.

    Raises ServiceError as /transcribe does, InvalidFieldsError where there is no file.
    """
    service = service_of(request)
    settings = service.settings
    refuse_too_large(request, settings.max_upload_bytes)
    try:
        boundary = multipart.boundary_of(request.headers.get("content-type", ""))
    except ServiceError:
        raise missing(file_field) from None
    with service.queue.take_place() as place, service.storage.request_directory() as directory:
        form = await multipart.read_form(
            request.stream(), boundary, directory / "upload", max_bytes=settings.max_upload_bytes,
            idle_timeout_s=settings.upload_idle_timeout_s, file_field=file_field, head=head,
        )  # fmt: skip
        if form.file_bytes is None:
            raise missing(file_field)
        yield Upload(place, directory / "upload", form)


def fitting(wishes: Wishes, service: Service) -> Wishes:
    """`wishes` as the old services took them: a model that knows only English takes everything for English."""
    facts = service.engine.facts
    english_only = not facts.multilingual if facts is not None else service.settings.model_name.endswith(".en")
    return replace(wishes, language="en", task="transcribe") if english_only else wishes


def wav_head(_: str = "") -> bytes:
    """What makes bare samples (16 bit, mono, 16 kHz) a WAV file of unknown length."""
    unknown = 0xFFFFFFFF
    form = struct.pack("<HHIIHH", 1, 1, RAW_RATE, 2 * RAW_RATE, 2, 16)
    return b"RIFF" + struct.pack("<I", unknown) + b"WAVEfmt " + struct.pack("<I", 16) + form + (
        b"data" + struct.pack("<I", unknown)
    )  # fmt: skip


def spoken(segment: dict[str, Any]) -> str:
    """A segment's text as Whisper gives it, with the blank that parts it from the one before."""
    text = str(segment["text"]).strip()
    return text if segment["language"] in WRITTEN_WITHOUT_BLANKS else f" {text}"


def shown(segment: dict[str, Any], number: int) -> dict[str, Any]:
    """A segment as faster-whisper has it; `words` is None unless they were asked for."""
    return {
        "id": number,
        **{name: segment[name] for name in _SEGMENT},
        "text": spoken(segment),
        "words": segment.get("words"),
    }
