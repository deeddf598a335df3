"""GET /: one static page that sends a file and shows its text. GET /docs: the API's description."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service_kit.docs import swagger_html

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).parent.parent / "static"
# The page carries its own style and script; it may talk to this server and to nobody else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


@router.get("/")
async def page() -> HTMLResponse:
    """The page for people."""
    return HTMLResponse(_page(), headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})


@router.get("/docs")
async def docs() -> HTMLResponse:
    """Swagger UI, from local files."""
    return HTMLResponse(swagger_html("whisper-api"))


@cache
def _page() -> str:
    return (STATIC / "index.html").read_text(encoding="utf-8")
