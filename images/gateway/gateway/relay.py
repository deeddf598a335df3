"""A backend's answer on its way to the client: as it comes, unbuffered, and broken when the backend broke."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from aiohttp import ClientResponse

from gateway.dialect.answers import complaint
from gateway.exchange import Exchange
from gateway.headers import client_headers, verbatim_answer
from gateway.parsing import Malformed, parse
from gateway.registry import Backend
from gateway.upstream import RETRY_AFTER_S, backend_errors, expired
from service_kit.errors import ServiceError, openai_type

MAX_ERROR_BYTES = 64 * 1024
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class BrokenAnswerError(Exception):
    """The answer broke after its head was sent: the connection must break too, so that nobody takes it for whole."""


def await_head(exchange: Exchange) -> None:
    """Begin the wait for an answer's head. Connecting comes first and has its own limit, kept by the pool."""
    upstream = exchange.services.upstream
    exchange.watch.enter(
        "first_byte",
        upstream.first_byte_s(exchange.route.patience),
        after_s=exchange.services.settings.upstream_connect_timeout_s,
    )


async def relay(exchange: Exchange, backend: Backend, response: ClientResponse, *, verbatim: bool = False) -> None:
    """Pass `response` on. Raises BrokenAnswerError when it ends early, after saying why where the format has a way."""
    if exchange.started:
        await _only_events(backend, response)
        exchange.only_comments = False
    else:
        headers = (verbatim_answer if verbatim else client_headers)(response.raw_headers)
        await exchange.start(response.status, headers)
    content = response.content
    idle_s = exchange.services.upstream.idle_s
    tail = b""
    try:
        while True:
            exchange.watch.enter("idle", idle_s)
            with answer_errors(exchange, backend):
                chunk = await content.readany()
            if content.at_eof():
                await exchange.finish(chunk)
                return
            await exchange.write(chunk)
            tail = (tail + chunk)[-4:]
    except ServiceError as error:
        await last_words(exchange, response.content_type, response.headers.get("Content-Encoding"), tail, error)
        raise BrokenAnswerError(error.code) from error


async def _only_events(backend: Backend, response: ClientResponse) -> None:
    """Raise ServiceError with the backend's words unless its answer is the stream that was promised to the client."""
    if response.status == 200 and response.content_type == "text/event-stream":
        return
    with backend_errors(backend):
        said = await response.content.read(MAX_ERROR_BYTES)
    raise refusal(backend, response.status, said)


def refusal(backend: Backend, status: int, said: bytes) -> ServiceError:
    """What a backend that answered with `status` said, as an error of ours."""
    try:
        members = parse(_OBJECT, said)
        message = complaint(members.get("error") or members)
    except Malformed:
        message = f"Backend '{backend.name}' answered with status {status}."
    if status < 400:
        return ServiceError(502, "bad_backend_answer", message)
    return ServiceError(
        status, "backend_refused", message, retry_after_s=RETRY_AFTER_S if status in {429, 503} else None
    )


async def end_in_error(exchange: Exchange, error: ServiceError) -> None:
    """End a stream that was begun while its request waited, and in which the backend has said nothing yet."""
    detail = {"message": error.sentence, "type": openai_type(error.status), "code": error.code}
    await exchange.write(b"data: " + msgspec.json.encode({"error": detail}) + b"\n\n")
    await exchange.finish()


@contextmanager
def answer_errors(exchange: Exchange, backend: Backend) -> Iterator[None]:
    """Turn what goes wrong with an answer that has begun into ServiceErrors: aiohttp's exceptions, and silence."""
    try:
        with backend_errors(backend):
            yield
    except asyncio.CancelledError:
        watch = exchange.watch
        if watch.phase == "idle" and watch.expired and watch.take_blame():
            raise timed_out(exchange) from None
        raise


async def last_words(
    exchange: Exchange, media_type: str, encoding: str | None, tail: bytes, error: ServiceError
) -> None:
    """Say in the stream why it ends, where the format can carry it and the backend stopped between two events."""
    if encoding is not None:
        return
    if media_type == "text/event-stream" and (not tail or tail.endswith((b"\n\n", b"\r\n\r\n"))):
        detail = {"message": error.sentence, "type": "server_error", "code": error.code}
        await exchange.write(b"data: " + msgspec.json.encode({"error": detail}) + b"\n\n")
    elif media_type == "application/x-ndjson" and (not tail or tail.endswith(b"\n")):
        await exchange.write(msgspec.json.encode({"error": error.sentence}) + b"\n")


def timed_out(exchange: Exchange) -> ServiceError:
    """The error for the phase that the exchange's watch found too long."""
    return expired(exchange.watch, exchange.backend)
