"""Answers in OpenAI's dialect, and what becomes of them in Ollama's; streams piece by piece."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from gateway.dialect.options import Fields
from gateway.parsing import Malformed, parse

Shape = Literal["chat", "generate"]
DONE = b"[DONE]"


class Call(msgspec.Struct):
    """The function of a tool call, or a piece of it."""

    name: str | None = None
    arguments: str | None = None


class CallPiece(msgspec.Struct):
    """A tool call, or a piece of one; pieces of one call share the index."""

    function: Call | None = None
    index: int = 0
    id: str | None = None


class Said(msgspec.Struct):
    """A message or a delta. Reasoning goes by two names: llama.cpp's and newer vLLM's."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPiece] | None = None


class Logprobs(msgspec.Struct):
    """Log probabilities of a chat; the entries have the same members in both dialects."""

    content: list[Any] | None = None


class Choice(msgspec.Struct):
    """One choice of a chat (message, delta) or a completion (text)."""

    message: Said | None = None
    delta: Said | None = None
    text: str | None = None
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Usage(msgspec.Struct):
    """Tokens counted."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Timings(msgspec.Struct):
    """llama.cpp's own measurements, in milliseconds."""

    prompt_ms: float = 0.0
    predicted_ms: float = 0.0


class Completion(msgspec.Struct):
    """A chat completion, a completion, or a piece of either."""

    choices: list[Choice] = []
    usage: Usage | None = None
    timings: Timings | None = None
    error: Any = None


_COMPLETION = msgspec.json.Decoder(Completion)


class Translation:
    """One answer on its way into Ollama's dialect: records for the pieces, and the last one with the figures.

    `clock` gives seconds. Durations are nanoseconds, as Ollama has them: the backend's own where it tells them, else
    measured here. `load_duration` is what passed before the prompt was begun: waiting for a place, mostly, because a
    model behind this dialect is always loaded.
    """

    def __init__(self, shape: Shape, model: str, clock: Any = time.perf_counter) -> None:
        self._shape = shape
        self._model = model
        self._clock = clock
        self._started_at = clock()
        self._first_at: float | None = None
        self._calls: dict[int, Call] = {}
        self._usage = Usage()
        self._timings: Timings | None = None
        self._finish_reason: str | None = None

    @property
    def finished(self) -> bool:
        """Whether the backend has said that the answer is whole."""
        return self._finish_reason is not None

    def piece(self, data: bytes) -> list[Fields]:
        """Records for one event of a stream. Raises Malformed, or BackendError with what the backend complains of."""
        found = self._read(data)
        records: list[Fields] = []
        for choice in found.choices[:1]:
            said = choice.delta or Said()
            if choice.text:
                said.content = choice.text
            logprobs = choice.logprobs.content if choice.logprobs else None
            if said.content or said.reasoning_content or said.reasoning or logprobs:
                records.append(self._record(said, None, logprobs))
            for piece in said.tool_calls or ():
                self._add(piece)
            if choice.finish_reason is not None:
                self._finish_reason = choice.finish_reason
                if self._calls:
                    records.append(self._record(Said(), self._tool_calls(), None))
        return records

    def last(self) -> Fields:
        """The record that ends a stream."""
        return self._record(Said(), None, None) | self._figures()

    def whole(self, data: bytes) -> Fields:
        """The one record for an answer that was not streamed. Raises Malformed or BackendError."""
        found = self._read(data)
        if not found.choices:
            raise Malformed("it holds no choice")
        choice = found.choices[0]
        said = choice.message or Said(content=choice.text)
        for place, piece in enumerate(said.tool_calls or ()):
            piece.index = place
            self._add(piece)
        self._finish_reason = choice.finish_reason
        logprobs = choice.logprobs.content if choice.logprobs else None
        return self._record(said, self._tool_calls() or None, logprobs) | self._figures()

    def loaded(self, *, unload: bool) -> Fields:
        """The one record for a request that only loads or unloads."""
        return self._record(Said(), None, None) | {"done": True, "done_reason": "unload" if unload else "load"}

    def _read(self, data: bytes) -> Completion:
        found = parse(_COMPLETION, data)
        if found.error is not None:
            raise BackendError(complaint(found.error))
        if self._first_at is None and found.choices:
            self._first_at = self._clock()
        self._usage = found.usage or self._usage
        self._timings = found.timings or self._timings
        return found

    def _record(self, said: Said, calls: list[Fields] | None, logprobs: list[Any] | None) -> Fields:
        record: Fields = {"model": self._model, "created_at": _now()}
        text = said.content or ""
        thinking = said.reasoning_content or said.reasoning
        if self._shape == "generate":
            record["response"] = text
            holder = record
        else:
            holder = record["message"] = {"role": "assistant", "content": text}
        if thinking:
            holder["thinking"] = thinking
        if calls:
            holder["tool_calls"] = calls
        if logprobs:
            record["logprobs"] = logprobs
        record["done"] = False
        return record

    def _figures(self) -> Fields:
        total_ns = _ns(self._clock() - self._started_at)
        if self._timings is not None:
            prompt_ns, eval_ns = _ns(self._timings.prompt_ms / 1000), _ns(self._timings.predicted_ms / 1000)
        else:
            prompt_ns = _ns((self._first_at or self._clock()) - self._started_at)
            eval_ns = total_ns - prompt_ns
        return {
            "done": True,
            "done_reason": "length" if self._finish_reason == "length" else "stop",
            "total_duration": total_ns,
            "load_duration": max(0, total_ns - prompt_ns - eval_ns),
            "prompt_eval_count": self._usage.prompt_tokens,
            "prompt_eval_duration": prompt_ns,
            "eval_count": self._usage.completion_tokens,
            "eval_duration": eval_ns,
        }

    def _add(self, piece: CallPiece) -> None:
        call = self._calls.setdefault(piece.index, Call("", ""))
        if piece.function is not None:
            call.name = (call.name or "") + (piece.function.name or "")
            call.arguments = (call.arguments or "") + (piece.function.arguments or "")

    def _tool_calls(self) -> list[Fields]:
        return [
            {"function": {"index": index, "name": call.name, "arguments": _arguments(call.arguments)}}
            for index, call in sorted(self._calls.items())
        ]


class BackendError(Exception):
    """The backend answered with an error where an answer belongs; the message is its own."""


def complaint(error: Any) -> str:
    """What an OpenAI-speaking server says in its `error` member."""
    if isinstance(error, dict):
        error = error.get("message") or error
    return error if isinstance(error, str) else msgspec.json.encode(error).decode()


def _arguments(text: str | None) -> Any:
    """A tool call's arguments as an object; a model that wrote something else has it handed on under one name."""
    try:
        arguments = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return {"invalid_json": text}
    return arguments if isinstance(arguments, dict) else {"invalid_json": text}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _ns(seconds: float) -> int:
    return max(0, round(seconds * 1e9))
