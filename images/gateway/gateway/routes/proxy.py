"""Requests that a backend answers: choose it, be admitted, and pass the bytes on or translate them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from multidict import CIMultiDict

from gateway.bodies import Upload, check_announced_length, collect, wanted_model
from gateway.exchange import Exchange
from gateway.headers import content_length, upstream_headers, verbatim_headers
from gateway.registry import Backend, Registry
from gateway.relay import await_head, relay
from gateway.routes.translate import translate
from gateway.routing import Body, Handling, Route
from service_kit.errors import ServiceError


async def proxy(exchange: Exchange) -> None:
    """Answer from a backend."""
    route = exchange.route
    if route.body in {Body.UPLOAD, Body.FORM}:
        await _pass_upload(exchange)
        return
    body: bytes | None = None
    if route.body is Body.JSON:
        settings = exchange.services.settings
        body = await collect(
            exchange.scope,
            exchange.receive,
            exchange.watch,
            exchange.body_limit_bytes,
            settings.client_body_timeout_s,
        )
    backend, body = choose(exchange.services.registry, route, body)
    exchange.backend = backend
    handling: Handling = route.over[backend.kind]
    if handling == "unsupported":
        raise _unsupported(route, backend)
    exchange.watch.wait_for_departure()
    if route.passes_pause and await _passed_a_pause(exchange, backend):
        return
    async with exchange.services.admission.admit(exchange, backend, body):
        if handling == "translate":
            await translate(exchange, backend, body or b"")
        else:
            await _pass_json(exchange, backend, body)


async def _passed_a_pause(exchange: Exchange, backend: Backend) -> bool:
    """Answer through a pause, if there is one and somebody behind it still listens."""
    admission = exchange.services.admission
    if not admission.is_paused(backend):
        return False
    try:
        async with admission.pass_by(backend):
            await _pass_json(exchange, backend, None)
    except ServiceError as error:
        if exchange.started or error.code not in {"backend_unavailable", "backend_timeout"}:
            raise
        return False
    except asyncio.CancelledError:
        # One that is being exchanged may take a connection and say nothing, or its name be asked for in vain.
        if exchange.started or exchange.watch.left or not exchange.watch.take_blame():
            raise
        return False
    return True


def choose(registry: Registry, route: Route, body: bytes | None) -> tuple[Backend, bytes | None]:
    """The backend for a request on `route` with this JSON body (None: without), and the body to send there.

    The body comes back as it is, but where it names no model and goes to an OpenAI-speaking backend: then with the
    backend's first model in it. Raises ServiceError 400, 404 or 503.
    """
    assert route.capability is not None  # noqa: S101 - rows without capability never come here
    if "unsupported" in route.over.values():
        return registry.of_kind("ollama") or registry.only(route.capability), body
    if body is None:
        return registry.only(route.capability), body
    try:
        model = wanted_model(body)
    except ServiceError:
        backend = registry.only(route.capability)
        if backend.kind == "ollama":
            return backend, body  # Ollama says itself what it does not like
        raise
    backend = registry.serving(route.capability, model)
    if model is None and backend.kind == "openai" and route.over["openai"] == "pass":
        body = _with_model(body, backend.models[0])
    return backend, body


async def _towards(exchange: Exchange, backend: Backend) -> tuple[Backend, CIMultiDict[str]]:
    """Who is to answer in the name of `backend`, itself or its standby, and the headers to ask with."""
    services, scope, route = exchange.services, exchange.scope, exchange.route
    takeover = services.takeovers.get(backend.name) if services.takeovers else None
    if takeover is not None:
        target = await takeover.target(route, paused=services.admission.is_paused(backend))
        if target is not backend:
            exchange.backend = target
            return target, verbatim_headers(scope, services.upstream.key_of(target))
    return backend, upstream_headers(scope, services.upstream.key_of(backend), people=route.passes_people)


async def _pass_json(exchange: Exchange, backend: Backend, body: bytes | None) -> None:
    upstream, scope, route = exchange.services.upstream, exchange.scope, exchange.route
    target, headers = await _towards(exchange, backend)
    verbatim = target is not backend
    if body is not None:
        headers["Content-Type"] = "application/json"
    if exchange.started:
        # the head is out: nothing can be said of a compression any more
        headers.popall("Accept-Encoding", None)
    await_head(exchange)
    method = scope["method"] if scope["method"] == "HEAD" else route.method
    response = await upstream.send(
        target,
        method,
        route.upstream_path,
        headers=headers,
        data=body,
        query=scope["query_string"],
        verbatim=verbatim,
    )
    try:
        await relay(exchange, target, response, verbatim=verbatim)
    finally:
        response.close()


async def _pass_upload(exchange: Exchange) -> None:
    services, scope, route = exchange.services, exchange.scope, exchange.route
    limit_bytes = exchange.body_limit_bytes
    check_announced_length(scope, limit_bytes)
    assert route.capability is not None  # noqa: S101 - see choose
    backend = exchange.backend = services.registry.only(route.capability)
    upstream = services.upstream
    length = content_length(scope)
    upload = Upload(
        exchange.receive,
        exchange.watch,
        limit_bytes=limit_bytes,
        client_s=services.settings.client_body_timeout_s,
        backend_s=upstream.idle_s,
    )
    async with services.admission.admit(exchange, backend, None):
        target, headers = await _towards(exchange, backend)
        verbatim = target is not backend
        if length is not None:
            headers["Content-Length"] = str(length)
        exchange.watch.enter("connect", services.settings.upstream_connect_timeout_s)
        try:
            response = await upstream.send(
                target,
                route.method,
                route.upstream_path,
                headers=headers,
                data=upload.pieces(upstream.first_byte_s(route.patience)),
                query=scope["query_string"],
                verbatim=verbatim,
            )
        except ServiceError:
            if upload.error is not None:
                raise upload.error from None
            raise
        upload.backend_answered()
        try:
            await relay(exchange, target, response, verbatim=verbatim)
        finally:
            response.close()


def _with_model(body: bytes, model: str) -> bytes:
    members: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    members["model"] = model
    return msgspec.json.encode(members)


def _unsupported(route: Route, backend: Backend) -> ServiceError:
    return ServiceError(
        501,
        "not_supported_by_backend",
        f"{route.path} needs Ollama, but the language model runs in backend '{backend.name}', which cannot do it.",
        hint=f"It serves {', '.join(backend.models)} as it was started; run Ollama as backend to manage models here.",
    )
