"""Routes of the speech services that ran on a host before ai-services: they go on answering after a migration.

Each row goes to our own whisper-api, which answers it as that service did (OLD_API names the services to it, too), or,
until ours has taken over, to the old service itself: gateway.takeover.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gateway.registry import Kind, OldApi
from gateway.routing import TABLE, Body, Handling, Method, Patience, Route

_SPEECH: Mapping[Kind, Handling] = {"whisper": "pass"}


def _upload(path: str, summary: str) -> Route:
    return Route("POST", path, "old", summary, "speech", _SPEECH, path, Body.UPLOAD, Patience.WORK, passes_people=True)


def _task(path: str, summary: str) -> Route:
    # asked again and again about a task that the service holds: it must be fetched before that service may go
    return Route("GET", path, "old", summary, "speech", _SPEECH, path, passes_people=True, passes_pause=True)


def _ours(method: Method, path: str) -> Route:
    return next(route for route in TABLE if (route.method, route.path) == (method, path))


ROWS: Mapping[OldApi, tuple[Route, ...]] = {
    "asr": (
        _upload("/asr", "whisper-asr-webservice: transcribe"),
        _upload("/detect-language", "whisper-asr-webservice: which language is spoken"),
    ),
    "speaches": (
        _ours("POST", "/v1/audio/transcriptions"),
        _upload("/v1/audio/translations", "speaches: translate into English"),
    ),
    "whisper_api": (
        _upload("/api/v1/transcribe", "whisper_api: begin a transcription"),
        _upload("/api/v1/translate", "whisper_api: begin a translation"),
        _task("/api/v1/status", "whisper_api: state of a task"),
        _task("/api/v1/srt", "whisper_api: a task's text as subtitles"),
        _task("/api/v1/decoder_status", "whisper_api: state of the decoder"),
        _task("/api/v1/decoder_status_refresh", "whisper_api: state of the decoder, asked anew"),
        _task("/api/v1/userinfo", "whisper_api: who asks"),
        _task("/api/v1/login", "whisper_api: leads to the start page"),
        _task("/api/v1/version", "whisper_api: version"),
    ),
    "seed": (
        _ours("POST", "/transcribe"),
        _ours("POST", "/transcribe/url"),
        _ours("GET", "/queue/status"),
    ),
}

# Answered by the gateway, and asked without a key by clients of these services.
_OPEN_TOO: Mapping[OldApi, tuple[str, ...]] = {"speaches": ("/v1/models",)}


def table_with(apis: Iterable[OldApi]) -> tuple[Route, ...]:
    """The routing table with the rows of `apis`; a row that is ours already stands once."""
    found = {(route.method, route.path): route for route in TABLE}
    for api in apis:
        for route in ROWS[api]:
            found.setdefault((route.method, route.path), route)
    return tuple(found.values())


def keyless(table: tuple[Route, ...], apis: Iterable[OldApi]) -> tuple[Route, ...]:
    """`table` with the routes of `apis` open to callers without a key."""
    paths = {path for api in apis for path in (*(route.path for route in ROWS[api]), *_OPEN_TOO.get(api, ()))}
    return tuple(replace(route, open=True) if route.path in paths else route for route in table)


def has(api: OldApi, route: Route) -> bool:
    """Whether the service of that API answers `route` itself."""
    return any((row.method, row.path) == (route.method, route.path) for row in ROWS[api])
