"""Models as Ollama describes them (tags, ps, show), from what an OpenAI-speaking server says of its own."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateway.dialect.options import Fields

# The version of Ollama whose API this dialect follows.
OLLAMA_VERSION = "0.24.0"
FOREVER = "9999-12-31T23:59:59Z"


class Props(msgspec.Struct):
    """llama.cpp's /props; other servers have no such route, and all of it stays empty."""

    chat_template: str = ""
    chat_template_caps: dict[str, Any] = {}
    modalities: dict[str, bool] = {}


def tag(name: str, created: int, meta: Fields) -> Fields:
    """One entry of /api/tags. Sizes are bytes; `digest` identifies name and size, for it is not the file's own."""
    size = int(meta.get("size") or 0)
    return {
        "name": name,
        "model": name,
        "modified_at": datetime.fromtimestamp(created, UTC).isoformat().replace("+00:00", "Z"),
        "size": size,
        "digest": hashlib.sha256(f"{name}:{size}".encode()).hexdigest(),
        "details": details(meta),
    }


def process(name: str, meta: Fields) -> Fields:
    """One entry of /api/ps: a model that stays loaded. `size_vram` is 0, because the server does not tell it."""
    card = tag(name, 0, meta)
    del card["modified_at"]
    return card | {"expires_at": FOREVER, "size_vram": 0, "context_length": int(meta.get("n_ctx") or 0)}


def show(name: str, created: int, meta: Fields, props: Props) -> Fields:
    """The answer of /api/show."""
    capabilities = ["completion"]
    if props.chat_template_caps.get("supports_tools"):
        capabilities.append("tools")
    if props.modalities.get("vision"):
        capabilities.append("vision")
    known = {
        "general.parameter_count": meta.get("n_params"),
        "general.context_length": meta.get("n_ctx_train"),
        "general.embedding_length": meta.get("n_embd"),
        "general.vocab_size": meta.get("n_vocab"),
    }
    return {
        "modelfile": f"# {name} is served by an OpenAI-speaking backend; there is no Modelfile.",
        "parameters": "",
        "template": props.chat_template,
        "details": details(meta),
        "model_info": {key: value for key, value in known.items() if value is not None},
        "capabilities": capabilities,
        "modified_at": tag(name, created, meta)["modified_at"],
    }


def details(meta: Fields) -> Fields:
    """What Ollama calls a model's details."""
    count = int(meta.get("n_params") or 0)
    return {
        "parent_model": "",
        "format": "gguf" if meta else "",
        "family": "",
        "families": [],
        "parameter_size": f"{count / 1e9:.1f}B" if count >= 1e9 else f"{count / 1e6:.2f}M" if count else "",
        "quantization_level": _quantization(str(meta.get("ftype") or "")),
    }


def _quantization(ftype: str) -> str:
    """Ollama's name of a quantization that llama.cpp calls, say, "Q4_K - Medium"."""
    name, _, size = ftype.partition(" - ")
    return f"{name}_{size[0]}" if size else name
