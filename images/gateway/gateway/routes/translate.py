"""Ollama's dialect over an OpenAI-speaking backend: the HTTP around gateway.dialect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import msgspec
from aiohttp import ClientResponse

from gateway.bodies import decode
from gateway.catalogue import Listed, fetch, listed
from gateway.dialect import cards, embeddings, requests
from gateway.dialect.answers import DONE, BackendError, Shape, Translation
from gateway.dialect.options import is_unload
from gateway.dialect.sse import EventReader, EventTooLargeError
from gateway.exchange import Exchange
from gateway.headers import upstream_headers
from gateway.parsing import Malformed, parse
from gateway.registry import Backend, model_not_found
from gateway.relay import MAX_ERROR_BYTES, BrokenAnswerError, answer_errors, await_head, refusal
from gateway.upstream import backend_errors
from service_kit.errors import ServiceError

_JSON = b"application/json; charset=utf-8"
_NDJSON = b"application/x-ndjson"
_PROPS = msgspec.json.Decoder(cards.Props)


async def translate(exchange: Exchange, backend: Backend, body: bytes) -> None:
    """Answer a request in Ollama's dialect from `backend`."""
    await _HANDLERS[exchange.route.upstream_path](exchange, backend, body)


async def _chat(exchange: Exchange, backend: Backend, body: bytes) -> None:
    request = decode(requests.CHAT, body)
    model = _model(backend, request.model)
    await _complete(exchange, backend, requests.chat(request, model), "chat", request.model or model)


async def _generate(exchange: Exchange, backend: Backend, body: bytes) -> None:
    request = decode(requests.GENERATE, body)
    model = _model(backend, request.model)
    await _complete(exchange, backend, requests.generate(request, model), "generate", request.model or model)


async def _complete(
    exchange: Exchange, backend: Backend, asked: requests.Asked | requests.Loading, shape: Shape, model: str
) -> None:
    translation = Translation(shape, model)
    if isinstance(asked, requests.Loading):
        if not asked.unload:
            await fetch(exchange.services.upstream, backend, "/v1/models")
        await _answer(exchange, translation.loaded(unload=asked.unload))
        return
    response = await _post(exchange, backend, asked.path, asked.body)
    try:
        if asked.stream:
            await _stream(exchange, backend, response, translation)
        else:
            answer = await _read(exchange, backend, response)
            with _understood(backend):
                record = translation.whole(answer)
            await _answer(exchange, record)
    finally:
        response.close()


async def _stream(exchange: Exchange, backend: Backend, response: ClientResponse, translation: Translation) -> None:
    """SSE in, NDJSON out, record by record. A stream that breaks ends in an error record and a broken connection."""
    reader = EventReader()
    idle_s = exchange.services.upstream.idle_s
    await exchange.start(200, [(b"content-type", _NDJSON), (b"x-accel-buffering", b"no")])
    try:
        while True:
            exchange.watch.enter("idle", idle_s)
            with answer_errors(exchange, backend):
                piece = await response.content.readany()
            if not piece:
                break
            lines = b""
            ended = False
            for event in reader.feed(piece):
                if event == DONE:
                    ended = True
                    break
                lines += b"".join(_line(record) for record in translation.piece(event))
            if ended:
                await exchange.finish(lines + _line(translation.last()))
                return
            if lines:
                await exchange.write(lines)
        if translation.finished:
            await exchange.finish(_line(translation.last()))
            return
        problem = f"Backend '{backend.name}' ended its answer in the middle."
    except ServiceError as error:
        problem = error.sentence
    except BackendError as error:
        problem = str(error)
    except (Malformed, EventTooLargeError) as error:
        problem = f"Backend '{backend.name}' sent a piece of an answer that nobody understands: {error}."
    await exchange.write(_line({"error": problem}))
    raise BrokenAnswerError(problem)


async def _embed(exchange: Exchange, backend: Backend, body: bytes) -> None:
    started_at = perf_counter()
    request = decode(requests.EMBED, body)
    model = _model(backend, request.model)
    is_unload(request.keep_alive)
    texts = [request.input] if isinstance(request.input, str) else request.input or []
    vectors, tokens = await _vectors(exchange, backend, model, [text for text in texts if text or len(texts) > 1])
    answer: dict[str, Any] = {
        "model": request.model or model,
        "embeddings": [embeddings.shortened(vector, request.dimensions) for vector in vectors],
    }
    if vectors:
        total_ns = round((perf_counter() - started_at) * 1e9)
        answer |= {"total_duration": total_ns, "load_duration": 0, "prompt_eval_count": tokens}
    await _answer(exchange, answer)


