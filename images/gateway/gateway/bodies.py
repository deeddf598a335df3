"""Request bodies: JSON is collected, because its model decides the backend; uploads pass by unread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TypeVar

import msgspec

from gateway.headers import content_length, header
from gateway.parsing import Malformed, parse
from gateway.watch import Watch
from service_kit.asgi import Receive, Scope
from service_kit.errors import ServiceError

T = TypeVar("T")


# A JSON body may take a second more for each of these: a slow line is given its time, a dripping one is not.
SLOWEST_BYTES_PER_S = 4096


class ClientLeftError(Exception):
    """The client closed its connection before it was answered; nobody is left to tell."""


class Wanted(msgspec.Struct):
    """The two members that name a model; `name` is how older Ollama clients say `model`."""

    model: str | None = None
    name: str | None = None


class Streaming(msgspec.Struct):
    """The one member that says whether the answer is to be streamed."""

    stream: bool | None = None


_WANTED = msgspec.json.Decoder(Wanted)
_STREAMING = msgspec.json.Decoder(Streaming)


def too_large(limit_bytes: int) -> ServiceError:
    """413 for a body over `limit_bytes`."""
    return ServiceError(
        413,
        "body_too_large",
        f"The request body is larger than the {limit_bytes / 1024 / 1024:g} MiB that this route takes.",
        hint="Send less, or raise MAX_JSON_MIB or MAX_UPLOAD_MIB of the gateway.",
    )


def check_announced_length(scope: Scope, limit_bytes: int) -> None:
    """Raise 413 when Content-Length already says that the body is too large."""
    length = content_length(scope)
    if length is not None and length > limit_bytes:
        raise too_large(limit_bytes)


async def collect(scope: Scope, receive: Receive, watch: Watch, limit_bytes: int, limit_s: float) -> bytes:
    """The whole body. Raises ServiceError 413 beyond `limit_bytes`, 415 when compressed, or ClientLeftError.

    It has `limit_s`, and one second more for every SLOWEST_BYTES_PER_S of it that came.
    """
    check_announced_length(scope, limit_bytes)
    if header(scope, b"content-encoding") is not None:
        raise ServiceError(415, "unsupported_encoding", "A compressed JSON body is not taken.", hint="Send it plain.")
    watch.enter("client_body", limit_s)
    began_at = time.monotonic()
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        part: bytes = message.get("body", b"")
        if len(body) + len(part) > limit_bytes:
            raise too_large(limit_bytes)
        if not body and not message.get("more_body"):
            return part
        body += part
        if not message.get("more_body"):
            return bytes(body)
        watch.enter("client_body", limit_s, after_s=began_at + len(body) / SLOWEST_BYTES_PER_S - time.monotonic())


def wanted_model(body: bytes) -> str | None:
    """The model that a JSON request names; None when it names none. Raises ServiceError 400 when it cannot be read."""
    wanted = decode(_WANTED, body)
    return wanted.model or wanted.name


def asks_for_stream(body: bytes) -> bool:
    """Whether a JSON request wants its answer as a stream; what cannot be read does not."""
    try:
        return parse(_STREAMING, body).stream is True
    except Malformed:
        return False


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """A JSON body as `decoder` has it. Raises ServiceError 400 that says where it is wrong."""
    try:
        return parse(decoder, body)
    except msgspec.ValidationError as error:
        raise _invalid_request(str(error)) from None
    except Malformed as error:
        raise ServiceError(
            400, "invalid_json", f"The request body is not valid JSON: {error}.", hint="Send one JSON object."
        ) from None


def _invalid_request(problem: str) -> ServiceError:
    """400 for members of the wrong shape; `problem` is msgspec's sentence."""
    what, _, where = problem.partition(" - at ")
    param = where.strip("`").removeprefix("$").lstrip(".") or None
    return ServiceError(
        400,
        "invalid_request",
        f"{what}{f' in {param!r}' if param else ''}.",
        param=param,
        hint="GET /docs has the shape.",
    )


class Upload:
    """A body on its way from client to backend, one piece at a time and never two in memory.

    `error` says why it ended early; `sent` is true once the client's last byte was handed on.
    """

    def __init__(self, receive: Receive, watch: Watch, *, limit_bytes: int, client_s: float, backend_s: float) -> None:
        self._receive = receive
        self._watch = watch
        self._limit_bytes = limit_bytes
        self._client_s = client_s
        self._backend_s = backend_s
        self._answered = False
        self.error: Exception | None = None
        self.sent = False

    def backend_answered(self) -> None:
        """The backend did not wait for the end: leave the rest with the client, and the clock to the answer."""
        self._answered = True

    async def pieces(self, first_byte_s: float) -> AsyncIterator[bytes]:
        """The body's pieces, as aiohttp asks for them; asks the client only when the backend took the last one.

        Ending in an exception breaks the backend's request, so that no cut body is taken for a whole one.
        """
        size = 0
        while True:
            self._watch.enter("client_body", self._client_s)
            message = await self._receive()
            if self._answered:
                # An end here would be written to the backend as the end of the body. Closing its connection ends us.
                await asyncio.get_running_loop().create_future()
            if message["type"] == "http.disconnect":
                self.error = ClientLeftError()
                raise self.error
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > self._limit_bytes:
                self.error = too_large(self._limit_bytes)
                raise self.error
            if piece:
                self._watch.enter("send", self._backend_s)
                yield piece
                if self._answered:
                    await asyncio.get_running_loop().create_future()
            if not message.get("more_body"):
                self.sent = True
                self._watch.enter("first_byte", first_byte_s)
                self._watch.wait_for_departure()
                return
