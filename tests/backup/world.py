"""A deployed host as a folder, and a Docker that knows one made-up service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from ai_services.backup.host import certificates

DOMAIN = "ai.example.com"
PROGRAM = Path(__file__).resolve().parents[2] / "src"
RENEWAL = f"""version = 4.0.0
archive_dir = /etc/letsencrypt/archive/{DOMAIN}
cert = /etc/letsencrypt/live/{DOMAIN}/cert.pem
[renewalparams]
account = 0123abc
server = https://acme.example.com/directory
authenticator = dns-cloudflare
dns_cloudflare_credentials = /etc/letsencrypt/cloudflare.ini
renew_hook = {certificates.HOOK}
"""
# What `docker` says and does: a container whose database is a file.
DOCKER = """#!/bin/sh
case "$1 $2" in
"inspect --type") [ "$6" = made-up ] && cat {state} || exit 1 ;;
"exec made-up") cat {database} && exit $(cat {status}) ;;
"exec --interactive") cat >{database}.new && mv {database}.new {database} ;;
*) exit 1 ;;
esac
"""


def put(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)


def host(root: Path, domain: str = DOMAIN) -> Path:
    """Lay out what a deployed host has, below `root`."""
    home = root / "opt/ai"
    put(home / "releases/0a1b2c3d4e5f/release.json", json.dumps(
        {"version": "0.2.0", "settings": {"ai_domain": domain, "ai_tls": "letsencrypt", "ai_github_owner": "octo-org",
                                          "ai_cloudflare_token_file": "/home/ann/token", "ai_ollama_model": "m:1"}},
    ), 0o644)  # fmt: skip
    (home / "current").symlink_to("releases/0a1b2c3d4e5f")
    put(home / "secrets/api.key", "canary-key-of-the-host\n")
    put(home / "secrets/gateway/api_keys", "canary-key-of-the-host\n", 0o400)
    put(home / "secrets/.api.key.0011aabb", "half")
    put(home / "journal.jsonl", '{"step": "activate"}\n', 0o644)
    lineage(root, domain, 3)
    lineage(root, "stranger.example.com", 1, renewal="authenticator = webroot\n")
    put(root / "etc/letsencrypt/cloudflare.ini", "# x\ndns_cloudflare_api_token = canary-token-of-cloudflare\n")
    put(root / "etc/letsencrypt/accounts/acme.example.com/directory/0123abc/private_key.json", "canary-account")
    return root


def lineage(root: Path, name: str, number: int, renewal: str = RENEWAL) -> None:
    """A lineage as certbot keeps it, at its `number`-th certificate."""
    top = root / "etc/letsencrypt"
    for part in certificates.PARTS:
        for old in range(1, number + 1):
            put(top / "archive" / name / f"{part}{old}.pem", f"{part} {old} of {name}\n")
        (top / "live" / name).mkdir(parents=True, exist_ok=True)
        (top / "live" / name / f"{part}.pem").symlink_to(f"../../archive/{name}/{part}{number}.pem")
    put(top / "renewal" / f"{name}.conf", renewal, 0o644)


def made_up_service(root: Path, tools: Path, rows: bytes) -> Path:
    """Declare a service with a database of `rows` on the host, its Docker in `tools`. Returns the database."""
    database = tools / "database"
    put(database, rows)
    put(tools / "state", "running")
    put(tools / "status", "0")
    put(tools / "docker", DOCKER.format(database=database, state=tools / "state", status=tools / "status"), 0o755)
    declared = {"name": "database", "container": "made-up", "save": ["dump", "it"], "restore": ["take", "it"]}
    put(root / "opt/ai/backup/services.json", json.dumps({"made-up": {"dumps": [declared]}}), 0o644)
    return database


def call(root: Path, tools: Path, code: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run `code` with the host's part, whose `/` is `root`, in a process of its own."""
    head = "import sys\nfrom pathlib import Path\nfrom ai_services.backup.host import collect, layout, writer\n"
    head += f"root = Path({str(root)!r})\n"
    return subprocess.run(
        [sys.executable, "-c", head + code], input=stdin, capture_output=True, check=False,
        env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(PROGRAM)},
    )  # fmt: skip


COLLECT = (
    "found = collect.collect({}, root)\n"
    "writer.write(sys.stdout.buffer, found.manifest, found.contents, found.open_stream)"
)
STREAMS = "layout.streams(sys.stdin.buffer, root, print)"
