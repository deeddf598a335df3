"""GET /health and GET /queue/status."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from whisper_api.routes.recordings import service_of

router = APIRouter(tags=["status"])


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """How the service is: 200 when it can transcribe, 503 while the model loads or when it cannot be loaded."""
    report = service_of(request).health()
    return JSONResponse(report, 200 if report["status"] == "ok" else 503)


@router.get("/queue/status")
async def queue_status(request: Request) -> dict[str, Any]:
    """How many wait (`queue_size`), how many may (`max_queue_size`), and how long a new caller would wait."""
    return service_of(request).queue.status()
