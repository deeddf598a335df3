"""Services of the init system, the clock's discipline, and what of Docker can be asked from outside the stack."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, as_object, run, unix_http

SERVICES: tuple[str, ...] = (
    "nginx",
    "apache2",
    "httpd",
    "caddy",
    "haproxy",
    "traefik",
    "ufw",
    "firewalld",
    "nftables",
    "docker",
    "podman",
    "ollama",
    "ssh",
    "unattended-upgrades",
    "certbot.timer",
    "systemd-timesyncd",
    "chrony",
)
DOCKER_SOCKET = "/var/run/docker.sock"
# Containers that belong to the stack: its compose project.
PROJECT = "ai"
_PROJECT_LABEL = "com.docker.compose.project"


def services(names: tuple[str, ...] = SERVICES) -> dict[str, str]:
    """Return the state of each unit: active, inactive, failed, activating …, or absent.

    Raises:
        Unseen: this machine is not run by systemd.
    """
    found = units([name if "." in name else f"{name}.service" for name in names])
    return {
        name: "absent" if unit["load"] != "loaded" else unit["active"]
        for name, unit in ((name, found[name if "." in name else f"{name}.service"]) for name in names)
    }


def units(names: list[str]) -> dict[str, dict[str, str]]:
    """Return what systemd says of each unit: `load`, `active`, `type`, `enabled`, `result`, `last_trigger`.

    Raises:
        Unseen: this machine is not run by systemd, or it gives no answer.
    """
    if not Path("/run/systemd/system").is_dir():
        raise Unseen("this machine is not run by systemd")
    properties = "Id,Type,LoadState,ActiveState,UnitFileState,Result,LastTriggerUSec"
    ran = run(["systemctl", "show", "--no-pager", "-p", properties, "--", *names], 10)
    # One block per unit in the order asked, parted by empty lines.
    blocks = [dict(re.findall(r"^(\w+)=(.*)$", block, re.MULTILINE)) for block in ran.out.strip().split("\n\n")]
    if len(blocks) != len(names):
        raise Unseen(f"systemctl show answered {len(blocks)} units for {len(names)}: {ran.said}")
    return {
        name: {
            "load": block.get("LoadState", ""),
            "active": block.get("ActiveState", ""),
            "type": block.get("Type", ""),
            "enabled": block.get("UnitFileState", ""),
            "result": block.get("Result", ""),
            "last_trigger": block.get("LastTriggerUSec", ""),
        }
        for name, block in zip(names, blocks)
    }


def clock() -> dict[str, Any]:
    """Return `utc` (ISO 8601), `synchronised` (None where nothing tells) and `offset_s` against the time source.

    `offset_s` is known only to chrony; elsewhere None.
    """
    found: dict[str, Any] = {
        "utc": datetime.now(timezone.utc).isoformat(timespec="milliseconds"),
        "synchronised": None,
        "offset_s": None,
    }
    try:
        said = dict(re.findall(r"^(\w+)=(.*)$", run(["timedatectl", "show"], 5).out, re.MULTILINE))
        if "NTPSynchronized" in said:
            found["synchronised"] = said["NTPSynchronized"] == "yes"
    except Unseen:
        pass
    try:
        tracking = run(["chronyc", "-c", "tracking"], 5).out.strip().split(",")
        if len(tracking) > 4:
            found["offset_s"] = float(tracking[4])
    except (Unseen, ValueError):
        pass
    return found


def docker() -> dict[str, Any]:
    """Return what there is of Docker, before or after it is ours.

    `installed`, `version` of the engine, `running`, `compose_version` (v2, as plugin or alone), `root_dir`, `runtimes`,
    and `other_containers` (`name`, `image`, `state`, `ports`), those outside our compose project.
    """
    found: dict[str, Any] = {
        "installed": False,
        "version": None,
        "client_version": None,
        "running": False,
        "compose_version": _compose_version(),
        "root_dir": None,
        "runtimes": [],
        "other_containers": [],
        "why": "",
    }
    try:
        client = re.search(r"(\d+\.\d+\.\d+)", run(["docker", "--version"], 5).out)
        found["client_version"] = client.group(1) if client else None
    except Unseen as error:
        found["why"] = str(error)
    try:
        engine = re.search(r"(\d+\.\d+\.\d+)", run(["dockerd", "--version"], 5).out)
        found["version"] = engine.group(1) if engine else None
        found["installed"] = True
    except Unseen:
        pass
    try:
        info = docker_api("/info")
    except Unseen as error:
        found["why"] = str(error)
        return found
    found.update(installed=True, running=True, why="")
    found["version"] = info.get("ServerVersion") or found["version"]
    found["root_dir"] = info.get("DockerRootDir")
    runtimes = info.get("Runtimes")
    found["runtimes"] = sorted(runtimes) if isinstance(runtimes, dict) else []
    found["other_containers"] = [brief(row) for row in containers() if row_project(row) != PROJECT]
    return found


def _compose_version() -> str | None:
    for argv in (["docker", "compose", "version", "--short"], ["docker-compose", "version", "--short"]):
        try:
            ran = run(argv, 10)
        except Unseen:
            continue
        number = re.search(r"(\d+\.\d+\.\d+)", ran.out)
        if ran.code == 0 and number:
            return number.group(1)
    return None


def docker_api(target: str, timeout_s: float = 10.0) -> dict[str, Any]:
    """Return the JSON object that the engine answers at `target`.

    Raises:
        Unseen: no engine, no rights, no answer in time, an error, or garbage.
    """
    status, body = unix_http(DOCKER_SOCKET, "GET", target, timeout_s=timeout_s)
    answer = as_object(body.decode("utf-8", "replace"), f"docker's answer to {target}")
    if status >= 300:
        raise Unseen(f"docker answers {status} to {target}: {str(answer.get('message', ''))[:200]}")
    return answer


def containers() -> list[dict[str, Any]]:
    """Return every container, stopped ones too, as the engine's list has them (API `/containers/json`)."""
    status, body = unix_http(DOCKER_SOCKET, "GET", "/containers/json?all=1")
    try:
        rows = json.loads(body.decode("utf-8", "replace"))
    except ValueError:
        raise Unseen(f"docker's list of containers is not JSON (starts with {body[:40]!r})") from None
    if status != 200 or not isinstance(rows, list):
        raise Unseen(f"docker answers {status} to the question for containers")
    return [row for row in rows if isinstance(row, dict)]


def row_project(row: dict[str, Any]) -> str:
    """Return the compose project a container of the list belongs to, or an empty string."""
    labels = row.get("Labels")
    return str(labels.get(_PROJECT_LABEL, "")) if isinstance(labels, dict) else ""


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """Return `name`, `image`, `state` and `ports` (as "address:port") of a container of the list."""
    names = row.get("Names") or ["/?"]
    published = {
        f"{port.get('IP', '')}:{port['PublicPort']}" for port in row.get("Ports") or [] if port.get("PublicPort")
    }
    return {
        "name": str(names[0]).lstrip("/"),
        "image": str(row.get("Image", "")),
        "state": str(row.get("State", "")),
        "ports": sorted(published),
    }
