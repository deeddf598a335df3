"""What a migration costs: disk room before anything stops, and how long callers wait at the longest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_services.host.plan_machine import docker_disk
from ai_services.host.plan_models import llm_size, sizes, whisper_size
from ai_services.host.plan_types import Plan as HostPlan
from ai_services.migrate.found import Found, Service
from ai_services.migrate.plan_types import Room, Waiting

# Reading weights from a disk that is not cold: an SSD of a rented machine, and one behind a busy hypervisor.
_FAST_MIB_S: Final = 500.0
_SLOW_MIB_S: Final = 60.0
# Container up, health check, one real transcription; measured in the lab with tiny.en, on two shared cores.
_START_S: Final = (4.0, 20.0)
_BACKUP_MIB: Final = 64
# So long the results of tasks can be fetched before their service stops (FETCHED_WITHIN_S in migration/old.py).
_FETCHED_S: Final = 8.0


def room(found: Found, settings: Mapping[str, Any], wanted: HostPlan) -> Room:
    """Return what must fit beside the old service: images, models, driver, backup and a margin.

    The table of sizes is that of a fresh host; a model of Ollama that is here already counts nothing.
    """
    table = sizes()["disk"]
    names = [str(settings.get("ai_ollama_model") or ""), *(settings.get("ai_ollama_extra_models") or ())]
    parts = {
        "images": int(table["images_cuda_mib" if wanted.accelerator == "nvidia" else "images_cpu_mib"]),
        "speech model": whisper_size(str(settings.get("ai_whisper_model"))).disk_mib,
        "language models": sum(llm_size(name).disk_mib for name in names if name),
        "driver": int(table["driver_mib"]) if wanted.driver.wanted else 0,
        "monitoring": int(table["monitoring_mib"]) if "monitoring" in (settings.get("ai_profiles") or ()) else 0,
        "backup of the old": _BACKUP_MIB,
        "margin": int(table["margin_mib"]),
    }
    parts = {name: size for name, size in parts.items() if size}
    disk = docker_disk(found.machine)
    return Room(
        mount=str(disk["mount"]) if disk else "the disk of Docker",
        need_mib=sum(parts.values()),
        free_mib=int(disk["free_mib"]) if disk and isinstance(disk.get("free_mib"), int) else None,
        parts=parts,
        could_free=dict(sorted(found.room.items(), key=lambda item: -item[1])),
    )


def waiting(found: Found, service: Service, wanted: HostPlan) -> Waiting:
    """Return how long a caller waits while the engine is exchanged: what runs ends, ours starts and reads its model."""
    weights = whisper_size(wanted.whisper.model).disk_mib
    low = _START_S[0] + weights / _FAST_MIB_S
    high = _START_S[1] + weights / _SLOW_MIB_S
    how = (
        f"{wanted.whisper.model} is {weights} MiB, read at {_SLOW_MIB_S:.0f} to {_FAST_MIB_S:.0f} MiB/s, and "
        f"{_START_S[0]:.0f} to {_START_S[1]:.0f} s for the start and one real transcription. What runs at that moment "
        "is waited for besides: nothing is cut."
    )
    if service.api == "whisper_api":
        low, high = low + _FETCHED_S, high + _FETCHED_S
        how += f" Its tasks are finished, and {_FETCHED_S:.0f} s are left to fetch their results."
    running = [client for client in found.clients if any(port.port == client.port for port in service.ports)]
    if running:
        count = sum(client.count for client in running)
        how += f" {count} connection{'s' if count != 1 else ''} to {service.name} when looked at."
    return Waiting(round(low, 1), round(high, 1), how)
