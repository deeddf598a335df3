"""What may leave the host and what may not: of environments the names, of texts what is no secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

HIDDEN = "***"
# Their values say which model runs where, and hold no secret.
PLAIN = {
    "ASR_DEVICE", "ASR_ENGINE", "ASR_MODEL", "ASR_MODEL_PATH", "ASR_QUANTIZATION", "CPU_FALLBACK_MODEL", "DEVELOP_MODE",
    "DEVICE", "ENABLE_UI", "HF_HOME", "HF_HUB_CACHE", "HOST", "LISTEN", "LOAD_MODEL_ON_STARTUP", "MAX_MODEL",
    "MAX_TASK_QUEUE_SIZE", "MODEL", "MODEL_IDLE_TIMEOUT", "MODEL_NAME", "MODEL_SIZE", "NVIDIA_VISIBLE_DEVICES",
    "OLLAMA_HOST", "OLLAMA_KEEP_ALIVE", "OLLAMA_MODELS", "PORT", "PRELOAD_MODELS", "STT_MODEL", "UNLOAD_MODEL_AFTER_S",
    "USE_GPU_IF_AVAILABLE", "UVICORN_HOST", "UVICORN_PORT", "WHISPER_MODEL", "WHISPER__COMPUTE_TYPE",
    "WHISPER__INFERENCE_DEVICE", "WHISPER__MODEL", "WHISPER__TTL", "XDG_CACHE_HOME",
}  # fmt: skip
_HIDDEN_NAME = (
    r"[\w.-]*(?:api[-_]?key|secret|token|passw(?:or)?d|credential|authorization|(?:private|access)[-_]?key"
    r"|secure_link_md5|x-auth)[\w.-]*"
)
_IN_TEXT = re.compile(
    rf"(?im)(\b{_HIDDEN_NAME}[\"']?\s*[:=\s]\s*)(?:(?:bearer|basic|digest)\s+)?(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s;,\"'{{}}]+)"
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9+/=._~-]{8,}")
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(@)")
_KNOWN_SHAPES = re.compile(r"\b(?:ghp_|github_pat_|hf_|sk-|xox[abp]-|AKIA)[A-Za-z0-9_-]{10,}")


def environment(pairs: Iterable[Any]) -> dict[str, Any]:
    """Return `names` (all, sorted) and `values` (of those that are known to hold none) of NAME=VALUE texts."""
    split = [str(pair).partition("=")[::2] for pair in pairs if "=" in str(pair)]
    values = {name: text(value)[:300] for name, value in split if name in PLAIN}
    return {"names": sorted({name for name, _ in split}), "values": values}


def text(content: str) -> str:
    """Return `content` with everything that looks like a secret hidden."""
    content = _IN_TEXT.sub(rf"\g<1>{HIDDEN}", content)
    content = _BEARER.sub(rf"\g<1> {HIDDEN}", content)
    content = _KNOWN_SHAPES.sub(HIDDEN, content)
    return _IN_URL.sub(rf"\g<1>{HIDDEN}\g<2>", content)


def words(arguments: Iterable[str]) -> list[str]:
    """Return a command line with the values of secret options hidden: `--api-key X` and `--api-key=X`."""
    kept: list[str] = []
    hide = False
    for word in arguments:
        if hide:
            kept.append(HIDDEN)
            hide = False
            continue
        hide = re.fullmatch(rf"--?{_HIDDEN_NAME}", word, re.IGNORECASE) is not None
        kept.append(word if hide else text(word)[:500])
    return kept
