"""Ollama's two embedding routes over OpenAI's one."""

from __future__ import annotations

import math

import msgspec

from gateway.dialect.answers import Usage
from gateway.dialect.options import Fields
from gateway.parsing import Malformed, parse


class _Entry(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Embedded(msgspec.Struct):
    data: list[_Entry] = []
    usage: Usage | None = None


_EMBEDDED = msgspec.json.Decoder(_Embedded)


def ask(model: str, texts: list[str]) -> Fields:
    """The request to /v1/embeddings."""
    return {"model": model, "input": texts, "encoding_format": "float"}


def read(data: bytes, expected: int) -> tuple[list[list[float]], int]:
    """The vectors in the order asked for, and the tokens counted. Raises Malformed when not `expected` many came."""
    found = parse(_EMBEDDED, data)
    if len(found.data) != expected:
        raise Malformed(f"{expected} embeddings were asked for, {len(found.data)} came")
    vectors = [entry.embedding for entry in sorted(found.data, key=lambda entry: entry.index)]
    return vectors, found.usage.prompt_tokens if found.usage else 0


def shortened(vector: list[float], dimensions: int | None) -> list[float]:
    """The first `dimensions` of `vector`, of length one again; the vector as it is when it has no more than those."""
    if not dimensions or dimensions >= len(vector):
        return vector
    head = vector[:dimensions]
    length = math.sqrt(math.fsum(value * value for value in head)) or 1.0
    return [value / length for value in head]
