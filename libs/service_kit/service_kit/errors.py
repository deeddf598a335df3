"""One place that gives every error its shape: OpenAI's on /v1/*, RFC 9457 problem details elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.responses import Response

Headers = list[tuple[bytes, bytes]]


class ServiceError(Exception):
    """An answer that is not a success, written for whoever must act on it.

    `message` says what happened and to what, `hint` what to do next. `code` is a stable snake_case name,
    `param` the request field at fault, `retry_after_s` becomes the Retry-After header (seconds, rounded up).
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        param: str | None = None,
        retry_after_s: float | None = None,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.param = param
        self.retry_after_s = retry_after_s
        self.headers = tuple(headers)

    @property
    def sentence(self) -> str:
        """Message and hint as one line."""
        return f"{self.message} {self.hint}" if self.hint else self.message


def unauthorized(presented: bool) -> ServiceError:
    """401 for a missing (`presented` false) or wrong API key."""
    return ServiceError(
        401,
        "invalid_api_key" if presented else "missing_api_key",
        "The API key is not one of this server's." if presented else "This route needs an API key.",
        hint="Send it as 'Authorization: Bearer KEY'.",
        headers=(("WWW-Authenticate", 'Bearer realm="ai-services"'),),
    )


def shutting_down() -> ServiceError:
    """503 for whoever still waits when the service stops."""
    return ServiceError(503, "shutting_down", "The server is stopping.", hint="Try again.", retry_after_s=5)


def internal_error(request_id: str) -> ServiceError:
    """500 that tells the caller where to look and nothing of what is inside."""
    return ServiceError(
        500,
        "internal_error",
        "The server failed to answer this request.",
        hint=f"Its log names the cause under request id {request_id}.",
    )


def error_response(error: ServiceError, path: str, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and JSON body of `error` in the shape that callers of `path` expect."""
    if path.startswith("/v1/"):
        content_type = b"application/json"
        body: dict[str, Any] = {
            "error": {
                "message": error.sentence,
                "type": openai_type(error.status),
                "param": error.param,
                "code": error.code,
            }
        }
    else:
        content_type = b"application/problem+json"
        body = {
            "type": f"urn:ai-services:error:{error.code}",
            "title": _title(error.status),
            "status": error.status,
            "detail": error.sentence,
            "code": error.code,
            "request_id": request_id,
        }
        if error.param is not None:
            body["param"] = error.param
        if _speaks_ollama(path):
            # Ollama's own clients read this member and nothing else; RFC 9457 allows it as an extension.
            body["error"] = error.sentence
    payload = msgspec.json.encode(body)
    headers: Headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(payload)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(1, math.ceil(error.retry_after_s))).encode()))
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers]
    return error.status, headers, payload


def install_handlers(app: FastAPI) -> None:
    """Give every error that leaves a FastAPI app the shapes of `error_response`."""
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    async def on_service_error(request: Request, error: Exception) -> Response:
        return _starlette_response(cast("ServiceError", error), request)

    async def on_http_error(request: Request, error: Exception) -> Response:
        raised = cast("HTTPException", error)
        return _starlette_response(from_http_status(raised.status_code, str(raised.detail), raised.headers), request)

    async def on_validation_error(request: Request, error: Exception) -> Response:
        return _starlette_response(_from_validation(error), request)

    async def on_bug(request: Request, _error: Exception) -> Response:
        # Starlette raises it again after this answer; ServiceShell logs it.
        return _starlette_response(internal_error(request.scope.get("state", {}).get("request_id", "")), request)

    app.add_exception_handler(Exception, on_bug)
    app.add_exception_handler(ServiceError, on_service_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)


def from_http_status(status: int, detail: str = "", headers: Any = None) -> ServiceError:
    """A ServiceError for a bare HTTP status, as a framework raises it."""
    title = _title(status)
    code = title.lower().replace(" ", "_").replace("-", "_").replace("'", "")
    message = detail if detail and detail != title else f"{title}."
    if status == 404 and message == "Not Found.":
        message = "There is no such route here."
        return ServiceError(404, code, message, hint="GET /docs lists the routes.")
    return ServiceError(status, code, message, headers=tuple((headers or {}).items()))


def _from_validation(error: Any) -> ServiceError:
    problem = error.errors()[0]
    where = [str(part) for part in problem.get("loc", ()) if part not in {"body", "query", "path", "header"}]
    param = ".".join(where) or None
    what = problem.get("msg", "is not valid")
    message = f"'{param}': {what}." if param else f"The request is not valid: {what}."
    return ServiceError(400, "invalid_request", message, param=param, hint="GET /docs shows the fields.")


def _starlette_response(error: ServiceError, request: Request) -> Response:
    from starlette.responses import Response

    request_id = request.scope.get("state", {}).get("request_id", "")
    status, headers, body = error_response(error, request.scope["path"], request_id)
    response = Response(body, status)
    response.raw_headers = headers
    return response


def _speaks_ollama(path: str) -> bool:
    return path == "/generate" or (path.startswith("/api/") and not path.startswith("/api/v1/"))


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def openai_type(status: int) -> str:
    """What OpenAI calls errors of this status."""
    match status:
        case 401:
            return "authentication_error"
        case 403:
            return "permission_error"
        case 429:
            return "rate_limit_error"
        case _ if status >= 500:
            return "server_error"
        case _:
            return "invalid_request_error"
