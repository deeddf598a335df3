"""A stand-in for Cloudflare's v4 API, as far as DNS goes, that really changes a DNS server's zone.

certbot's plugin and Terraform's provider talk to it. It speaks plain HTTP; the lab puts TLS and the name
api.cloudflare.com before it. Runs with Python and dnspython only:

    python3 -m host.lab.cloudflare --config cloudflare.json

    {"listen": "127.0.0.1", "port": 8001, "zones": {"lab.test": "<32 hex digits>"}, "token": "<full rights>",
     "tokens": [{"token": "…", "zones": ["other.test"], "edit": false}],   # optional: lesser tokens
     "dns_server": "127.0.0.1", "dns_port": 53, "tsig": {"name": "lab", "algorithm": "hmac-sha256", "secret": "…"},
     "requests_per_5_min": 1200, "dns_delay_s": 0}                         # optional: as at Cloudflare; slow DNS
"""

from __future__ import annotations

import argparse
import json
import re
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from host.lab.cloudflare_dns import DnsServer, DnsUpdateFailedError
from host.lab.cloudflare_query import matching, paged
from host.lab.cloudflare_zone import Refused, Zone

PREFIX = "/client/v4"
WINDOW_S = 300.0
# Cloudflare's tokens have 40 characters; newer ones begin with cfut_ and are longer
_TOKEN = re.compile(r"[A-Za-z0-9_-]{40,}")
_ID = re.compile(r"[0-9a-f]{32}")


class Token:
    """A token's rights: the zones it sees, and whether it may change their records."""

    def __init__(self, zones: set[str], edit: bool) -> None:
        self.zones, self.edit = zones, edit


class Cloudflare:
    """The account: zones, tokens, and what each request does. `answer` is the whole API without HTTP."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.zones = {zone_id: Zone(name, zone_id) for name, zone_id in config["zones"].items()}
        self.tokens = {config["token"]: Token(set(config["zones"]), edit=True)}
        for lesser in config.get("tokens", []):
            self.tokens[lesser["token"]] = Token(set(lesser["zones"]), lesser.get("edit", True))
        self.dns = DnsServer.from_config(config)
        self.dns_delay_s = float(config.get("dns_delay_s", 0))
        self.limit = int(config.get("requests_per_5_min", 1200))
        self._asked: dict[str, deque[float]] = {}
        self._asked_lock = threading.Lock()
        self._pending: set[threading.Timer] = set()
        self._pending_lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Publish nothing any more: what waits is dropped, what is on its way is waited for."""
        with self._pending_lock:
            self._closed = True
            pending = list(self._pending)
        for timer in pending:
            timer.cancel()
            timer.join()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """HTTP status, extra headers and JSON body for a request; `headers` by lower-case name."""
        try:
            presented = credentials(headers)
            self._count(presented)
            result = self._route(method, target, self._token(presented), body)
        except Refused as refused:
            error: dict[str, Any] = {"code": refused.code, "message": refused.message}
            if refused.chain:
                error["error_chain"] = [{"code": code, "message": text} for code, text in refused.chain]
            extra = {"Retry-After": str(int(WINDOW_S))} if refused.status == 429 else {}
            return refused.status, extra, {"result": None, "success": False, "errors": [error], "messages": []}
        return 200, {}, {"success": True, "errors": [], "messages": [], **result}

    def _route(self, method: str, target: str, token: Token, body: bytes) -> dict[str, Any]:
        url = urlsplit(target)
        if not url.path.startswith(f"{PREFIX}/"):
            raise unroutable(url.path)
        query = dict(parse_qsl(url.query))
        match [method, *url.path[len(PREFIX) + 1 :].split("/")]:
            case ["GET", "user", "tokens", "verify"]:
                return {
                    "result": {"id": "f" * 32, "status": "active"},
                    "messages": [{"code": 10000, "message": "This API Token is valid and active", "type": None}],
                }
            case ["GET", "zones"]:
                return self._list_zones(token, query)
            case ["GET", "zones", zone_id]:
                return {"result": self._zone(zone_id, token, url.path).described(token.edit)}
            case ["GET", "zones", zone_id, "dns_records"]:
                zone = self._zone(zone_id, token, url.path)
                with zone.lock:
                    return paged(matching(list(zone.records.values()), query), query, default=100, most=5_000_000)
            case ["GET", "zones", zone_id, "dns_records", record_id]:
                return {"result": self._zone(zone_id, token, url.path).get(record_id)}
            case ["POST", "zones", zone_id, "dns_records"]:
                zone = self._zone(zone_id, token, url.path, edit=True)
                with zone.lock:
                    record = zone.create(decoded(body))
                    self._publish(zone, record)
                return {"result": record}
            case ["PUT" | "PATCH", "zones", zone_id, "dns_records", record_id]:
                zone = self._zone(zone_id, token, url.path, edit=True)
                with zone.lock:
                    old = zone.get(record_id)
                    change = zone.replace if method == "PUT" else zone.update
                    record = change(record_id, decoded(body))
                    self._publish(zone, old, record)
                return {"result": record}
            case ["DELETE", "zones", zone_id, "dns_records", record_id]:
                zone = self._zone(zone_id, token, url.path, edit=True)
                with zone.lock:
                    old = zone.get(record_id)
                    del zone.records[record_id]
                    self._publish(zone, old)
                return {"result": {"id": record_id}}
        raise unroutable(url.path)

    def _list_zones(self, token: Token, query: dict[str, str]) -> dict[str, Any]:
        seen = [zone for zone in self.zones.values() if zone.name in token.zones]
        wanted = query.get("name", "").removeprefix("equal:")
        shown = [zone.described(token.edit) for zone in seen if wanted in {"", zone.name}]
        if query.get("account.id", "a" * 32) != "a" * 32:
            shown = []
        return paged(shown, query, default=20, most=50)

    def _zone(self, zone_id: str, token: Token, path: str, *, edit: bool = False) -> Zone:
        if _ID.fullmatch(zone_id) is None:
            raise unroutable(path)
        zone = self.zones.get(zone_id)
        # A zone that a token must not see, and one that is not there, are told apart by nobody.
        if zone is None or zone.name not in token.zones or (edit and not token.edit):
            raise Refused(403, 10000, "Authentication error")
        return zone

    def _token(self, presented: str) -> Token:
        if presented not in self.tokens:
            raise Refused(403, 9109, "Invalid access token")
        return self.tokens[presented]

    def _count(self, presented: str) -> None:
        now = time.monotonic()
        with self._asked_lock:
            asked = self._asked.setdefault(presented, deque())
            while asked and asked[0] < now - WINDOW_S:
                asked.popleft()
            if len(asked) >= self.limit:
                raise Refused(
                    429,
                    971,
                    f"More than {self.limit} requests per 300 seconds reached. "
                    "Please wait and consider throttling your request speed",
                )
            asked.append(now)

    def _publish(self, zone: Zone, *changed: dict[str, Any]) -> None:
        """Bring DNS in line with every name and type that a change touched, now or after `dns_delay_s`."""
        if self.dns_delay_s > 0:
            with self._pending_lock:
                self._pending = {timer for timer in self._pending if timer.is_alive()}
                if not self._closed:
                    timer = threading.Timer(self.dns_delay_s, self._publish_now, (zone, changed))
                    timer.start()
                    self._pending.add(timer)
        else:
            self._publish_now(zone, changed)

    def _publish_now(self, zone: Zone, changed: tuple[dict[str, Any], ...]) -> None:
        with zone.lock:
            for name, kind in {(record["name"], record["type"]) for record in changed}:
                alike = [each for each in zone.records.values() if (each["name"], each["type"]) == (name, kind)]
                try:
                    self.dns.publish(zone.name, name, kind, alike)
                except DnsUpdateFailedError as error:
                    raise Refused(500, 1000, f"The lab's DNS server refused the change: {error}") from error


