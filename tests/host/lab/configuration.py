"""The configuration files of `internet`: what its DNS, web server, registries and ACME server are told."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from host.lab.mirror import Mirror
from host.lab.place import (
    ACME,
    CLOUDFLARE,
    DOCKER_HUB,
    DOMAIN,
    GHCR,
    HUGGING_FACE,
    HUGGING_FACE_CDN,
    OLLAMA_BLOBS,
    OLLAMA_REGISTRY,
    PLAYED,
    REPOSITORY_HOSTS,
)

ZONE_ID = "023e105f4ecef8ad9ca31a8372d0c353"
# The one GitHub account of the lab; any name goes with the right token, as at GHCR.
GITHUB_USER = "lab"
PUSH_PORT, GHCR_PORT, OPEN_PORT = 5000, 5001, 5002


@dataclass(frozen=True)
class Secrets:
    """What a lab's outside world accepts; made once per lab."""

    ghcr_token: str
    cloudflare_token: str
    cloudflare_token_blind: str  # good, but for no zone
    cloudflare_token_reader: str  # sees the zone and may not change it
    huggingface_token: str  # the hub asks nobody for one, but takes it
    tsig: str  # base64

    @classmethod
    def of(cls, folder: Path) -> Secrets:
        """Those in `folder`, one file each (0600); made now where there are none."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        made = {
            "ghcr_token": "ghp_" + secrets.token_hex(18),
            "cloudflare_token": secrets.token_urlsafe(30),
            "cloudflare_token_blind": secrets.token_urlsafe(30),
            "cloudflare_token_reader": secrets.token_urlsafe(30),
            "huggingface_token": "hf_" + secrets.token_hex(17),
            "tsig": base64.b64encode(secrets.token_bytes(32)).decode(),
        }
        for name, value in made.items():
            path = folder / name
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(value + "\n")
        return cls(**{name: (folder / name).read_text().strip() for name in made})


def write(folder: Path, own_address: str, mirror: Mirror, known: Secrets) -> None:
    """Write all files to `folder`."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    (folder / "named.conf").write_text(_named(mirror, known))
    (folder / "played.zone").write_text(_zone(own_address, "@"))
    (folder / f"{DOMAIN}.zone").write_text(_zone(own_address, "acme"))
    (folder / "nginx.conf").write_text(_nginx(mirror))
    # one store, three doors: for the lab to push, for who has the token, for everybody
    (folder / "registry-push.yml").write_text(_registry(PUSH_PORT, host="0.0.0.0"))
    (folder / "registry-ghcr.yml").write_text(_registry(GHCR_PORT, password_file="/lab/config/htpasswd"))
    (folder / "registry-open.yml").write_text(_registry(OPEN_PORT))
    _htpasswd(folder / "htpasswd", known)
    (folder / "pebble.json").write_text(json.dumps(_pebble()))
    (folder / "cloudflare.json").write_text(json.dumps(_cloudflare(known)))


def _named(mirror: Mirror, known: Secrets) -> str:
    played = "\n".join(
        f'zone "{name}" {{ type primary; file "/lab/config/played.zone"; }};' for name in (*PLAYED, *mirror.hosts)
    )
    # 127.0.0.11 is Docker's own resolver in this container: it asks whatever this machine asks.
    return f"""
options {{
    directory "/var/cache/bind";
    listen-on {{ any; }};
    listen-on-v6 {{ none; }};
    recursion yes;
    allow-query {{ any; }};
    allow-recursion {{ any; }};
    forwarders {{ 127.0.0.11; }};
    forward only;
    dnssec-validation no;
    empty-zones-enable no;
}};
key "lab" {{ algorithm hmac-sha256; secret "{known.tsig}"; }};
zone "{DOMAIN}" {{ type primary; file "/var/lib/bind/{DOMAIN}.zone"; allow-update {{ key "lab"; }}; }};
{played}
"""


def _zone(own_address: str, *names: str) -> str:
    records = "\n".join(f"{name} IN A {own_address}" for name in names)
    # Short lives: a test that changes a name must not wait for a cache.
    return f"""$TTL 5
@ IN SOA ns hostmaster 1 60 60 3600 5
@ IN NS ns
ns IN A {own_address}
{records}
"""


