"""Which headers cross the gateway, in either direction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from multidict import CIMultiDict

from service_kit.asgi import Scope

RawHeaders = list[tuple[bytes, bytes]]

# Towards a backend: an allow list. Whatever is not named here (keys, cookies, forged X-Forwarded-*, smuggled
# framing) stays outside without anybody having to think of it.
_FORWARDED = {
    b"accept": "Accept",
    b"accept-encoding": "Accept-Encoding",
    b"accept-language": "Accept-Language",
    b"content-encoding": "Content-Encoding",
    b"content-type": "Content-Type",
    b"traceparent": "traceparent",
    b"tracestate": "tracestate",
    b"user-agent": "User-Agent",
}

# Towards the client: all but what belongs to one connection, what our own shell says, and what only the
# front door may decide (cookies, cross-origin rules).
_KEPT_BACK = frozenset(
    {
        b"connection",
        b"date",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"server",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"www-authenticate",
        b"x-content-type-options",
        b"x-request-id",
    }
)
# what no header may hold; the server would refuse to send it, in the middle of the answer
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# What belongs to one connection and must be said anew on the next (RFC 9110, 7.6.1), or is ours to say.
_ONE_CONNECTION = frozenset(
    {
        b"connection",
        b"content-length",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_PEOPLE = {b"x-email": "X-Email", b"x-user": "X-User"}
_STREAMS = (b"text/event-stream", b"application/x-ndjson")


def text_of(raw: bytes) -> str:
    """Bytes of a head as text that is written as the same bytes again: the pool writes UTF-8.

    Latin-1, which older clients send, has no such text; it becomes UTF-8.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def upstream_headers(scope: Scope, api_key: str | None, *, people: bool = False) -> CIMultiDict[str]:
    """Headers for the backend's request: the allowed ones, where it came from, our request id and our own key.

    `people`: X-Email and X-User as well.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    host = b""
    for name, value in scope["headers"]:
        if (known := _FORWARDED.get(name)) is not None:
            headers.add(known, text_of(value))
        elif name == b"host":
            host = value
        elif people and (known := _PEOPLE.get(name)) is not None:
            headers.add(known, text_of(value))
    client = scope.get("client")
    headers["X-Forwarded-For"] = client[0] if client else "unknown"
    headers["X-Forwarded-Proto"] = scope["scheme"]
    headers["X-Forwarded-Host"] = text_of(host)
    headers["X-Request-ID"] = scope["state"]["request_id"]
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers


def verbatim_headers(scope: Scope, api_key: str | None) -> CIMultiDict[str]:
    """Headers for a service that is to see the request as if we were not there, but for the key.

    The connection is for this request only: an old service may close a kept one in the moment of the next request.
    """
    headers: CIMultiDict[str] = CIMultiDict()
    dropped = _ONE_CONNECTION | _named_by_connection(scope["headers"]) | {b"authorization"}
    for name, value in scope["headers"]:
        if name not in dropped:
            headers.add(text_of(name), text_of(value))
    headers["Connection"] = "close"
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    return headers


def verbatim_answer(raw: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
    """Headers of an answer that the client is to see as if we were not there."""
    dropped = (_ONE_CONNECTION | _named_by_connection(raw) | {b"date", b"x-request-id"}) - {b"content-length"}
    return [(name, value) for name, value in raw if name.lower() not in dropped and not _FORBIDDEN.search(value)]


def _named_by_connection(raw: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """Headers that `Connection` says belong to this connection only, in lower case."""
    return {
        token.strip().lower() for name, value in raw if name.lower() == b"connection" for token in value.split(b",")
    }


def client_headers(raw: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """Headers of a backend's answer that the client gets."""
    kept: RawHeaders = []
    named_by_connection: set[bytes] | None = None
    for given, value in raw:
        name = given.lower()
        if name in _KEPT_BACK:
            if name == b"connection":
                tokens = {token.strip().lower() for token in value.split(b",")} - {b"close", b"keep-alive"}
                named_by_connection = (named_by_connection or set()) | tokens
        elif not name.startswith(b"access-control-") and _FORBIDDEN.search(value) is None:
            kept.append((name, value))
            if name == b"content-type" and value.startswith(_STREAMS):
                # nginx in front must not collect what we took care to stream
                kept.append((b"x-accel-buffering", b"no"))
    if named_by_connection:
        kept = [(name, value) for name, value in kept if name not in named_by_connection]
    return kept


def header(scope: Scope, wanted: bytes) -> bytes | None:
    """The first value of a request header, or None."""
    for name, value in scope["headers"]:
        if name == wanted:
            return bytes(value)
    return None


def content_length(scope: Scope) -> int | None:
    """The body's announced length in bytes; None when it is chunked or absent."""
    value = header(scope, b"content-length")
    return int(value) if value is not None and value.isdigit() else None
