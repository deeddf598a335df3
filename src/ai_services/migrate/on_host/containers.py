"""Docker's containers as the engine's own inspection has them, without the values of their environments."""

from __future__ import annotations

import re
from typing import Any

from ai_services.doctor.bounded import Unseen
from ai_services.doctor.observe_services import containers as listed
from ai_services.doctor.observe_services import docker_api
from ai_services.migrate.on_host import hiding

_MOST = 300
UNREADABLE = "unreadable"
_LABEL = "com.docker.compose."


def containers() -> list[dict[str, Any]]:
    """Return every container, stopped ones too.

    Raises:
        Unseen: no engine, or it gives no answer.
    """
    return [one for one in map(_inspected, listed()[:_MOST]) if one]


def _inspected(row: dict[str, Any]) -> dict[str, Any]:
    # One may go away between the list and the question.
    try:
        return _reduced(docker_api(f"/containers/{row['Id']}/json", 20))
    except (Unseen, KeyError):
        return {}
    except (ValueError, TypeError, AttributeError):  # whatever it is, the others are to be seen
        names = row.get("Names")
        name = str(names[0]).lstrip("/") if isinstance(names, list) and names else "?"
        return {"id": str(row.get("Id")), "name": name, "image": str(row.get("Image", "")), "state": UNREADABLE}


def _reduced(inspected: dict[str, Any]) -> dict[str, Any]:
    config, host = _part(inspected, "Config"), _part(inspected, "HostConfig")
    state, network = _part(inspected, "State"), _part(inspected, "NetworkSettings")
    labels = {str(name): str(value) for name, value in _part(config, "Labels").items()}
    command = [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]
    environment = hiding.environment(config.get("Env") or [])
    return {
        "id": str(inspected.get("Id", "")),
        "name": str(inspected.get("Name", "")).lstrip("/"),
        "image": str(config.get("Image", "")),
        "image_id": str(inspected.get("Image", "")),
        "state": str(state.get("Status", "")),
        "pid": int(state.get("Pid") or 0),
        "started_at": str(state.get("StartedAt", "")),
        "restart": _restart(_part(host, "RestartPolicy")),
        "auto_remove": bool(host.get("AutoRemove")),
        "command": hiding.words(str(word) for word in command),
        "network_mode": str(host.get("NetworkMode", "")),
        "addresses": sorted(
            str(one.get("IPAddress"))
            for one in _part(network, "Networks").values()
            if isinstance(one, dict) and one.get("IPAddress")
        ),
        "gpu": bool(host.get("DeviceRequests")) or host.get("Runtime") == "nvidia",
        "ports": list(_ports(_part(network, "Ports"))) or list(_ports(_part(host, "PortBindings"))),
        "exposed": sorted(int(one.split("/")[0]) for one in _part(config, "ExposedPorts") if one.endswith("/tcp")),
        "mounts": [
            {
                "kind": str(mount.get("Type", "")),
                "name": str(mount.get("Name") or ""),
                "path": str(mount.get("Source") or ""),
                "target": str(mount.get("Destination") or ""),
            }
            for mount in inspected.get("Mounts") or []
            if isinstance(mount, dict)
        ],
        "environment": environment["values"],
        "environment_names": environment["names"],
        "compose": {
            name: labels.get(_LABEL + label, "")
            for name, label in (
                ("project", "project"),
                ("service", "service"),
                ("version", "version"),
                ("folder", "project.working_dir"),
                ("files", "project.config_files"),
                ("environment_file", "project.environment_file"),
            )
        },
        "traefik": {name: hiding.text(value) for name, value in labels.items() if name.startswith("traefik.")},
    }


def _restart(policy: dict[str, Any]) -> str:
    """As `docker update --restart` takes it: on-failure may have a count."""
    count = policy.get("MaximumRetryCount")
    return f"{policy.get('Name') or 'no'}{f':{count}' if isinstance(count, int) and count > 0 else ''}"


def _part(value: dict[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    return part if isinstance(part, dict) else {}


def _ports(bindings: dict[str, Any]) -> Any:
    for inside, published in sorted(bindings.items()):
        number = re.match(r"(\d+)/tcp$", str(inside))
        for one in (published or []) if number else []:
            if isinstance(one, dict) and str(one.get("HostPort", "")).isdigit():
                yield {
                    "inside": int(number.group(1)) if number else 0,
                    "address": str(one.get("HostIp") or "0.0.0.0"),  # noqa: S104  # that is what Docker takes it for
                    "port": int(one["HostPort"]),
                }
