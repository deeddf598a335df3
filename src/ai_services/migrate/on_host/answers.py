"""What answers HTTP on this very host, and as what it describes itself: GET only, short, bounded."""

from __future__ import annotations

import http.client
import json
import re
import threading
from typing import Any

from ai_services.doctor.bounded import Unseen, ask
from ai_services.migrate.on_host import hiding

_TIMEOUT_S = 6.0
_LIMIT_BYTES = 4 << 20
_MOST = 40
_PATHS = ("/openapi.json", "/health", "/v1/models", "/api/version", "/api/v1/version", "/api/tags")
# Those that speak something else on their port, and may take a GET amiss.
_NOT_HTTP = {
    22,
    25,
    53,
    110,
    111,
    143,
    389,
    445,
    465,
    587,
    636,
    993,
    995,
    1433,
    2049,
    3306,
    5432,
    5672,
    6379,
    11211,
    27017,
}


def answers(places: list[tuple[str, int]]) -> dict[str, dict[str, Any]]:
    """Ask each (address, port); returns, by "address:port", path -> `status`, `server`, and what the JSON tells.

    A port that does not speak HTTP is left out.
    """
    found: dict[str, dict[str, Any]] = {}
    wanted = [place for place in dict.fromkeys(places) if place[1] not in _NOT_HTTP][:_MOST]

    def one(address: str, port: int) -> None:
        said: dict[str, Any] = {}
        for path in _PATHS:
            said[path] = _answer(address, port, path)
            if "why" in said[_PATHS[0]]:
                return
        found[f"{address}:{port}"] = said

    threads = [threading.Thread(target=one, args=place, daemon=True) for place in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_TIMEOUT_S * len(_PATHS))
    return dict(found)


def _answer(address: str, port: int, path: str) -> dict[str, Any]:
    try:
        return _get(address, port, path)
    except Unseen as error:
        return {"why": str(error)[:200]}


def _get(address: str, port: int, path: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(address, port, timeout=_TIMEOUT_S)
    headers = {"Accept": "application/json", "User-Agent": "ai-services (looking)"}
    status, body, fields = ask(
        connection, "GET", path, None, headers, f"{address}:{port}{path}", _TIMEOUT_S, _LIMIT_BYTES
    )
    answer: dict[str, Any] = {"status": status, "server": fields.get("server", "")[:80]}
    try:
        content = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return answer
    if path == "/openapi.json" and isinstance(content, dict):
        info = content.get("info") if isinstance(content.get("info"), dict) else {}
        paths = content.get("paths") if isinstance(content.get("paths"), dict) else {}
        answer["title"] = str((info or {}).get("title", ""))[:120]
        answer["version"] = str((info or {}).get("version", ""))[:60]
        answer["paths"] = sorted(str(one)[:120] for one in (paths or {}))[:300]
    elif path in ("/v1/models", "/api/tags") and isinstance(content, dict):
        rows = content.get("data") or content.get("models")
        names = [str(row.get("id") or row.get("name")) for row in rows or [] if isinstance(row, dict)]
        answer["models"] = [name[:120] for name in names][:100]
    elif isinstance(content, dict):
        kept = {name: value for name, value in content.items() if isinstance(value, (str, int, float, bool))}
        answer["json"] = {
            str(name)[:60]: hiding.text(value)[:120] if isinstance(value, str) else value
            for name, value in list(kept.items())[:20]
            if not re.search(r"(?i)key|token|secret|passw", str(name))
        }
    return answer