def credentials(headers: dict[str, str]) -> str:
    """The bearer token of a request. Refuses none, and one that cannot be a token."""
    given = headers.get("authorization")
    if given is None:
        raise Refused(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers")
    kind, _, value = given.partition(" ")
    if kind != "Bearer" or _TOKEN.fullmatch(value) is None:
        chain = ((6111, "Invalid format for Authorization header"),)
        raise Refused(400, 6003, "Invalid request headers", chain)
    return value


def decoded(body: bytes) -> dict[str, Any]:
    """A JSON object from a request's body. Refuses anything else."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, 9207, "Failed to parse request body, content-type must be application/json")
    return value


def unroutable(path: str) -> Refused:
    """What Cloudflare says of a path it does not know, or one with a malformed id in it."""
    message = f"Could not route to {path}, perhaps your object identifier is invalid?"
    return Refused(400, 7003, message, ((7000, "No route for that URI"),))


class Handler(BaseHTTPRequestHandler):
    """HTTP around `Cloudflare.answer`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        status, extra, answer = self.server.cloudflare.answer(self.command, self.path, headers, body)
        payload = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(payload)), **extra}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815 - http.server's names


class Server(ThreadingHTTPServer):
    """The stand-in on a port; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__((config.get("listen", "127.0.0.1"), config.get("port", 0)), Handler)
        self.cloudflare = Cloudflare(config)

    def server_close(self) -> None:
        """Close the port, and end what was still to be published."""
        super().server_close()
        self.cloudflare.close()


def main() -> None:
    """Serve what the configuration file says, until the process is ended."""
    parser = argparse.ArgumentParser(description="stand-in for Cloudflare's DNS API")
    parser.add_argument("--config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text())
    Server(config).serve_forever()


if __name__ == "__main__":
    main()
