"""What takes requests from outside: nginx, Caddy, Apache, Traefik, with their configurations and certificates."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

from ai_services.doctor import x509
from ai_services.doctor.bounded import Unseen, read, read_or, run
from ai_services.migrate.on_host import hiding

_TEXT_LIMIT = 512 << 10
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
_CERTIFICATE_PATHS = re.compile(r"(?m)^\s*(?:ssl_certificate|SSLCertificateFile)\s+[\"']?([^\s;\"']+)")


def nginx() -> dict[str, Any]:
    """Return `version`, `sound` (nginx -t passes), `files` (path -> text, the main one first), `links`, `error`.

    Raises:
        Unseen: it is not installed here, or does not run.
    """
    version = re.search(r"nginx/(\S+)", run(["nginx", "-v"], 10).err)
    if not any(read_or(Path("/proc") / pid / "comm") == "nginx" for pid in os.listdir("/proc") if pid.isdigit()):  # noqa: PTH208  # names are enough
        # Without a running one, even its test would leave a file behind (the pid's).
        raise Unseen("nginx is installed and does not run")
    dumped = run(["nginx", "-T"], 20, _TEXT_LIMIT * 4)
    files = {}
    parts = re.split(r"(?m)^# configuration file (.+):$", dumped.out)
    for path, content in zip(parts[1::2], parts[2::2]):
        if not path.endswith(("mime.types", "fastcgi.conf", "fastcgi_params", "scgi_params", "uwsgi_params")):
            files[path] = hiding.text(content[1:].rstrip("\n") + "\n")[:_TEXT_LIMIT]
    return {
        "version": version.group(1) if version else "",
        "sound": dumped.code == 0,
        "error": "" if dumped.code == 0 else hiding.text(dumped.said),
        "files": files,
        "links": {path: os.path.realpath(path) for path in files if os.path.islink(path)},  # noqa: PTH114  # texts go in and out
    }


def containered(name: str) -> dict[str, Any]:
    """Return the same of an nginx in a container."""
    dumped = run(["docker", "exec", name, "nginx", "-T"], 20, _TEXT_LIMIT * 4)
    parts = re.split(r"(?m)^# configuration file (.+):$", dumped.out)
    files = {
        path: hiding.text(content[1:])[:_TEXT_LIMIT]
        for path, content in zip(parts[1::2], parts[2::2])
        if not path.endswith("mime.types")
    }
    error = "" if dumped.code == 0 else dumped.said
    return {"version": "", "sound": dumped.code == 0, "error": error, "files": files, "links": {}}


def caddy() -> dict[str, Any]:
    """Return `version`, `files`, and `sites` as its own adapter reads them: names, listens and upstreams."""
    version = run(["caddy", "version"], 10).out.split()
    path = "/etc/caddy/Caddyfile"
    text = read(Path(path), _TEXT_LIMIT)
    found: dict[str, Any] = {
        "version": version[0] if version else "", "files": {path: hiding.text(text)}, "sound": None, "routes": [],
    }  # fmt: skip
    adapted = run(["caddy", "adapt", "--config", path], 20, _TEXT_LIMIT * 4)
    found["sound"] = adapted.code == 0
    try:
        servers = json.loads(adapted.out)["apps"]["http"]["servers"]
        found["routes"] = [
            {"listen": server.get("listen") or [], "names": _hosts(route), "targets": _dials(route)}
            for server in servers.values()
            for route in server.get("routes") or []
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    return found


def _hosts(route: dict[str, Any]) -> list[str]:
    return [str(name) for match in route.get("match") or [] for name in match.get("host") or []]


def _dials(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [str(value["dial"])] if isinstance(value.get("dial"), str) else []
        return own + [one for part in value.values() for one in _dials(part)]
    return [one for part in value for one in _dials(part)] if isinstance(value, list) else []


def apache() -> dict[str, Any]:
    """Return `version`, `files` (enabled sites) and `vhosts`, as `apache2ctl -S` lists them."""
    version = re.search(r"Apache/(\S+)", run(["apache2ctl", "-v"], 10).out)
    said = run(["apache2ctl", "-S"], 20)
    sites = sorted(Path("/etc/apache2/sites-enabled").glob("*"))
    files = {str(path): hiding.text(read_or(path)) for path in sites}
    return {
        "version": version.group(1) if version else "", "files": files, "vhosts": said.out[:20000],
        "sound": run(["apache2ctl", "-t"], 20).code == 0,
    }  # fmt: skip


def certificates(texts: list[str]) -> list[dict[str, Any]]:
    """Return every certificate that certbot keeps or these configurations name: never a private key."""
    paths = [str(path) for path in sorted(Path("/etc/letsencrypt/live").glob("*/fullchain.pem"))]
    for text in texts:
        paths += [path for path in _CERTIFICATE_PATHS.findall(text) if path.startswith("/") and "$" not in path]
    found = []
    for path in list(dict.fromkeys(paths))[:100]:
        try:
            pem = _PEM.search(read(Path(path)))
            parsed = x509.parse(base64.b64decode(pem.group(1))) if pem else None
        except (Unseen, ValueError):
            parsed = None
        live = re.match(r"/etc/letsencrypt/live/([^/]+)/", path)
        found.append(
            {
                "path": path,
                "names": list(parsed.names) if parsed else [],
                "not_after": parsed.not_after.isoformat() if parsed else "",
                "issuer": parsed.issuer if parsed else "",
                "lineage": live.group(1) if live else "",
            }
        )
    return found
