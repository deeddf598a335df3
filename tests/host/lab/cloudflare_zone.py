"""Cloudflare's idea of a DNS record: which are taken, what is said of them, and what the API refuses.

Shapes after Cloudflare's API reference (v4, DNS records); codes and messages as callers have reported them:
81053, 81054, 81057, 81058 (duplicates), 81044 (unknown record), 9005 to 9007 (content), 9021 (TTL), 9004 (proxied).
"""

from __future__ import annotations

import ipaddress
import re
import secrets
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Record = dict[str, Any]
TYPES = ("A", "AAAA", "CNAME", "TXT", "MX", "NS", "CAA")
PROXIABLE = ("A", "AAAA", "CNAME")
AUTOMATIC_TTL_S = 300
_NAME = re.compile(r"(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


class Refused(Exception):  # noqa: N818 - what the API does, not what went wrong in here
    """An answer that is not a success: HTTP status, Cloudflare's code and message, further codes behind it."""

    def __init__(self, status: int, code: int, message: str, chain: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.chain = status, code, message, chain


@dataclass
class Zone:
    """One zone and its records by id. Every change goes through `lock`; `publish` is called within it."""

    name: str
    id: str
    created_on: str = "2020-01-01T00:00:00.000000Z"
    records: dict[str, Record] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def described(self, can_edit: bool) -> dict[str, Any]:
        """The zone as `GET /zones` shows it."""
        return {
            "id": self.id, "name": self.name, "status": "active", "paused": False, "type": "full",
            "development_mode": 0, "name_servers": [f"ns1.{self.name}", f"ns2.{self.name}"],
            "original_name_servers": None, "original_registrar": None, "original_dnshost": None,
            "created_on": self.created_on, "modified_on": self.created_on, "activated_on": self.created_on,
            "meta": {"step": 2, "custom_certificate_quota": 0, "page_rule_quota": 3, "phishing_detected": False},
            "owner": {"id": None, "type": "user", "email": None},
            "account": {"id": "a" * 32, "name": "The lab's account"},
            "tenant": {"id": None, "name": None}, "tenant_unit": {"id": None},
            "permissions": ["#dns_records:edit", "#dns_records:read", "#zone:read"] if can_edit
            else ["#dns_records:read", "#zone:read"],
            "plan": {"id": "0" * 32, "name": "Free Website", "price": 0, "currency": "USD", "frequency": "",
                     "is_subscribed": False, "can_subscribe": False, "legacy_id": "free"},
        }  # fmt: skip

    def get(self, record_id: str) -> Record:
        """A record by its id. Refuses an unknown one with 404 and 81044."""
        if record_id not in self.records:
            raise Refused(404, 81044, "Record does not exist.")
        return self.records[record_id]

    def create(self, given: Record) -> Record:
        """A new record from the caller's members. Refuses what Cloudflare refuses."""
        return self._put(None, given)

    def replace(self, record_id: str, given: Record) -> Record:
        """PUT: the record becomes what is given, and nothing of what it was."""
        return self._put(self.get(record_id), given)

    def update(self, record_id: str, given: Record) -> Record:
        """PATCH: members that are given replace those that are there."""
        old = self.get(record_id)
        kept = {
            name: old[name] for name in ("type", "name", "content", "ttl", "proxied", "comment", "tags", "settings")
        }
        if "priority" in old:
            kept["priority"] = old["priority"]
        return self._put(old, {**kept, **given})

    def _put(self, old: Record | None, given: Record) -> Record:
        record = checked(given, self.name)
        self._refuse_duplicates(record, old["id"] if old else None)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        record |= {
            "id": old["id"] if old else secrets.token_hex(16),
            "created_on": old["created_on"] if old else now,
            "modified_on": now,
        }
        if record["comment"] is not None:
            record["comment_modified_on"] = now
        if record["tags"]:
            record["tags_modified_on"] = now
        self.records[record["id"]] = record
        return record

    def _refuse_duplicates(self, record: Record, own_id: str | None) -> None:
        others = [other for other in self.records.values() if other["name"] == record["name"] and other["id"] != own_id]
        for other in others:
            if other["type"] == record["type"] and plain_text(other) == plain_text(record):
                same = all(other[member] == record[member] for member in ("ttl", "proxied"))
                if same:
                    raise Refused(400, 81058, "An identical record already exists.")
                raise Refused(400, 81057, "The record already exists.")
        hosts = [other["type"] for other in others if other["type"] in PROXIABLE]
        if record["type"] == "CNAME" and hosts:
            raise Refused(400, 81053, "An A, AAAA, or CNAME record with that host already exists.")
        if record["type"] in {"A", "AAAA"} and "CNAME" in hosts:
            raise Refused(400, 81054, "A CNAME record with that host already exists.")


def checked(given: Record, zone: str) -> Record:
    """The record that Cloudflare would make of a caller's members, without id and times. Refuses wrong ones."""
    kind = str(given.get("type", "")).upper()
    if kind not in TYPES:
        raise Refused(400, 9001, f"Invalid record type '{kind}'.")
    name = qualified(str(given.get("name") or ""), zone)
    ttl = given.get("ttl", 1)
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not (ttl == 1 or 60 <= ttl <= 86400):
        raise Refused(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.")
    proxied = bool(given.get("proxied", False))
    if proxied and kind not in PROXIABLE:
        raise Refused(400, 9004, "This record type cannot be proxied.")
    record: Record = {
        "name": name,
        "type": kind,
        "content": content(kind, given),
        "proxiable": kind in PROXIABLE,
        "proxied": proxied,
        "ttl": 1 if proxied else ttl,
        "settings": given.get("settings") or {},
        "meta": {},
        "comment": given.get("comment") or None,
        "tags": sorted(given.get("tags") or []),
    }
    if kind == "MX":
        record["priority"] = given.get("priority", 10)
    if kind == "CAA":
        record["data"] = given.get("data")
    return record


def qualified(name: str, zone: str) -> str:
    """A record's full name. Like Cloudflare, a name outside the zone is taken for one relative to it."""
    name = name.rstrip(".").lower()
    if name in {"@", zone}:
        return zone
    full = name if name.endswith(f".{zone}") else f"{name}.{zone}"
    if not name or len(full) > 253 or _NAME.fullmatch(full) is None:
        raise Refused(400, 9000, "DNS name is invalid.")
    return full


def content(kind: str, given: Record) -> str:
    """The content of a record, refused where it does not fit the type."""
    if kind == "CAA":
        data = given.get("data") or {}
        if not {"flags", "tag", "value"} <= data.keys():
            raise Refused(400, 9103, "CAA records need data with flags, tag and value.")
        return f'{data["flags"]} {data["tag"]} "{data["value"]}"'
    text = given.get("content")
    if not isinstance(text, str) or not text:
        raise Refused(400, 9102, "DNS record content is required.")
    if kind in {"A", "AAAA"}:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            address = None
        if address is None or address.version != (4 if kind == "A" else 6):
            wanted, code = ("IPv4", 9005) if kind == "A" else ("IPv6", 9006)
            raise Refused(400, code, f"Content for {kind} record must be a valid {wanted} address.")
        return str(address)
    if kind in {"CNAME", "MX", "NS"}:
        target = text.rstrip(".").lower()
        if _NAME.fullmatch(target) is None or re.fullmatch(r"[0-9.]+", target):
            raise Refused(400, 9007, f"Content for {kind} record is invalid.")
        return target
    if len(text) > 2048:
        raise Refused(400, 9208, "TXT record content is too long.")
    return text


def plain_text(record: Record) -> str:
    """The content to compare by: quoted and unquoted TXT are the same."""
    text = str(record["content"])
    quoted = record["type"] == "TXT" and len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1] if quoted else text
