"""Ollama's `options`, `format`, `keep_alive` and `think` in the words of an OpenAI-speaking server.

Names that OpenAI lacks (top_k, min_p, repeat_penalty, …) are llama.cpp's and vLLM's extensions of it. Options that
decide how a model is loaded (num_ctx, num_gpu, …) cannot be changed by a request here and are passed over, as are
names that Ollama does not know either; Ollama does the same with the latter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from service_kit.errors import ServiceError

Fields = dict[str, Any]

_NUMBERS = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "min_p": ("min_p",),
    "typical_p": ("typical_p",),
    "repeat_penalty": ("repeat_penalty", "repetition_penalty"),
    "presence_penalty": ("presence_penalty",),
    "frequency_penalty": ("frequency_penalty",),
    "mirostat_tau": ("mirostat_tau",),
    "mirostat_eta": ("mirostat_eta",),
}
_INTEGERS = {
    "seed": ("seed",),
    "top_k": ("top_k",),
    "repeat_last_n": ("repeat_last_n",),
    "num_keep": ("n_keep",),
    "mirostat": ("mirostat",),
}
_DURATION = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def translate_options(options: Mapping[str, Any] | None) -> Fields:
    """Request fields for `options`. Raises ServiceError 400 naming the option whose value has the wrong type."""
    fields: Fields = {}
    for name, value in (options or {}).items():
        if value is None:
            continue
        if name in _NUMBERS:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise _wrong(name, "a number")
            fields.update(dict.fromkeys(_NUMBERS[name], value))
        elif name in _INTEGERS:
            fields.update(dict.fromkeys(_INTEGERS[name], _integer(name, value)))
        elif name == "num_predict":
            # below zero means "no limit" to Ollama, which is what leaving it out means here
            if (limit := _integer(name, value)) >= 0:
                fields["max_tokens"] = limit
        elif name == "stop":
            stops = [value] if isinstance(value, str) else value
            if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
                raise _wrong(name, "a list of strings")
            fields["stop"] = stops
    if fields.get("seed", 0) < 0:
        del fields["seed"]
    return fields


def translate_format(wanted: Any) -> Fields:
    """`response_format` for Ollama's `format`: "json" or a JSON schema. Raises ServiceError 400 for anything else."""
    if wanted is None or wanted == "":
        return {}
    if wanted == "json":
        return {"response_format": {"type": "json_object"}}
    if isinstance(wanted, dict):
        schema = {"name": "response", "strict": True, "schema": wanted}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    raise ServiceError(
        400, "invalid_request", "'format' is neither \"json\" nor a JSON schema.", param="format", hint="Send either."
    )


def translate_think(think: bool | str | None) -> Fields:
    """Fields that switch a reasoning model's thinking; a model that cannot think passes them over."""
    if think is None:
        return {}
    if isinstance(think, str):
        if think not in {"low", "medium", "high", "max"}:
            raise ServiceError(
                400, "invalid_request", f"'think' does not know {think[:20]!r}.", param="think",
                hint='It is true, false, "low", "medium", "high" or "max".',
            )  # fmt: skip
        effort = "high" if think == "max" else think
        return {"reasoning_effort": effort, "chat_template_kwargs": {"enable_thinking": True}}
    return {"chat_template_kwargs": {"enable_thinking": think}}


def is_unload(keep_alive: Any) -> bool:
    """Whether `keep_alive` says zero, as a number of seconds or as a duration such as "0s".

    Raises ServiceError 400 when it is neither.
    """
    if keep_alive is None:
        return False
    if isinstance(keep_alive, int | float) and not isinstance(keep_alive, bool):
        return keep_alive == 0
    if isinstance(keep_alive, str):
        text = keep_alive.strip()
        if re.fullmatch(r"[+-]?\d+", text):
            return int(text) == 0
        parts = list(_DURATION.finditer(text))
        if parts and "".join(part.group() for part in parts) == text:
            return sum(float(part[1]) * _UNIT_S[part[3]] for part in parts) == 0
    raise ServiceError(
        400, "invalid_request", "'keep_alive' is not a duration.", param="keep_alive",
        hint='Send seconds, or a duration such as "5m" or "0s".',
    )  # fmt: skip


def _integer(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise _wrong(name, "an integer")
    return int(value)


def _wrong(name: str, kind: str) -> ServiceError:
    return ServiceError(400, "invalid_request", f"Option '{name}' must be {kind}.", param=f"options.{name}")