async def _embeddings(exchange: Exchange, backend: Backend, body: bytes) -> None:
    request = decode(requests.EMBEDDINGS, body)
    model = _model(backend, request.model)
    is_unload(request.keep_alive)
    vectors, _ = await _vectors(exchange, backend, model, [request.prompt] if request.prompt else [])
    await _answer(exchange, {"embedding": vectors[0] if vectors else []})


async def _vectors(exchange: Exchange, backend: Backend, model: str, texts: list[str]) -> tuple[list[list[float]], int]:
    if not texts:
        return [], 0
    response = await _post(exchange, backend, "/v1/embeddings", embeddings.ask(model, texts))
    try:
        answer = await _read(exchange, backend, response)
    finally:
        response.close()
    with _understood(backend):
        return embeddings.read(answer, len(texts))


async def _tags(exchange: Exchange, backend: Backend, _body: bytes) -> None:
    found = await _listed(exchange, backend)
    await _answer(exchange, {"models": [cards.tag(each.id, each.created, each.meta or {}) for each in found]})


async def _ps(exchange: Exchange, backend: Backend, _body: bytes) -> None:
    found = await _listed(exchange, backend)
    await _answer(exchange, {"models": [cards.process(each.id, each.meta or {}) for each in found]})


async def _show(exchange: Exchange, backend: Backend, body: bytes) -> None:
    request = decode(requests.SHOW, body)
    named = request.model or request.name
    if not named:
        raise ServiceError(400, "invalid_request", "'model' is missing.", param="model", hint="Name a model.")
    model = _model(backend, named)
    found = next(each for each in await _listed(exchange, backend) if each.id == model)
    try:
        props = parse(_PROPS, await fetch(exchange.services.upstream, backend, "/props"))
    except (ServiceError, Malformed):
        props = cards.Props()
    await _answer(exchange, cards.show(found.id, found.created, found.meta or {}, props))


async def _version(exchange: Exchange, _backend: Backend, _body: bytes) -> None:
    await _answer(exchange, {"version": cards.OLLAMA_VERSION})


_HANDLERS: dict[str, Callable[[Exchange, Backend, bytes], Awaitable[None]]] = {
    "/api/chat": _chat,
    "/api/generate": _generate,
    "/api/embed": _embed,
    "/api/embeddings": _embeddings,
    "/api/tags": _tags,
    "/api/ps": _ps,
    "/api/show": _show,
    "/api/version": _version,
}


def _model(backend: Backend, named: str | None) -> str:
    """The name under which `backend` serves the model that the client named, with or without its tag."""
    if not named:
        return backend.models[0]
    for name in (named, f"{named}:latest", named.removesuffix(":latest")):
        if name in backend.models:
            return name
    raise model_not_found(named, list(backend.models))


async def _listed(exchange: Exchange, backend: Backend) -> list[Listed]:
    """The models that the registry names for `backend`, with what the backend knows of each."""
    said = {each.id: each for each in await listed(exchange.services.upstream, backend)}
    return [said.get(name) or Listed(name) for name in backend.models]


async def _post(exchange: Exchange, backend: Backend, path: str, fields: dict[str, Any]) -> ClientResponse:
    """Send a translated request. Raises ServiceError with the backend's own words when it refuses."""
    upstream = exchange.services.upstream
    headers = upstream_headers(exchange.scope, upstream.key_of(backend))
    headers.popall("Accept-Encoding", None)
    headers.popall("Content-Encoding", None)
    headers["Content-Type"] = "application/json"
    await_head(exchange)
    response = await upstream.send(backend, "POST", path, headers=headers, data=msgspec.json.encode(fields))
    if response.status == 200:
        return response
    try:
        with backend_errors(backend):
            said = await response.content.read(MAX_ERROR_BYTES)
    finally:
        response.close()
    raise refusal(backend, response.status, said)


async def _read(exchange: Exchange, backend: Backend, response: ClientResponse) -> bytes:
    """The whole of an answer that is not streamed."""
    exchange.watch.enter("idle", exchange.services.upstream.idle_s)
    with backend_errors(backend):
        return await response.read()


async def _answer(exchange: Exchange, record: dict[str, Any]) -> None:
    await exchange.answer(200, msgspec.json.encode(record), _JSON)


def _line(record: dict[str, Any]) -> bytes:
    return msgspec.json.encode(record) + b"\n"


@contextmanager
def _understood(backend: Backend) -> Iterator[None]:
    """Turn an answer that cannot be read into a 502 that names the backend."""
    try:
        yield
    except (Malformed, BackendError) as error:
        raise ServiceError(
            502, "bad_backend_answer", f"Backend '{backend.name}' sent an answer that nobody understands: {error}."
        ) from error
