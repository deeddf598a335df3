"""mayniklas/whisper_api: a recording becomes a task, whose status is asked for until it is finished."""

from __future__ import annotations

import datetime as dt
import queue
import threading
import uuid
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from faster_whisper.utils import format_timestamp
from starlette.middleware.cors import CORSMiddleware

from .engine import Engine, UnreadableError, samples_of

VERSION = "20241105"
MODEL = "tiny.en"
PAGE = "<!DOCTYPE html><title>Whisper API</title><h1>Whisper API</h1><script src=script.js></script>"


def _now() -> dt.datetime:
    return dt.datetime.now()  # noqa: DTZ005 -- without a zone, as there


@dataclass
class Task:
    """One recording and what became of it."""

    task_type: str
    language: str | None
    name: str
    samples: Any
    uuid: str = field(default_factory=lambda: uuid.uuid4().hex)
    uploaded: dt.datetime = field(default_factory=_now)
    status: str = "pending"
    position: int | None = None
    result: dict[str, Any] = field(default_factory=dict)
    segments: list[Any] = field(default_factory=list)
    output_language: str = ""

    @property
    def answer(self) -> dict[str, Any]:
        """What callers are told."""
        empty = dict.fromkeys(
            ("transcript", "source_language", "processing_duration", "time_processing_finished", "target_model_size",
             "used_model_size", "used_device")
        )  # fmt: skip
        return {
            "task_id": self.uuid, "task_type": self.task_type, "status": self.status,
            "time_uploaded": self.uploaded.isoformat(), "position_in_queue": self.position, **empty, **self.result,
        }  # fmt: skip


class Decoder:
    """One thread that works through the tasks in the order in which they came."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.busy = False
        self.waiting: queue.Queue[Task] = queue.Queue()
        self._engine = Engine(MODEL)
        threading.Thread(target=self._work, daemon=True).start()

    def add(self, task: Task) -> None:
        """Take a task in."""
        self.tasks[task.uuid] = task
        self.waiting.put(task)

    def _work(self) -> None:
        while True:
            task = self.waiting.get()
            self.busy = True
            task.status, task.position = "processing", 0
            begun = _now()
            try:
                segments, info = self._engine.transcribe(task.samples, language=task.language, task=task.task_type)
            except ValueError:
                task.status, task.position = "failed", None
            else:
                ended = _now()
                task.segments = segments
                task.output_language = "en_US" if task.task_type == "translate" else info.language
                task.result = {
                    "transcript": "".join(segment.text for segment in segments),
                    "source_language": info.language,
                    "processing_duration": (ended - begun).seconds,
                    "time_processing_finished": ended.isoformat(),
                    "used_model_size": MODEL.partition(".")[0],
                    "used_device": "cpu",
                }
                task.status, task.position = "finished", None
            task.samples = None
            self.busy = not self.waiting.empty()


def create_app() -> FastAPI:
    """The service; its decoder loads the model first."""
    held: list[Decoder] = []

    @asynccontextmanager
    async def life(_: FastAPI) -> Any:
        held.append(Decoder())
        yield

    app = FastAPI(title="Whisper API", version=VERSION, lifespan=life)
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"]
    )

    async def taken(file: UploadFile, language: str | None, task_type: str) -> dict[str, Any]:
        try:
            samples = samples_of(file.file)
        except UnreadableError:
            raise HTTPException(400, "File has no audio track.") from None
        task = Task(task_type, language, file.filename or "unknown", samples)
        answer = task.answer  # before the decoder has it, as there
        held[0].add(task)
        return answer

    @app.post("/api/v1/transcribe")
    async def transcribe(file: UploadFile, language: str | None = None) -> dict[str, Any]:
        return await taken(file, language, "transcribe")

    @app.post("/api/v1/translate")
    async def translate(file: UploadFile, language: str | None = None) -> dict[str, Any]:
        return await taken(file, language, "translate")

    @app.get("/api/v1/status")
    async def status(task_id: str) -> dict[str, Any]:
        if (task := held[0].tasks.get(task_id)) is None:
            raise HTTPException(400, "task_id not valid")
        return task.answer

    @app.get("/api/v1/srt")
    async def srt(task_id: str) -> Response:
        if (task := held[0].tasks.get(task_id)) is None:
            raise HTTPException(400, "task_id not found")
        if task.status != "finished":
            raise HTTPException(400, task.answer)
        disposition = f"attachment; filename={task.name}_{task.output_language}.srt"
        headers = {"Content-Disposition": disposition, "Content-Type": "text/plain"}
        return Response("".join(_srt(task.segments)), headers=headers)

    @app.get("/api/v1/decoder_status")
    async def decoder_status() -> dict[str, Any]:
        return {
            "gpu_mode": False, "max_model_to_use": MODEL, "last_loaded_model_size": MODEL, "is_model_loaded": True,
            "tasks_in_queue": held[0].waiting.qsize(), "currently_busy": held[0].busy,
            "received_at": _now().isoformat(),
        }  # fmt: skip

    @app.get("/api/v1/decoder_status_refresh")
    async def refresh() -> str:
        return "Request to refresh state is sent to decoder"

    @app.get("/api/v1/version")
    async def version() -> dict[str, str]:
        return {"version": VERSION}

    @app.get("/api/v1/userinfo")
    async def userinfo(request: Request) -> dict[str, str | None]:
        sent = {"email": request.headers.get("X-Email"), "user": request.headers.get("X-User")}
        return {name: value for name, value in sent.items() if value} | {
            "user_agent": request.headers.get("User-Agent")
        }

    @app.get("/api/v1/login")
    async def login(redirect: str = "/app/") -> RedirectResponse:
        return RedirectResponse(redirect)

    @app.get("/{file_path:path}")
    async def page(file_path: str) -> Response:
        if file_path in {"", "index.html"}:
            return Response(PAGE, media_type="text/html")
        if file_path in {"script.js", "styles.css"}:
            return PlainTextResponse("")
        raise HTTPException(404, f"File '{file_path}' not found.")

    return app


def _srt(segments: list[Any]) -> Iterator[str]:
    for number, segment in enumerate(segments, 1):
        start, end = (format_timestamp(at, True, ",") for at in (segment.start, segment.end))
        yield f"{number}\n{start} --> {end}\n{segment.text.strip().replace('-->', '->')}\n\n"
