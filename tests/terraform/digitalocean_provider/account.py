"""An account at DigitalOcean: keys and droplets behind the API v2. A droplet is new at first, and active later.

Paths, answers and refusals follow DigitalOcean's API reference (v2: Droplets, Droplet Actions, SSH Keys).
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from typing_extensions import override

SIZES: Final = {
    "gpu-4000adax1-20gb": {"memory": 32768, "vcpus": 8, "disk": 500, "price_monthly": 565.44, "price_hourly": 0.76},
    "gpu-l40sx1-48gb": {"memory": 65536, "vcpus": 8, "disk": 500, "price_monthly": 1168.08, "price_hourly": 1.57},
}
REGIONS: Final = ("tor1", "nyc2", "ams3", "atl1")


class Refused(Exception):  # noqa: N818 - what the API does, not what went wrong in here
    """An answer that is not a success."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.answer = status, {"id": kind, "message": message, "request_id": "0" * 8}


@dataclass
class Account:
    """Keys and droplets by their ids; `on_active` is called with a droplet and its user data when it is up."""

    token: str
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)
    droplets: dict[int, dict[str, Any]] = field(default_factory=dict)
    user_data: dict[int, str] = field(default_factory=dict)
    on_active: Callable[[dict[str, Any], str], None] | None = None
    seen: list[str] = field(default_factory=list)
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(500_000_001))
    _looked: dict[int, int] = field(default_factory=dict)

    def answer(self, method: str, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and JSON of a request."""
        self.seen.append(f"{method} {path}")
        try:
            if authorization != f"Bearer {self.token}":
                raise Refused(401, "Unauthorized", "Unable to authenticate you")
            return self._route(method, path, body)
        except Refused as no:
            return no.status, no.answer

    def _route(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if (method, path) == ("POST", "/v2/account/keys"):
            return 201, {"ssh_key": self._new_key(body)}
        if match := re.fullmatch(r"/v2/account/keys/(\d+)", path):
            key = self._one(self.keys, match[1])
            if method == "DELETE":
                del self.keys[key["id"]]
                return 204, {}
            if method == "PUT":
                key["name"] = body["name"]
            return 200, {"ssh_key": key}
        if (method, path) == ("POST", "/v2/droplets"):
            return 202, {"droplet": self._new_droplet(body)}
        if match := re.fullmatch(r"/v2/droplets/(\d+)(/actions)?", path):
            droplet = self._one(self.droplets, match[1])
            if match[2] is not None:
                return 201, {"action": self._act(droplet, body)}
            if method == "DELETE":
                del self.droplets[droplet["id"]]
                return 204, {}
            self._look(droplet)
            return 200, {"droplet": droplet}
        raise Refused(404, "not_found", "The resource you requested could not be found.")

    def _one(self, there: dict[int, dict[str, Any]], number: str) -> dict[str, Any]:
        if int(number) not in there:
            raise Refused(404, "not_found", "The resource you were accessing could not be found.")
        return there[int(number)]

    def _new_key(self, body: dict[str, Any]) -> dict[str, Any]:
        material = body["public_key"].split()[1]
        if any(key["public_key"].split()[1] == material for key in self.keys.values()):
            raise Refused(422, "unprocessable_entity", "SSH Key is already in use on your account")
        digest = hashlib.md5(base64.b64decode(material)).hexdigest()
        fingerprint = ":".join(digest[place : place + 2] for place in range(0, 32, 2))
        key = {"id": next(self._ids), "fingerprint": fingerprint, **body}
        self.keys[key["id"]] = key
        return key

    def _new_droplet(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["size"] not in SIZES:
            raise Refused(422, "unprocessable_entity", "You specified an invalid size for Droplet creation.")
        if body["region"] not in REGIONS:
            raise Refused(422, "unprocessable_entity", "You specified an invalid region for Droplet creation.")
        if any(int(key) not in self.keys for key in body.get("ssh_keys", [])):
            raise Refused(422, "unprocessable_entity", "One or more SSH keys could not be found.")
        size = SIZES[body["size"]]
        droplet = {
            "id": next(self._ids), "name": body["name"], "status": "new", "locked": True, "tags": body.get("tags", []),
            "created_at": "2026-11-21T17:00:00Z", "image": {"slug": body["image"]}, "region": {"slug": body["region"]},
            "size_slug": body["size"], "size": size, "features": ["private_networking"], "volume_ids": [],
            "vpc_uuid": "f9b0769c-e118-42fb-a0c4-fed15ef69662", "networks": {"v4": [], "v6": []},
            **{name: size[name] for name in ("memory", "vcpus", "disk")},
        }  # fmt: skip
        self.droplets[droplet["id"]] = droplet
        self.user_data[droplet["id"]] = body.get("user_data", "")
        return droplet

    def _look(self, droplet: dict[str, Any]) -> None:
        """The second look at a new droplet finds it up, with addresses."""
        self._looked[droplet["id"]] = self._looked.get(droplet["id"], 0) + 1
        if droplet["status"] == "new" and self._looked[droplet["id"]] > 1:
            last = droplet["id"] % 200 + 1
            public, private = f"203.0.113.{last}", f"10.118.0.{last}"
            droplet["networks"]["v4"] = [
                {"ip_address": public, "netmask": "255.255.255.0", "gateway": "203.0.113.1", "type": "public"},
                {"ip_address": private, "netmask": "255.255.240.0", "gateway": "10.118.0.1", "type": "private"},
            ]
            droplet |= {"status": "active", "locked": False}
            if self.on_active is not None:
                self.on_active(droplet, self.user_data[droplet["id"]])

    def _act(self, droplet: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        if body["type"] == "resize":
            if droplet["status"] != "off":
                raise Refused(422, "unprocessable_entity", "Droplet must be powered off to be resized.")
            if body["size"] not in SIZES:
                raise Refused(422, "unprocessable_entity", "You specified an invalid size.")
            size = SIZES[body["size"]]
            droplet |= {"size_slug": body["size"], "size": size, **{name: size[name] for name in ("memory", "vcpus")}}
        elif body["type"] == "rename":
            droplet["name"] = body["name"]
        else:
            droplet["status"] = {"power_off": "off", "power_on": "active"}[body["type"]]
        return {"id": next(self._ids), "status": "completed", "type": body["type"]}


class Server(ThreadingHTTPServer):
    """An account behind plain HTTP on a free port."""

    daemon_threads = True

    def __init__(self, account: Account) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.account = account

    @property
    def url(self) -> str:
        """What the provider takes as its endpoint."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def _any(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        who = self.headers.get("Authorization", "")
        status, answer = self.server.account.answer(self.command, self.path, who, body)
        payload = b"" if status == 204 else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 - http.server's names

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: `Account.seen` tells what was asked."""
