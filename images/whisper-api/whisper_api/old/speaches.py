"""speaches (once faster-whisper-server): OpenAI's audio routes as it answers them.

They lie on the paths of our own OpenAI routes and take their place: the language is a code, words have a probability,
`stream` sends each segment as it is heard, and errors are {"detail": …}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service_kit.errors import ServiceError
from whisper_api.old.uploads import (
    InvalidFieldsError,
    OldRoute,
    Upload,
    detail,
    fitting,
    shown,
    spoken,
    taken,
    wav_head,
)
from whisper_api.routes.connection import while_connected
from whisper_api.routes.recordings import service_of
from whisper_api.service import Answer, Service
from whisper_api.wishes import MODEL_ALIASES, Wishes, from_fields, words_only

router = APIRouter(tags=["speaches"], route_class=OldRoute)
_KINDS = {"text": "text/plain", "vtt": "text/vtt", "srt": "text/plain"}
_RAW = frozenset({"audio/pcm", "audio/raw"})


class Fields(BaseModel):
    """The form, beside its file. A missing model is the loaded one, as in faster-whisper-server."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    response_format: Literal["text", "json", "verbose_json", "srt", "vtt"] = "json"
    temperature: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    stream: bool = False
    hotwords: str | None = None


@router.post("/v1/audio/transcriptions")
async def transcriptions(request: Request) -> Response:
    """Transcribe the form's `file`."""
    return await _answer(request, "transcribe")


@router.post("/v1/audio/translations")
async def translations(request: Request) -> Response:
    """Transcribe the form's `file` into English, where the model can translate."""
    return await _answer(request, "translate")


async def _answer(request: Request, task: str) -> Response:
    service = service_of(request)
    stack = contextlib.AsyncExitStack()
    async with stack:
        upload = await stack.enter_async_context(taken(request, "file", _head))
        fields = _fields(upload)
        if not _is_here(fields.model, service):
            return detail(
                404, f"Model '{str(fields.model)[:200]}' is not installed locally. "
                "You can download the model using `POST /v1/models`",
            )  # fmt: skip
        words = "word" in upload.form.fields.get("timestamp_granularities[]", ())
        wishes = fitting(_wishes(fields, task, words), service)
        try:
            if fields.stream:
                prepared = await while_connected(request, service.prepare(upload.path, wishes))
                heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
                work = _held(service.recognise(upload.place, prepared, wishes, heard.put_nowait), stack.pop_all())
                return _Stream(asyncio.create_task(work), heard, fields, words)
            answer = await while_connected(request, service.transcribe(upload.place, upload.path, wishes))
        except ServiceError as error:
            if error.param == "file" and error.status == 400:
                empty = error.code == "empty_file"
                why = "file is likely empty" if empty else "file type is not supported"
                return detail(400 if empty else 415, f"Failed to decode audio. The provided {why}.")
            raise
    transcript = answer.transcript
    content = _shaped(transcript.segments, 0, transcript.language, transcript.duration_s, fields.response_format, words)
    return Response(content, media_type=_KINDS.get(fields.response_format, "application/json"))


class _Stream(StreamingResponse):
    """The events of `work`, which ends with the answer: also where its caller left before it began."""

    def __init__(
        self, work: asyncio.Task[Any], heard: asyncio.Queue[dict[str, Any]], fields: Fields, words: bool
    ) -> None:
        super().__init__(_events(work, heard, fields, words), media_type="text/event-stream")
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._work.cancel()


async def _held(work: Coroutine[Any, Any, Answer], held: contextlib.AsyncExitStack) -> Answer:
    """`work`, which gives `held` (its place, its files) back itself: nobody may come to read its stream."""
    async with held:
        return await work


async def _events(
    work: asyncio.Task[Any], heard: asyncio.Queue[dict[str, Any]], fields: Fields, words: bool
) -> AsyncIterator[str]:
    """One event for each segment. Who leaves ends the work; an error in the middle becomes the last event."""
    try:
        number = 0
        while not (work.done() and heard.empty()):
            segment = await _next(work, heard)
            if segment is None:
                break
            duration_s = segment["end"] - segment["start"]
            kind = fields.response_format
            data = _shaped([segment], number, segment["language"], duration_s, kind, words, whole=False)
            yield f"data: {data}\n\n"
            number += 1
        await work
    except ServiceError as error:
        yield f"data: {json.dumps({'detail': error.sentence})}\n\n"
    except ClientDisconnect:
        pass
    finally:
        if not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def _next(work: asyncio.Task[Any], heard: asyncio.Queue[dict[str, Any]]) -> dict[str, Any] | None:
    """The next segment, or None when the work ended without one more."""
    getting = asyncio.create_task(heard.get())
    try:
        await asyncio.wait({getting, work}, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        return heard.get_nowait() if not heard.empty() else None
    finally:
        getting.cancel()


def _head(kind: str) -> bytes:
    return wav_head() if kind in _RAW else b""


def _fields(upload: Upload) -> Fields:
    given = {name: values[-1] for name, values in upload.form.fields.items() if name in Fields.model_fields}
    try:
        return Fields.model_validate({name: value for name, value in given.items() if value != ""})
    except ValidationError as error:
        errors = error.errors(include_url=False)
        raise InvalidFieldsError([{**one, "loc": ("body", *one["loc"])} for one in errors]) from None


def _is_here(model: str | None, service: Service) -> bool:
    """Whether the model of this service stands in for `model`: any Whisper, whatever it was installed as."""
    if model is None or model in service.model_names or model in MODEL_ALIASES:
        return True
    return "whisper" in model.rpartition("/")[2].lower()


def _wishes(fields: Fields, task: str, words: bool) -> Wishes:
    language = from_fields({"language": [fields.language or ""]}).language
    granularities = frozenset({"segment", "word"} if words else {"segment"})
    return Wishes(
        language, task, words_only(fields.prompt), fields.temperature or None, "verbose_json", granularities,
        words_only(fields.hotwords),
    )  # fmt: skip


def _shaped(
    segments: Iterable[dict[str, Any]],
    first: int,
    language: str,
    duration_s: float,
    kind: str,
    words: bool,
    *,
    whole: bool = True,
) -> str:
    """These segments, numbered from `first`, in the wanted format. `whole`: all that was said, not one event of it."""
    numbered = [(number, segment, spoken(segment)) for number, segment in enumerate(segments, first)]
    text = "".join(said for _, _, said in numbered)
    match kind:
        case "text":
            return text.strip() if whole else text
        case "json":
            return json.dumps({"text": text.strip()})
        case "verbose_json":
            listed = [shown(segment, number + 1) for number, segment, _ in numbered]
            heard = [word for segment in listed for word in segment["words"] or ()] if words else None
            return json.dumps(
                {"task": "transcribe", "language": language, "duration": duration_s,
                 "text": text.strip() if whole else text, "words": heard, "segments": listed}
            )  # fmt: skip
        case "vtt":
            # the first cue begins with the recording, as there
            return "".join(
                ("" if number else "WEBVTT\n\n")
                + f"{_clock(segment['start'] if number else 0.0, '.')} --> {_clock(segment['end'], '.')}\n{said}\n\n"
                for number, segment, said in numbered
            )
    return "".join(
        f"{number + 1}\n{_clock(segment['start'], ',')} --> {_clock(segment['end'], ',')}\n{said}\n\n"
        for number, segment, said in numbered
    )


def _clock(seconds: float, mark: str) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{int(seconds * 1000 % 1000):03}"
