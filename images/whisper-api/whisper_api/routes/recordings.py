"""From a request to an answer of the service: the steps that all transcription routes share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from service_kit.errors import ServiceError
from whisper_api import multipart
from whisper_api.multipart import Form
from whisper_api.routes.connection import while_connected
from whisper_api.service import Answer, Service
from whisper_api.wishes import Wishes

FORM_OVERHEAD_BYTES = 1024 * 1024
MAX_JSON_BYTES = 128 * 1024

Read = Callable[[Mapping[str, list[str]]], Wishes]


def service_of(request: Request) -> Service:
    """The service that the application holds."""
    service: Service = request.app.state.service
    return service


async def transcribe_upload(request: Request, read: Read) -> tuple[Wishes, Answer]:
    """Take the form of `request`, transcribe its file. `read` checks the other fields."""
    service = service_of(request)
    settings = service.settings
    boundary = multipart.boundary_of(request.headers.get("content-type", ""))
    refuse_too_large(request, settings.max_upload_bytes)
    with service.queue.take_place() as place, service.storage.request_directory() as directory:
        form = await multipart.read_form(
            request.stream(),
            boundary,
            directory / "upload",
            max_bytes=settings.max_upload_bytes,
            idle_timeout_s=settings.upload_idle_timeout_s,
        )
        wishes = read(form.fields)
        _require_file(form)
        answer = await while_connected(request, service.transcribe(place, directory / "upload", wishes))
    return wishes, answer


async def transcribe_url(request: Request, fields: Mapping[str, list[str]], wishes: Wishes) -> Answer:
    """Fetch the field `url` and transcribe what it gives."""
    service = service_of(request)
    url = (fields.get("url") or [""])[-1].strip()
    if not url:
        raise ServiceError(
            400, "missing_url", "The field 'url' is missing.", hint='Send {"url": "https://..."}.', param="url"
        )
    with service.queue.take_place() as place, service.storage.request_directory() as directory:

        async def work() -> Answer:
            await service.fetcher.fetch(url, directory / "upload")
            return await service.transcribe(place, directory / "upload", wishes)

        return await while_connected(request, work())


def refuse_too_large(request: Request, max_bytes: int) -> None:
    """413 by the announced length, before anything of the body is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > max_bytes + FORM_OVERHEAD_BYTES:
        raise multipart.too_large(max_bytes)


def _require_file(form: Form) -> None:
    if form.file_bytes is None:
        known: Any = ", ".join(sorted(form.fields))[:200] or "none"
        raise ServiceError(
            400,
            "missing_file",
            f"The form has no field 'file' (fields sent: {known}).",
            hint="Send the recording as form field 'file': curl -F file=@recording.mp3 ...",
            param="file",
        )
