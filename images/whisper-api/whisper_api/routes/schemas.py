"""Request bodies for the API's description: the forms are read while they stream in, so FastAPI cannot see them."""

from __future__ import annotations

from typing import Any

from whisper_api.formats import FORMATS, GRANULARITIES
from whisper_api.wishes import TASKS

Properties = dict[str, dict[str, Any]]

_FILE: Properties = {"file": {"type": "string", "format": "binary", "description": "the recording"}}
_LANGUAGE: Properties = {
    "language": {"type": "string", "description": "ISO-639-1 code; found out when left out", "example": "en"}
}
_PROMPT: Properties = {"prompt": {"type": "string", "description": "words or names that occur in the recording"}}
_TASK: Properties = {"task": {"type": "string", "enum": list(TASKS), "default": TASKS[0]}}
_OPENAI: Properties = {
    "model": {"type": "string", "description": "the loaded model, or whisper-1", "example": "whisper-1"},
    **_PROMPT,
    "temperature": {"type": "number", "minimum": 0, "maximum": 1, "default": 0},
    "response_format": {"type": "string", "enum": list(FORMATS), "default": "json"},
}

UPLOAD: Properties = {**_FILE, **_LANGUAGE, **_TASK, **_PROMPT}
URL: Properties = {
    "url": {"type": "string", "format": "uri", "description": "public http(s) address of the recording"},
    **_LANGUAGE,
    **_TASK,
    **_PROMPT,
}
OPENAI_TRANSLATION: Properties = {**_FILE, **_OPENAI}
OPENAI_TRANSCRIPTION: Properties = {
    **_FILE,
    **_OPENAI,
    **_LANGUAGE,
    "timestamp_granularities[]": {
        "type": "array",
        "items": {"type": "string", "enum": list(GRANULARITIES)},
        "description": "needs response_format verbose_json",
    },
}
_REQUIRED = ("file", "url")


def form(properties: Properties) -> dict[str, Any]:
    """`openapi_extra` for a multipart form."""
    return _body(properties, "multipart/form-data")


def json_or_form(properties: Properties) -> dict[str, Any]:
    """`openapi_extra` for a JSON object that may also come as a form."""
    return _body(properties, "application/json", "application/x-www-form-urlencoded", "multipart/form-data")


def _body(properties: Properties, *kinds: str) -> dict[str, Any]:
    required = [name for name in properties if name in _REQUIRED or name == "model"]
    schema = {"type": "object", "properties": properties, "required": required}
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}
