"""mayniklas/whisper_api: a recording becomes a task under /api/v1, and its status is asked for until it is finished."""

from __future__ import annotations

import contextlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from service_kit.errors import ServiceError
from whisper_api.formats import srt as as_srt
from whisper_api.old.kept import Kept, Results, now
from whisper_api.old.uploads import OldRoute, detail, fitting, spoken, taken
from whisper_api.routes.connection import while_connected
from whisper_api.routes.recordings import service_of
from whisper_api.transcript import Transcript
from whisper_api.wishes import Wishes, from_fields

# the version whose answers these are
VERSION = "20241105"
router = APIRouter(prefix="/api/v1", tags=["whisper_api"], route_class=OldRoute)


@router.post("/transcribe", response_model=None)
async def transcribe(request: Request, language: str | None = None) -> Response | dict[str, Any]:
    """Take the form's `file`; answers at once with a task_id."""
    return await _taken(request, language, "transcribe")


@router.post("/translate", response_model=None)
async def translate(request: Request, language: str | None = None) -> Response | dict[str, Any]:
    """Take the form's `file`, to be transcribed into English."""
    return await _taken(request, language, "translate")


@router.get("/status", response_model=None)
async def status(request: Request, task_id: str) -> Response | dict[str, Any]:
    """How far a task is; with the transcript once it is finished."""
    kept = _results(request).find(task_id)
    return _shown(request, kept) if kept is not None else detail(400, "task_id not valid")


@router.get("/srt")
async def srt(request: Request, task_id: str) -> Response:
    """The transcript of a finished task as subtitles."""
    kept = _results(request).find(task_id)
    if kept is None:
        return detail(400, "task_id not found")
    if kept.answer is None:
        return detail(400, _shown(request, kept))
    transcript = kept.answer.transcript
    language = "en_US" if kept.task_type == "translate" else transcript.language
    # a file's name is its sender's, and must not end the header's line
    name = "".join(one if one.isprintable() and ord(one) < 128 else "_" for one in kept.file_name) or "unknown"
    disposition = f"attachment; filename={name}_{language}.srt"
    return Response(as_srt(transcript), headers={"Content-Type": "text/plain", "Content-Disposition": disposition})


@router.get("/decoder_status")
async def decoder_status(request: Request) -> dict[str, Any]:
    """What the model runs on, and how much waits for it."""
    service = service_of(request)
    facts, queue = service.engine.facts, service.queue.status()
    return {
        "gpu_mode": facts is not None and facts.device == "cuda",
        "max_model_to_use": service.settings.model_name,
        "last_loaded_model_size": service.settings.model_name,
        "is_model_loaded": service.engine.state == "ready",
        "tasks_in_queue": queue["queue_size"],
        "currently_busy": bool(queue["running"]),
        "received_at": now().isoformat(),
    }


@router.get("/decoder_status_refresh")
async def decoder_status_refresh() -> str:
    """Taken, without effect: the status is always fresh."""
    return "Request to refresh state is sent to decoder"


@router.get("/version")
async def version() -> dict[str, str]:
    """The version of the old API that these routes are."""
    return {"version": VERSION}


@router.get("/userinfo")
async def userinfo(request: Request) -> dict[str, str | None]:
    """What a proxy in front says of the caller."""
    said = {"email": request.headers.get("X-Email"), "user": request.headers.get("X-User")}
    return {name: value for name, value in said.items() if value} | {"user_agent": request.headers.get("User-Agent")}


@router.get("/login")
async def login(redirect: str = "/app/") -> RedirectResponse:
    """Lead back to where a login came from: to paths of this host only."""
    is_here = redirect.startswith("/") and not redirect.startswith(("//", "/\\"))
    return RedirectResponse(redirect if is_here else "/app/")


async def _taken(request: Request, language: str | None, task: str) -> Response | dict[str, Any]:
    service = service_of(request)
    wishes = from_fields({"language": [language or ""]}, task)
    wishes = fitting(Wishes(wishes.language, wishes.task, None, None, "srt"), service)
    stack = contextlib.AsyncExitStack()
    async with stack:
        upload = await stack.enter_async_context(taken(request, "file"))
        try:
            prepared = await while_connected(request, service.prepare(upload.path, wishes))
        except ServiceError as error:
            if error.param == "file" and error.status == 400:
                return detail(400, "File has no audio track.")
            raise
        kept = Kept(task, upload.form.file_name or "unknown", upload.place)
        shown = _shown(request, kept)
        _results(request).begin(kept, service.recognise(upload.place, prepared, wishes), stack.pop_all())
    return shown


def _shown(request: Request, kept: Kept) -> dict[str, Any]:
    service = service_of(request)
    transcript = kept.answer.transcript if kept.answer is not None else None
    facts = service.engine.facts
    is_known = transcript is not None
    return {
        "task_id": kept.id,
        "task_type": kept.task_type,
        "status": kept.status,
        "time_uploaded": kept.uploaded.isoformat(),
        "transcript": _text(transcript) if transcript is not None else None,
        "source_language": transcript.language if transcript is not None else None,
        "position_in_queue": kept.place.position if not kept.is_over else None,
        "processing_duration": int(transcript.processing_s) if transcript is not None else None,
        "time_processing_finished": kept.finished.isoformat() if kept.finished is not None and is_known else None,
        "target_model_size": None,
        "used_model_size": service.settings.model_name if is_known else None,
        "used_device": ("gpu" if facts is not None and facts.device == "cuda" else "cpu") if is_known else None,
    }


def _text(transcript: Transcript) -> str:
    return "".join(spoken(segment) for segment in transcript.segments)


def _results(request: Request) -> Results:
    """The application's results, made when they are first needed."""
    state = request.app.state
    if not hasattr(state, "old_results"):
        state.old_results = Results(service_of(request).settings.delete_results_after_m * 60)
    results: Results = state.old_results
    return results
