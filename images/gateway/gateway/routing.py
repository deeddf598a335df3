"""The routing table: every route of the front door as one row of data.

A row says who answers (`by`): the gateway itself, or a backend with `capability`, and what happens over each kind of
backend: `pass` the bytes through, `translate` between Ollama's and OpenAI's dialect, or `refuse`. The path asked of a
backend stands in the row too, so no byte of a client's path ever reaches one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from gateway.registry import Capability, Kind
from service_kit.errors import ServiceError

Handling = Literal["pass", "translate", "unsupported"]
Method = Literal["GET", "POST", "DELETE"]
Group = Literal["speech", "openai", "ollama", "service", "admin", "old"]

_SPEECH: Mapping[Kind, Handling] = {"whisper": "pass"}
_OPENAI: Mapping[Kind, Handling] = {"openai": "pass", "ollama": "pass"}
_OLLAMA: Mapping[Kind, Handling] = {"openai": "translate", "ollama": "pass"}
_OLLAMA_ONLY: Mapping[Kind, Handling] = {"openai": "unsupported", "ollama": "pass"}


class Body(Enum):
    """What becomes of a request's body: nothing, collected (the model in it decides), or streamed unread."""

    NONE = "none"
    JSON = "json"
    FORM = "form"
    UPLOAD = "upload"


class Patience(Enum):
    """How long a backend may take: `QUICK` for look-ups, `WORK` for anything that computes or downloads."""

    QUICK = "quick"
    WORK = "work"


QUICK_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Route:
    """One row: a method on a path and what becomes of it.

    `{name}` at a path's end takes the rest, slashes included; in its middle it takes what has no slash.
    """

    method: Method
    path: str
    group: Group
    summary: str
    capability: Capability | None = None
    over: Mapping[Kind, Handling] = field(default_factory=dict)
    upstream_path: str = ""
    body: Body = Body.NONE
    patience: Patience = Patience.QUICK
    refused: str = ""
    open: bool = False
    admin: bool = False
    # X-Email and X-User go with it: who asks, as a proxy in front of an old service said
    passes_people: bool = False
    # goes through a pause for as long as its backend listens
    passes_pause: bool = False


def _speech(method: Method, path: str, summary: str, body: Body = Body.NONE) -> Route:
    patience = Patience.QUICK if body is Body.NONE else Patience.WORK
    return Route(method, path, "speech", summary, "speech", _SPEECH, path, body, patience)


def _openai(path: str, summary: str) -> Route:
    return Route("POST", path, "openai", summary, "llm", _OPENAI, path, Body.JSON, Patience.WORK)


def _ollama(
    method: Method,
    path: str,
    summary: str,
    over: Mapping[Kind, Handling] = _OLLAMA,
    patience: Patience = Patience.WORK,
    upstream_path: str = "",
) -> Route:
    body = Body.NONE if method == "GET" else Body.JSON
    return Route(method, path, "ollama", summary, "llm", over, upstream_path or path, body, patience)


def _refused(path: str, summary: str) -> Route:
    why = (
        f"{path.removesuffix('/{digest}')} is closed: it lets a caller read and write files of the model store, and "
        "has a history of disclosing memory. Whoever runs this host can do it on the host itself."
    )
    return Route("POST", path, "ollama", summary, refused=why)


