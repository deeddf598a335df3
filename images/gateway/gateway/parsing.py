"""JSON from outside: every way in which it can be wrong is one exception."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")

# Raised for text that is no JSON; its subclass msgspec.ValidationError for JSON of another shape than asked for.
Malformed = msgspec.DecodeError


def parse(decoder: msgspec.json.Decoder[T], data: bytes) -> T:
    """`data` as `decoder` has it. Raises Malformed, also where msgspec itself lets other exceptions through."""
    try:
        return decoder.decode(data)
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8 ({error.reason})") from None
    except RecursionError:
        raise Malformed("nested too deeply") from None
