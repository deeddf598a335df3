"""The outermost layer of every service: request id, API key, probes, metrics, one log line, error shapes.

Pure ASGI and nothing per request that is not needed, because the gateway's hot path runs through it.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any

import msgspec

from service_kit import docs
from service_kit.auth import ApiKeys
from service_kit.errors import ServiceError, error_response, internal_error, shutting_down, unauthorized
from service_kit.health import Readiness
from service_kit.log import get_logger, request_id_var
from service_kit.metrics import HttpMetrics

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CLIENT_LEFT = 499
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_JSON = b"application/json"
# Answers carry what people sent and what models said: no browser may take it for a page of ours.
_NOSNIFF = (b"x-content-type-options", b"nosniff")


class ServiceShell:
    """Wraps a service's ASGI app.

    `keys` None means that no key is asked for. `open_paths` are answered without a key beside /healthz and
    /readyz; what succeeds on `quiet_paths` (default: the same) is logged at DEBUG only. A key of `admin_keys` opens
    everything that one of `keys` opens, and makes scope["state"]["admin"] true. The wrapped app may set
    scope["state"]["route"] to its route template for metrics and logs.
    """

    def __init__(
        self,
        app: App,
        *,
        service: str,
        version: str,
        keys: ApiKeys | None,
        readiness: Readiness,
        open_paths: frozenset[str] = frozenset(),
        quiet_paths: frozenset[str] | None = None,
        admin_keys: ApiKeys | None = None,
        metrics: HttpMetrics | None = None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._admin_keys = admin_keys
        self._readiness = readiness
        self._open_paths = open_paths
        self._quiet = (open_paths if quiet_paths is None else quiet_paths) | {"/healthz", "/readyz", "/metrics"}
        self._about = {"service": service, "version": version}
        self._metrics = metrics or HttpMetrics(service)
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        kind = scope["type"]
        if kind == "http":
            await self._http(scope, receive, send)
        elif kind == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started_at = perf_counter()
        authorization, given_id = _read_headers(scope["headers"])
        request_id = given_id or os.urandom(8).hex()
        request_id_var.set(request_id)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        status = 0
        body_bytes = 0
        complete = False
        id_header = (b"x-request-id", request_id.encode())

        async def send_with_id(message: Message) -> None:
            nonlocal status, body_bytes, complete
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), id_header, _NOSNIFF]
            elif message["type"] == "http.response.body":
                body_bytes += len(message.get("body", b""))
                complete = not message.get("more_body", False)
            await send(message)

        key_id: str | None = None
        failure: str | None = None
        self._metrics.in_flight.inc()
        try:
            path = scope["path"]
            if path in {"/healthz", "/readyz"}:
                await self._probe(scope, send_with_id)
                return
            if self._keys is not None and path not in self._open_paths:
                key_id = self._keys.match(authorization)
                if key_id is None:
                    key_id = self._admin(authorization, state)
                if key_id is None:
                    raise unauthorized(presented=authorization is not None)
                state["key_id"] = key_id
            elif authorization is not None:
                key_id = self._admin(authorization, state)
            if path == "/metrics":
                await self._scrape(scope, send_with_id)
            elif path.startswith(docs.ASSETS_PATH + "/"):
                await _send_asset(scope, send_with_id)
            else:
                await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:
            if status:
                raise
            # the server stops, and the grace it gave is over: who got nothing yet is told to come again
            failure = "shutting_down"
            await send_error(scope, send_with_id, shutting_down())
        except ServiceError as error:
            failure = error.code
            if status:
                raise
            await send_error(scope, send_with_id, error)
        except Exception as error:
            failure = type(error).__name__
            self._log.exception("request_failed", route=state.get("route"))
            if not status:
                await send_error(scope, send_with_id, internal_error(request_id))
            elif not complete:
                # The head is gone: all that is left is to break the connection, so that nobody takes it for whole.
                raise
        finally:
            self._metrics.in_flight.dec()
            seconds = perf_counter() - started_at
            route = state.get("route") or _starlette_route(scope) or "unmatched"
            self._metrics.observe(route, scope["method"], status or CLIENT_LEFT, seconds)
            # Probes and scrapes come every few seconds for ever: at INFO they would drown everything else.
            write = self._log.debug if status == 200 and route in self._quiet else self._log.info
            write(
                "request",
                method=scope["method"][:16],
                route=route,
                status=status or CLIENT_LEFT,
                duration_ms=round(seconds * 1000, 2),
                body_bytes=body_bytes,
                key=key_id,
                **({"error": failure} if failure else {}),
            )

    def _admin(self, authorization: bytes | None, state: MutableMapping[str, Any]) -> str | None:
        """Id of the admin key in `authorization`, noted in `state`; None where it holds none."""
        key_id = self._admin_keys.match(authorization) if self._admin_keys is not None else None
        if key_id is not None:
            state["admin"] = True
        return key_id

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        authorization, _ = _read_headers(scope["headers"])
        if self._keys is not None and self._keys.match(authorization) is None:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "API key missing or wrong"})
            return
        await self._app(scope, receive, send)

    async def _probe(self, scope: Scope, send: Send) -> None:
        _only_get(scope)
        scope["state"]["route"] = scope["path"]
        if scope["path"] == "/healthz":
            await _send_body(scope, send, 200, msgspec.json.encode({"status": "ok", **self._about}), _JSON)
        else:
            status = 200 if self._readiness.ready else 503
            report = {**self._readiness.report(), **self._about}
            await _send_body(scope, send, status, msgspec.json.encode(report), _JSON)

    async def _scrape(self, scope: Scope, send: Send) -> None:
        _only_get(scope)
        scope["state"]["route"] = "/metrics"
        body, media_type = self._metrics.render()
        await _send_body(scope, send, 200, body, media_type.encode())


async def send_error(scope: Scope, send: Send, error: ServiceError) -> None:
    """Answer with `error` in the shape of the request's path, closing the connection if a body is still to come."""
    state = scope.get("state", {})
    status, headers, body = error_response(error, scope["path"], state.get("request_id", ""))
    if _body_outstanding(scope):
        headers.append((b"connection", b"close"))
    if status == 401 and _is_browser(scope):
        headers.append((b"www-authenticate", b'Basic realm="ai-services: any name, the API key as password"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _read_headers(headers: list[tuple[bytes, bytes]]) -> tuple[bytes | None, str | None]:
    authorization: bytes | None = None
    request_id: str | None = None
    for name, value in headers:
        if name == b"authorization":
            # Two of them: which one counts would be anybody's guess, so neither does.
            authorization = value if authorization is None else b""
        elif name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            request_id = value.decode()
    return authorization, request_id


def _only_get(scope: Scope) -> None:
    if scope["method"] not in {"GET", "HEAD"}:
        raise ServiceError(405, "method_not_allowed", f"{scope['path']} answers GET only.", headers=(("Allow", "GET"),))


async def _send_asset(scope: Scope, send: Send) -> None:
    _only_get(scope)
    scope["state"]["route"] = docs.ASSETS_PATH + "/{name}"
    found = docs.asset(scope["path"].removeprefix(docs.ASSETS_PATH + "/"))
    if found is None:
        raise ServiceError(404, "not_found", "There is no such file.")
    body, media_type = found
    await _send_body(scope, send, 200, body, media_type.encode(), (b"cache-control", b"private, max-age=86400"))


async def _send_body(
    scope: Scope, send: Send, status: int, body: bytes, media_type: bytes, *more: tuple[bytes, bytes]
) -> None:
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _starlette_route(scope: Scope) -> str | None:
    return getattr(scope.get("route"), "path", None)


def _body_outstanding(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False


def _is_browser(scope: Scope) -> bool:
    if scope["method"] != "GET":
        return False
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])
