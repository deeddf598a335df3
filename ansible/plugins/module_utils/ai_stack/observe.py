"""What of the stack is on this host right now, as Docker says; nothing is remembered from an earlier step."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Engine

PROJECT = "ai"
GATEWAY = "gateway"
# On which the gateway listens inside its container, and one of which it has on the host's 127.0.0.1.
INNER_PORT = 8080
_ESTABLISHED = "01"


@dataclass(frozen=True)
class Container:
    """One container of the project; `port` is its port on the host's 127.0.0.1, None where it has none (now)."""

    id: str
    name: str
    service: str
    digest: str
    state: str
    port: int | None
    created_s: int

    @property
    def runs(self) -> bool:
        """Whether Docker calls it running; nothing about its health."""
        return self.state == "running"


def containers(engine: Engine) -> list[Container]:
    """Every container of the project, stopped ones too, oldest first."""
    found = [_container(row) for row in engine.containers(PROJECT) if _is_service(row)]
    return sorted(found, key=lambda container: (container.created_s, container.name))


def of(service: str, found: Iterable[Container]) -> list[Container]:
    """Those of `service`, oldest first."""
    return [container for container in found if container.service == service]


def callers(engine: Engine, container: str) -> int:
    """How many connections from the host a gateway has open: what nginx waits for, in any version of a gateway.

    nginx keeps no connection without a request to it; those of the network (Prometheus) and of its own health check
    are not counted. 0 for a container that does not run.
    """
    found = engine.container(container) or {}
    pid = int(found.get("State", {}).get("Pid") or 0)
    networks = found.get("NetworkSettings", {}).get("Networks", {}).values()
    doors = {str(network.get("Gateway")) for network in networks}
    count = 0
    for line in _lines(Path(f"/proc/{pid}/net/tcp")) if pid else ():
        words = line.split()
        local, remote, state = words[1], words[2], words[3]
        if state == _ESTABLISHED and int(local.rpartition(":")[2], 16) == INNER_PORT and _address(remote) in doors:
            count += 1
    return count


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()[1:]
    except OSError:
        return []


def _address(text: str) -> str:
    # As the kernel prints it: the four bytes of a little-endian number.
    return str(ipaddress.IPv4Address(bytes.fromhex(text.partition(":")[0])[::-1]))


def _is_service(row: dict[str, Any]) -> bool:
    labels = row.get("Labels") or {}
    return "com.docker.compose.service" in labels and labels.get("com.docker.compose.oneoff", "False") != "True"


def _container(row: dict[str, Any]) -> Container:
    labels = row["Labels"]
    ports = [int(port["PublicPort"]) for port in row.get("Ports") or [] if port.get("PublicPort")]
    return Container(
        id=str(row["Id"]),
        name=str((row.get("Names") or ["?"])[0]).lstrip("/"),
        service=str(labels["com.docker.compose.service"]),
        digest=str(labels.get("com.docker.compose.config-hash", "")),
        state=str(row.get("State", "")),
        port=ports[0] if ports else None,
        created_s=int(row.get("Created") or 0),
    )
