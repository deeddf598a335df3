"""The OpenAPI document of the whole door, made from the routing table; schemas and examples from gateway.schemas."""

from __future__ import annotations

import re
from typing import Any

from gateway import __version__
from gateway.routing import ADMIN_TABLE, TABLE, Body, Group, Route
from gateway.schemas import EXAMPLES, PROBLEM, SCHEMAS

Fields = dict[str, Any]

_GROUPS: dict[Group, str] = {
    "service": "The door itself.",
    "speech": "Speech to text.",
    "openai": "OpenAI's dialect, over any backend.",
    "old": "Routes of the service that ran here before, answered as it did.",
    "admin": "For whoever runs the host: needs an administrator's key, and is reached on the host itself only.",
    "ollama": "Ollama's dialect, over any backend; passed through untouched where the backend is Ollama.",
}
_MEDIA = {Body.JSON: "application/json", Body.FORM: "application/json", Body.UPLOAD: "multipart/form-data"}
_ABOUT = (
    "Speech, chat and embeddings behind one door. Every route but the probes needs an API key: "
    "`Authorization: Bearer KEY`; a browser may send it as the password of Basic."
)
_QUEUE_POSITION: Fields = {
    "description": "Only if the request waited for a paused backend: the place it had in the queue at first.",
    "schema": {"type": "integer"},
}
# What can go wrong on any route that a backend answers; each has the shape `Problem` or, under /v1/, `OpenAIError`.
_BACKEND_ERRORS = {
    "408": "The request body came too slowly.",
    "413": "The request body is too large.",
    "502": "The backend's answer cannot be understood.",
    "503": "The backend is down, or was paused for too long; Retry-After says when to try again.",
    "504": "The backend took too long; the message names the phase.",
}


def document(table: tuple[Route, ...] = TABLE + ADMIN_TABLE) -> Fields:
    """The document, in OpenAPI 3.1."""
    paths: dict[str, Fields] = {}
    for route in table:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    for probe, summary in (("/healthz", "Whether this process lives"), ("/readyz", "Whether it may be sent work")):
        paths[probe] = {"get": _probe(summary)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ai-services", "version": __version__, "description": _ABOUT},
        "tags": [{"name": name, "description": about} for name, about in _GROUPS.items()],
        "security": [{"bearerAuth": []}, {"basicAuth": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearerAuth": {"type": "http", "scheme": "bearer"},
                "basicAuth": {"type": "http", "scheme": "basic", "description": "any name, the key as password"},
            },
        },
    }


def _operation(route: Route) -> Fields:
    example = EXAMPLES.get(route.path, {})
    operation: Fields = {
        "tags": [route.group],
        "summary": route.summary,
        "operationId": _operation_id(route),
        "responses": _responses(route, example),
    }
    if route.open:
        operation["security"] = []
    if route.refused:
        operation["description"] = route.refused
    elif "unsupported" in route.over.values():
        operation["description"] = "Where the language model does not run in Ollama: 501."
    if name := re.search(r"\{(\w+)\}", route.path):
        operation["parameters"] = [{"name": name[1], "in": "path", "required": True, "schema": {"type": "string"}}]
    if route.body is not Body.NONE:
        content: Fields = {"schema": _reference(example.get("request_schema", "TranscribeRequest"))}
        if "request" in example:
            content["example"] = example["request"]
        operation["requestBody"] = {"required": True, "content": {_MEDIA[route.body]: content}}
    return operation


def _responses(route: Route, example: Fields) -> Fields:
    responses: Fields = {}
    if route.refused:
        responses["403"] = _error(route, "Always.")
    else:
        answer: Fields = {"schema": _reference(example["response_schema"])} if "response_schema" in example else {}
        if "response" in example:
            answer["example"] = example["response"]
        media = example.get("media", "application/json")
        content = {media: answer} | {other: {"schema": {"type": "string"}} for other in example.get("streams", ())}
        responses["200"] = {"description": "Done.", "content": content}
        if route.capability is not None:
            responses["200"]["headers"] = {"X-Queue-Position": _QUEUE_POSITION}
    if not route.open:
        responses["401"] = _error(route, "The API key is missing or wrong.")
    if route.capability is not None:
        for status, about in _BACKEND_ERRORS.items():
            if route.body is not Body.NONE or status not in {"408", "413"}:
                responses[status] = _error(route, about)
        if route.body is not Body.NONE:
            responses["400"] = _error(route, "The request has the wrong shape; the message names the member.")
        if route.body is Body.JSON or route.path.startswith("/v1/audio/"):
            responses["404"] = _error(route, "No backend serves this model; the message names those that are served.")
        if "unsupported" in route.over.values():
            responses["501"] = _error(route, "The backend cannot do this.")
    elif route.admin:
        responses["403"] = _error(route, "The key is no administrator's.")
        if route.body is not Body.NONE:
            responses["400"] = _error(route, "The request has the wrong shape; the message names the member.")
            responses["404"] = _error(route, "There is no such backend; the message names those that exist.")
            responses["409"] = _error(route, "Somebody else has paused this backend; the message names them.")
    elif route.path == "/health":
        responses["503"] = {"description": "Some component is down; the body has the same shape."}
    elif route.path == "/v1/models/{id}":
        responses["404"] = _error(route, "There is no such model.")
    return responses


def _error(route: Route, about: str) -> Fields:
    if route.path.startswith("/v1/"):
        return {"description": about, "content": {"application/json": {"schema": _reference("OpenAIError")}}}
    return {"description": about, "content": {PROBLEM: {"schema": _reference("Problem")}}}


def _probe(summary: str) -> Fields:
    return {"tags": ["service"], "summary": summary, "security": [], "responses": {"200": {"description": "Yes."}}}


def _operation_id(route: Route) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", route.path.lower()).strip("_") or "root"
    return f"{route.method.lower()}_{words}"


def _reference(name: str) -> Fields:
    return {"$ref": f"#/components/schemas/{name}"}
