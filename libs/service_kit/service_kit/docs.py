"""Swagger UI from files that ship with the service, so that /docs works without the internet."""

from __future__ import annotations

import html
import json
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

ASSETS_PATH = "/docs/assets"
_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon.png": "image/png"}


@lru_cache(maxsize=len(_TYPES))
def asset(name: str) -> tuple[bytes, str] | None:
    """Bytes and media type of one file under ASSETS_PATH, or None where there is no such file."""
    media_type = _TYPES.get(name)
    if media_type is None:
        return None
    return _assets().joinpath(name).read_bytes(), media_type


def swagger_html(title: str, openapi_url: str = "/openapi.json") -> str:
    """The page at /docs; loads nothing but ASSETS_PATH and `openapi_url`."""
    options = json.dumps({"url": openapi_url, "dom_id": "#swagger-ui", "deepLinking": True}).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="{ASSETS_PATH}/favicon.png">
<link rel="stylesheet" href="{ASSETS_PATH}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{ASSETS_PATH}/swagger-ui-bundle.js"></script>
<script>SwaggerUIBundle({options})</script>
</body>
</html>
"""


def _assets() -> Path:
    # Found, not imported: the package would bring FastAPI along, which the gateway does without.
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package fastapi-offline is missing: run ./ai again to install the requirements")
    return Path(spec.origin).parent / "static"
