"""Looks at everything that a migration must know, and prints it as one JSON object. Nothing is written or changed."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ai_services.doctor import facts, observe_release
from ai_services.doctor.bounded import Unseen, read, read_json
from ai_services.migrate.on_host import answers, containers, filters, fronts, hiding, processes, stores

SCHEMA = 1
DEADLINE_S = 60.0
# Where certbot's plugin for Cloudflare has its token; the file is not read here.
CLOUDFLARE = "/etc/letsencrypt/cloudflare.ini"
MIGRATIONS = "/opt/ai/migration"


def collect(domains: list[str]) -> dict[str, Any]:
    """Return it all: `facts` of the doctor, then what was seen of services, fronts, stores and callers.

    What could not be seen is missing, and `why` tells the reason by its name.
    """
    first: dict[str, Callable[[], Any]] = {
        "facts": lambda: facts.collect(domains),
        "containers": containers.containers,
        "listeners": processes.listeners,
        "nginx": fronts.nginx,
        "caddy": fronts.caddy,
        "apache": fronts.apache,
        "packet_filter": filters.packet_filter,
        "reclaimable": stores.reclaimable,
        "bridges": stores.gateways,
        "release": lambda: observe_release.state()["id"] or "",
        "migration": migration,
        "cloudflare": lambda: CLOUDFLARE if Path(CLOUDFLARE).is_file() else "",
    }
    seen, why = facts.look(first, DEADLINE_S)
    listeners = seen["listeners"] or []
    running = [one for one in seen["containers"] or [] if one["state"] == "running"]
    units = sorted({one["unit"] for one in listeners if one.get("unit") and not one.get("container")})
    # Before anything is asked: our own questions are no callers.
    callers, unheard = facts.look({"clients": lambda: stores.clients(_ports(listeners, running))}, DEADLINE_S)
    second: dict[str, Callable[[], Any]] = {
        "units": lambda: processes.units(sorted({*units, *processes.own_units()})),
        "answers": lambda: answers.answers(_places(listeners, running)),
        "stores": lambda: stores.sizes(_stores(running, listeners)),
        "inner_nginx": lambda: {
            one["name"]: fronts.containered(one["name"])
            for one in running
            if re.search(r"(?:^|/)nginx(?::|$|@)|nginx-proxy", one["image"])
        },
        "certificates": lambda: fronts.certificates(_texts(seen)),
        "compose": lambda: _compose(running),
    }
    more, whynot = facts.look(second, DEADLINE_S)
    return {
        "schema": SCHEMA,
        "utc": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **seen,
        **callers,
        **more,
        "why": {**why, **unheard, **whynot},
    }


def migration() -> dict[str, Any]:
    """Return the migration that was begun here and neither finished nor undone: its `id` and `phase`; {} if none."""
    current = Path(MIGRATIONS) / "current"
    if not current.exists():
        return {}
    state = read_json(current / "state.json")
    if state.get("phase") in ("finalized", "rolled_back"):
        return {}
    return {"id": current.resolve().name, "phase": str(state.get("phase", ""))}


def _places(listeners: list[dict[str, Any]], running: list[dict[str, Any]]) -> list[tuple[str, int]]:
    found = []
    for one in listeners:
        address = str(one["address"])
        if ":" in address:
            address = "::1" if address in ("::", "::1") else address
        elif address == "0.0.0.0":  # noqa: S104  # where it listens, not we
            address = "127.0.0.1"
        found.append((address, int(one["port"])))
    for one in running:
        # What is not published is reached on its bridge, by the host alone.
        if not one["ports"] and one["addresses"]:
            found += [(one["addresses"][0], port) for port in one["exposed"][:4]]
    return found


def _ports(listeners: list[dict[str, Any]], running: list[dict[str, Any]]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {int(one["port"]): [] for one in listeners}
    for one in running:
        for port in one["ports"]:
            found.setdefault(port["port"], []).extend([one["pid"], port["inside"]])
    return found


def _stores(running: list[dict[str, Any]], listeners: list[dict[str, Any]]) -> list[str]:
    paths = [
        mount["path"]
        for one in running
        for mount in one["mounts"]
        # Never the machine's own trees, which some containers get to look at.
        if mount["path"].count("/") >= 2 and not mount["path"].startswith(("/proc", "/sys", "/dev", "/run", "/var/run"))
    ]
    homes = []
    for name in {str(one.get("user")) for one in listeners if one.get("user")}:
        with contextlib.suppress(KeyError):
            homes.append(pwd.getpwnam(name).pw_dir)
    return paths + stores.caches(sorted(homes))


def _texts(seen: dict[str, Any]) -> list[str]:
    return [
        text for name in ("nginx", "caddy", "apache") for text in ((seen.get(name) or {}).get("files") or {}).values()
    ]


def _compose(running: list[dict[str, Any]]) -> dict[str, Any]:
    """Return, by file, whether it is there, and its text without what looks like a secret."""
    found: dict[str, Any] = {}
    for one in running:
        folder = one["compose"]["folder"]
        for name in filter(None, one["compose"]["files"].split(",")):
            path = name if name.startswith("/") else str(Path(folder) / name)
            with contextlib.suppress(Unseen):
                found[path] = hiding.text(read(Path(path), 1 << 18))
        beside = str(Path(folder) / ".env")
        if folder and Path(beside).is_file():
            found.setdefault(beside, "")
    return found


def main() -> None:
    """Print what was seen; the domains to resolve are the arguments."""
    json.dump(collect(sys.argv[1:]), sys.stdout)
    sys.stdout.flush()
    # A look at something that hangs for ever may still be going on in a thread.
    os._exit(0)
