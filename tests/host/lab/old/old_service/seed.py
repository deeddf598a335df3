"""The whisper-api of ai-services' first version: what its documentation shows, and FastAPI's own errors around it."""

from __future__ import annotations

import os
import threading
import time
import urllib.error
import urllib.request
from io import BytesIO
from typing import Any, BinaryIO

from fastapi import FastAPI, HTTPException, UploadFile
from pydantic import BaseModel

from .engine import RATE, Engine, UnreadableError, samples_of

MOST_WAITING = 10


class Url(BaseModel):
    """The body of /transcribe/url."""

    url: str
    language: str | None = None


def create_app() -> FastAPI:
    """The service."""
    model = os.environ.get("WHISPER_MODEL", "large-v3-turbo")
    engine = Engine(model)
    count = threading.Semaphore(MOST_WAITING)
    app = FastAPI(title="Whisper API", version="1.0.0")
    waiting: list[float] = []

    def transcribed(file: BinaryIO, language: str | None) -> dict[str, Any]:
        if not count.acquire(blocking=False):
            raise HTTPException(503, "Queue is full")
        begun = time.monotonic()
        waiting.append(begun)
        try:
            samples = samples_of(file)
            segments, info = engine.transcribe(samples, language=language, vad_filter=True)
        except UnreadableError as error:
            raise HTTPException(400, f"Cannot read audio: {error}") from None
        finally:
            waiting.remove(begun)
            count.release()
        return {
            "text": "".join(segment.text for segment in segments).strip(),
            "language": info.language,
            "duration": round(len(samples) / RATE, 2),
            "processing_time": round(time.monotonic() - begun, 2),
        }

    @app.post("/transcribe")
    def transcribe(file: UploadFile, language: str | None = None) -> dict[str, Any]:
        return transcribed(file.file, language)

    @app.post("/transcribe/url")
    def transcribe_url(wanted: Url) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(wanted.url, timeout=60) as answer:
                content = answer.read()
        except (urllib.error.URLError, ValueError) as error:
            raise HTTPException(400, f"Cannot fetch {wanted.url}: {error}") from None
        return transcribed(BytesIO(content), wanted.language)

    @app.get("/health")
    def health() -> dict[str, Any]:
        return {"status": "healthy", "model": model, "device": "cpu"}

    @app.get("/queue/status")
    def queue_status() -> dict[str, Any]:
        return {"queue_size": max(0, len(waiting) - 1), "processing": bool(waiting), "max_queue_size": MOST_WAITING}

    return app
