"""Filtering, ordering and paging of lists, as Cloudflare's v4 API does it."""

from __future__ import annotations

import math
from typing import Any

from host.lab.cloudflare_zone import Record, Refused, plain_text

_FILTERED = ("name", "content", "type", "comment")
_ORDERS = ("type", "name", "content", "ttl", "proxied")


def matching(records: list[Record], query: dict[str, str]) -> list[Record]:
    """The records that fit a query's filters (`match=all`, or `any`), in the order it asks for.

    Filters: `type`, `proxied`, `search`, and `name`, `content`, `comment` alone or with `.exact`, `.contains`,
    `.startswith`, `.endswith`.
    """
    any_of = query.get("match", "all") == "any"
    tests = [(*key.partition(".")[::2], value) for key, value in query.items() if key.partition(".")[0] in _FILTERED]
    found = []
    for record in records:
        verdicts = [_fits(record, member, how or "exact", value) for member, how, value in tests]
        if "proxied" in query:
            verdicts.append(record["proxied"] == (query["proxied"] == "true"))
        if "search" in query:
            verdicts.append(any(query["search"] in str(record[member]) for member in ("name", "content", "comment")))
        if not verdicts or (any(verdicts) if any_of else all(verdicts)):
            found.append(record)
    order = query.get("order", "type")
    if order not in _ORDERS:
        raise Refused(400, 9201, f"Invalid order '{order}'.")
    return sorted(found, key=lambda record: str(record[order]), reverse=query.get("direction") == "desc")


def paged(items: list[Any], query: dict[str, str], *, default: int, most: int) -> dict[str, Any]:
    """One page of `items` with its `result_info`. Refuses a page or size that is no number."""
    try:
        page, per_page = int(query.get("page", 1)), min(int(query.get("per_page", default)), most)
    except ValueError:
        page = per_page = 0
    if page < 1 or per_page < 1:
        raise Refused(400, 9201, "page and per_page must be positive numbers.")
    shown = items[(page - 1) * per_page : page * per_page]
    info = {
        "page": page,
        "per_page": per_page,
        "total_pages": math.ceil(len(items) / per_page),
        "count": len(shown),
        "total_count": len(items),
    }
    return {"result": shown, "result_info": info}


def _fits(record: Record, member: str, how: str, wanted: str) -> bool:
    if member == "content":
        # certbot looks a TXT record up by the bare text, whether it is shown in quotes or not
        there = plain_text(record).lower()
        wanted = plain_text({"type": record["type"], "content": wanted})
    else:
        there = str(record[member] or "").lower()
    wanted = wanted.lower().rstrip("." if member == "name" else "")
    tests = {
        "exact": there == wanted,
        "contains": wanted in there,
        "startswith": there.startswith(wanted),
        "endswith": there.endswith(wanted),
    }
    if how not in tests:
        raise Refused(400, 9201, f"Unknown filter '{member}.{how}'.")
    return tests[how]
