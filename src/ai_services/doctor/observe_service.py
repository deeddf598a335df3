"""Real requests to the gateway on this machine: health, a transcription, a completion, what lies on the GPU."""

from __future__ import annotations

import contextlib
import difflib
import http.client
import json
import pkgutil
import re
import time
import uuid
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, as_object, ask, read
from ai_services.doctor.observe_door import gateway_port

HEALTH_TIMEOUT_S = 10.0
# A first request may have to load a model from a slow disk.
TRANSCRIBE_TIMEOUT_S = 180.0
COMPLETE_TIMEOUT_S = 240.0
_QUESTION = "What is the capital of France?"
_MAX_TOKENS = 16


def _request(
    method: str,
    target: str,
    key: str | None,
    timeout_s: float,
    body: bytes | None = None,
    kind: str = "application/json",
) -> tuple[int, dict[str, Any]]:
    port = gateway_port()
    headers = {"Content-Type": kind, "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    status, content, _ = ask(connection, method, target, body, headers, f"127.0.0.1:{port}", timeout_s)
    return status, as_object(content.decode("utf-8", "replace"), f"the answer to {target}")


def gateway() -> dict[str, Any]:
    """Return `answers`, `why` it does not, `url`, `version`, and `components` as its /health names them."""
    url = f"http://127.0.0.1:{gateway_port()}"
    try:
        _, said = _request("GET", "/health", None, HEALTH_TIMEOUT_S)
    except Unseen as error:
        return {"answers": False, "why": str(error), "url": url, "version": "", "components": {}}
    components = said.get("components")
    rows = (
        {str(name): row for name, row in components.items() if isinstance(row, dict)}
        if isinstance(components, dict)
        else {}
    )
    return {"answers": True, "why": "", "url": url, "version": str(said.get("version", "unknown")), "components": rows}


def takeover(root: Path = Path("/")) -> dict[str, Any]:
    """Return `asked`, the port that nginx asks first, and `paused`: what callers wait for, as "NAME by OWNER (WHY)"."""
    paused = []
    with contextlib.suppress(Unseen):
        key = (read(root / "opt/ai/secrets/admin.key").split() or [""])[0]
        status, said = _request("GET", "/api/admin/backends", key, HEALTH_TIMEOUT_S)
        for row in said.get("backends") or [] if status == 200 else []:
            if isinstance(pause := row.get("paused"), dict):
                ends = f"ends in {pause.get('ends_in_s', '?')} s"
                paused.append(f"{row.get('name')} by {pause.get('owner')} ({pause.get('why')}; {ends})")
    return {"asked": gateway_port(root), "paused": paused}


def transcription(key: str) -> dict[str, Any]:
    """Have the embedded recording transcribed. Returns `match` (0 to 1), `seconds`, `audio_s`, and `why` it failed."""
    facts = json.loads(pkgutil.get_data("ai_services", "local/sample.json") or b"{}")
    audio = pkgutil.get_data("ai_services", f"local/{facts['file']}") or b""
    boundary = uuid.uuid4().hex
    disposition = 'form-data; name="file"; filename="sample.ogg"'
    head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: audio/ogg\r\n\r\n"
    body = head.encode() + audio + f"\r\n--{boundary}--\r\n".encode()
    begun = time.monotonic()
    found = {"match": 0.0, "seconds": 0.0, "audio_s": float(facts["duration_s"]), "why": ""}
    kind = f"multipart/form-data; boundary={boundary}"
    try:
        status, said = _request("POST", "/transcribe", key, TRANSCRIBE_TIMEOUT_S, body, kind)
    except Unseen as error:
        return {**found, "why": f"/transcribe: {error}"}
    found["seconds"] = time.monotonic() - begun
    if status != 200:
        return {**found, "why": f"/transcribe answers {status}: {reason(said)}"}
    return {**found, "match": word_match(str(facts["text"]), str(said.get("text", "")))}


def completion(key: str, model: str | None) -> dict[str, Any]:
    """Ask a short question. Returns `model`, `tokens`, `seconds`, and `why` it failed; never what was answered."""
    found: dict[str, Any] = {"model": model or "", "tokens": 0, "seconds": 0.0, "why": ""}
    try:
        if not model:
            _, listed = _request("GET", "/v1/models", key, HEALTH_TIMEOUT_S)
            rows = [row for row in listed.get("data") or [] if isinstance(row, dict)]
            names = [str(row.get("id")) for row in rows if "whisper" not in str(row.get("id")).lower()]
            if not names:
                return {**found, "why": "the gateway names no language model"}
            found["model"] = model = names[0]
        messages = [{"role": "user", "content": _QUESTION}]
        question = {"model": model, "messages": messages, "max_tokens": _MAX_TOKENS, "temperature": 0}
        begun = time.monotonic()
        body = json.dumps(question).encode()
        status, said = _request("POST", "/v1/chat/completions", key, COMPLETE_TIMEOUT_S, body)
    except Unseen as error:
        return {**found, "why": f"/v1/chat/completions: {error}"}
    found["seconds"] = time.monotonic() - begun
    if status != 200:
        return {**found, "why": f"/v1/chat/completions answers {status}: {reason(said)}"}
    usage = said.get("usage")
    found["tokens"] = usage.get("completion_tokens", 0) if isinstance(usage, dict) else 0
    try:
        message = said["choices"][0]["message"]
        # A reasoning model may still be thinking after so few tokens.
        words = (message.get(name) for name in ("content", "reasoning_content", "reasoning"))
        empty = not any(str(text or "").strip() for text in words)
    except (KeyError, IndexError, TypeError, AttributeError):
        empty = True
    return {**found, "why": f"{model} answered nothing"} if empty else found


def keyless() -> dict[str, Any]:
    """Ask for the models without a key. Returns the `status`."""
    status, _ = _request("GET", "/v1/models", None, HEALTH_TIMEOUT_S)
    return {"status": status}


def residency(key: str) -> dict[str, Any]:
    """Return `models` in Ollama (`name`, `size`, `size_vram` in bytes) and `whisper_device` (cuda, cpu or None)."""
    status, said = _request("GET", "/api/ps", key, HEALTH_TIMEOUT_S)
    if status != 200:
        raise Unseen(f"/api/ps answers {status}: {reason(said)}")
    models = [
        {
            "name": str(row.get("name", "?")),
            "size": int(row.get("size") or 0),
            "size_vram": int(row.get("size_vram") or 0),
        }
        for row in said.get("models") or []
        if isinstance(row, dict)
    ]
    device = gateway()["components"].get("whisper-api", {}).get("device")
    return {"models": models, "whisper_device": str(device) if device else None}


def reason(said: dict[str, Any]) -> str:
    """Return the sentence in an error body: OpenAI's, a problem's, or the service's own."""
    error = said.get("error")
    text = error.get("message") if isinstance(error, dict) else error or said.get("detail") or said.get("title")
    return str(text or "no reason given")[:200]


def word_match(expected: str, heard: str) -> float:
    """Return the share of the expected words found in the heard ones, in order (0 to 1); case aside."""
    wanted, got = (re.findall(r"[\w']+", text.lower()) for text in (expected, heard[:10_000]))
    if not wanted:
        return 1.0
    blocks = difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)