TABLE: tuple[Route, ...] = (
    Route("GET", "/health", "service", "Health of every component", open=True),
    Route("GET", "/docs", "service", "This page"),
    Route("GET", "/openapi.json", "service", "Machine-readable description of every route"),
    Route("GET", "/", "service", "Leads to /docs"),
    _speech("POST", "/transcribe", "Transcribe an audio file", Body.UPLOAD),
    _speech("POST", "/transcribe/url", "Transcribe audio fetched from a public address", Body.FORM),
    _speech("GET", "/queue/status", "How many transcriptions run and wait"),
    _speech("POST", "/v1/audio/transcriptions", "Transcribe an audio file, as OpenAI does", Body.UPLOAD),
    _openai("/v1/chat/completions", "Chat, as OpenAI does"),
    _openai("/v1/completions", "Complete a text, as OpenAI does"),
    _openai("/v1/embeddings", "Embed texts, as OpenAI does"),
    Route("GET", "/v1/models", "openai", "Every model of every backend"),
    Route("GET", "/v1/models/{id}", "openai", "One model"),
    _ollama("POST", "/generate", "Ollama's generate", upstream_path="/api/generate"),
    _ollama("POST", "/api/generate", "Ollama's generate"),
    _ollama("POST", "/api/chat", "Ollama's chat"),
    _ollama("POST", "/api/embed", "Ollama's embeddings"),
    _ollama("POST", "/api/embeddings", "Ollama's older embeddings"),
    _ollama("GET", "/api/tags", "Ollama's list of models", patience=Patience.QUICK),
    _ollama("POST", "/api/show", "What Ollama knows of a model", patience=Patience.QUICK),
    _ollama("GET", "/api/ps", "Ollama's list of loaded models", patience=Patience.QUICK),
    _ollama("GET", "/api/version", "Ollama's version", patience=Patience.QUICK),
    _ollama("POST", "/api/pull", "Download a model", _OLLAMA_ONLY),
    _ollama("DELETE", "/api/delete", "Delete a model", _OLLAMA_ONLY),
    _ollama("POST", "/api/copy", "Copy a model", _OLLAMA_ONLY),
    _refused("/api/create", "Refused: making models from files"),
    _refused("/api/push", "Refused: uploading models to a registry"),
    _refused("/api/blobs/{digest}", "Refused: writing into the model store"),
)


# For whoever runs the host: an ordinary key opens none of these, and the front door lets none of them through.
ADMIN_TABLE: tuple[Route, ...] = (
    Route("GET", "/api/admin/backends", "admin", "State of every backend", admin=True),
    Route("POST", "/api/admin/backends/{name}/pause", "admin", "Pause a backend, or renew", body=Body.JSON, admin=True),
    Route("POST", "/api/admin/backends/{name}/resume", "admin", "Resume a backend", body=Body.JSON, admin=True),
)


class Router:
    """Finds the row for a method and a decoded path. Paths are compared as they are: nothing is cleaned up first."""

    def __init__(self, table: tuple[Route, ...] = TABLE + ADMIN_TABLE) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[str, str, dict[str, Route]]] = []
        for route in table:
            prefix, brace, rest = route.path.partition("{")
            if not brace:
                self._exact.setdefault(route.path, {})[route.method] = route
            else:
                self._patterns.append((prefix, rest.partition("}")[2], {route.method: route}))

    def find(self, method: str, path: str) -> tuple[Route, str]:
        """The row, and what stands in the place of its `{name}` (or '').

        HEAD finds GET's row. Raises ServiceError 404 for an unknown path and 405 (with Allow) for a method that the
        path does not have.
        """
        methods, rest = self._methods(path)
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allow = allowed(methods)
            raise ServiceError(
                405,
                "method_not_allowed",
                f"This route does not answer {method[:16]}.",
                hint=f"It answers {allow}.",
                headers=(("Allow", allow),),
            )
        return route, rest

    def options(self, path: str) -> str:
        """The value of Allow for `path`. Raises ServiceError 404 for an unknown one."""
        return allowed(self._methods(path)[0])

    def _methods(self, path: str) -> tuple[dict[str, Route], str]:
        if methods := self._exact.get(path):
            return methods, ""
        for prefix, suffix, methods in self._patterns:
            if path.startswith(prefix) and path.endswith(suffix) and len(path) > len(prefix) + len(suffix):
                rest = path[len(prefix) : len(path) - len(suffix)]
                if not suffix or "/" not in rest:
                    return methods, rest
        raise ServiceError(404, "not_found", "There is no such route here.", hint="GET /docs lists the routes.")


def allowed(methods: Mapping[str, Route]) -> str:
    """What `Allow` says of a path with these rows."""
    names = {*methods, "OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
    return ", ".join(sorted(names))