def _nginx(mirror: Mirror) -> str:
    def proxied(names: str, to: str, before: str = "") -> str:
        return f"""
    server {{
        listen 443 ssl;
        server_name {names};
        {before}
        location / {{ proxy_pass {to}; }}
    }}"""

    fronts = "".join(
        (
            proxied(GHCR, f"http://127.0.0.1:{GHCR_PORT}"),
            proxied(f"{DOCKER_HUB} {OLLAMA_BLOBS}", f"http://127.0.0.1:{OPEN_PORT}"),
            proxied(
                OLLAMA_REGISTRY,
                f"http://127.0.0.1:{OPEN_PORT}",
                f"location ~ /blobs/sha256: {{ return 307 https://{OLLAMA_BLOBS}$request_uri; }}",
            ),
            proxied(f"{HUGGING_FACE} {HUGGING_FACE_CDN}", "http://127.0.0.1:8002"),
            proxied(CLOUDFLARE, "http://127.0.0.1:8001"),
            proxied(ACME, "https://127.0.0.1:14000"),
        )
    )
    return f"""
user www-data;
worker_processes 1;
error_log stderr;
pid /run/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log /var/log/nginx/access.log;
    include /etc/nginx/mime.types;
    sendfile on;
    server_names_hash_bucket_size 128;
    ssl_certificate /lab/config/server.pem;
    ssl_certificate_key /lab/config/server.key;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_http_version 1.1;
    proxy_read_timeout 600s;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Proto https;
    proxy_set_header X-Real-IP $remote_addr;
    # an unknown name is a name that the lab forgot: say so instead of answering as somebody else
    server {{ listen 443 ssl default_server; return 421 "the lab plays no $host\\n"; }}
{fronts}
    server {{
        listen 80;
        listen 443 ssl;
        server_name {" ".join(REPOSITORY_HOSTS)};
        root /lab/www/$host;
    }}

    # Debian's mirror, with a memory: what a package's address holds never changes.
    resolver 127.0.0.11 ipv6=off;
    proxy_cache_path /var/lib/lab/debian levels=1:2 keys_zone=debian:10m max_size=6g inactive=30d use_temp_path=off;
    server {{
        listen 80;
        server_name {" ".join(mirror.hosts)};
        proxy_cache debian;
        proxy_cache_lock on;
        proxy_cache_lock_timeout 300s;
        proxy_cache_key $host$uri;
        proxy_buffering on;
        proxy_ignore_headers Cache-Control Expires Set-Cookie Vary;
        location / {{ proxy_pass http://$host; proxy_cache_valid 200 60s; }}
        location ~ (/pool/|/by-hash/) {{ proxy_pass http://$host; proxy_cache_valid 200 30d; }}
    }}
}}
"""


def _registry(port: int, *, host: str = "127.0.0.1", password_file: str | None = None) -> str:
    content: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": "/var/lib/lab/registry"},
            "delete": {"enabled": True},
            "maintenance": {"readonly": {"enabled": port != PUSH_PORT}},
        },
        "http": {"addr": f"{host}:{port}", "relativeurls": True, "secret": "lab"},
    }
    if password_file:
        content["auth"] = {"htpasswd": {"realm": GHCR, "path": password_file}}
    return json.dumps(content)  # JSON is YAML


def _htpasswd(path: Path, known: Secrets) -> None:
    token = known.ghcr_token.encode()
    if path.exists() and bcrypt.checkpw(token, path.read_text().strip().partition(":")[2].encode()):
        return  # a fresh salt would look like a change
    path.write_text(f"{GITHUB_USER}:{bcrypt.hashpw(token, bcrypt.gensalt(rounds=5)).decode()}\n")


def _pebble() -> dict[str, object]:
    return {
        "pebble": {
            "listenAddress": "127.0.0.1:14000",
            "managementListenAddress": "127.0.0.1:15000",
            "certificate": "/lab/config/server.pem",
            "privateKey": "/lab/config/server.key",
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            # as Let's Encrypt: the renewal is due by a fraction of this
            "certificateValidityPeriod": 90 * 86_400,
            "retryAfter": {"authz": 1, "order": 1},
        }
    }


def _cloudflare(known: Secrets) -> dict[str, object]:
    return {
        "listen": "127.0.0.1",
        "port": 8001,
        "zones": {DOMAIN: ZONE_ID},
        "token": known.cloudflare_token,
        "tokens": [
            {"token": known.cloudflare_token_blind, "zones": [], "edit": True},
            {"token": known.cloudflare_token_reader, "zones": [DOMAIN], "edit": False},
        ],
        "dns_server": "127.0.0.1",
        "tsig": {"name": "lab", "algorithm": "hmac-sha256", "secret": known.tsig},
    }
