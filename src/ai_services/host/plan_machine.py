"""Whether the machine itself can carry the stack: system, kernel, room, memory, ports, clock, names, neighbours."""

from __future__ import annotations

import datetime
import re
from typing import Any, Final

from ai_services.host.plan_models import llm_size, sizes, whisper_size
from ai_services.host.plan_types import Accelerator, Driver, Facts, Models, Notes, Settings, Whisper

SYSTEMS: Final = {
    ("debian", "12"): "debian12",
    ("debian", "13"): "debian13",
    ("ubuntu", "22.04"): "ubuntu2204",
    ("ubuntu", "24.04"): "ubuntu2404",
}
# The oldest kernel of those systems is 5.15; older ones lack what Docker's isolation here is tested with.
OLDEST_KERNEL: Final = (5, 10)
# Share the kernel of somebody else: no module can be loaded, no firewall set, no second Docker kept apart.
_SHARED_KERNEL: Final = {"lxc", "lxc-libvirt", "openvz", "wsl", "systemd-nspawn", "rkt", "proot", "pouch"}
_CONTAINERS: Final = {"docker", "podman", "container-other"}
# Certificates and signed package lists are refused when the clock is off by more.
CLOCK_LIMIT_S: Final = 300
_LOCAL_PORTS: Final = (8080, 8081)


def repository_of(facts: Facts) -> str | None:
    """Return the distribution's name in NVIDIA's repository paths, None if it is not one of ours or not known."""
    system = facts.get("os") or {}
    return SYSTEMS.get((str(system.get("id")), str(system.get("version_id"))))


def numbers(text: Any) -> tuple[int, ...]:
    """Return the numbers at the start of a version: "6.1.0-18-amd64" as (6, 1, 0); empty if there are none."""
    found = re.match(r"\d+(?:\.\d+)*", str(text or ""))
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def check_system(facts: Facts, now: datetime.datetime | None, notes: Notes) -> None:
    """Refuse systems, kernels and kinds of container on which this cannot work."""
    system = facts.get("os") or {}
    if system and repository_of(facts) is None:
        name = system.get("name") or f"{system.get('id')} {system.get('version_id')}"
        notes.refuse(
            "system", f"The host runs {name}.", "The roles are written and tested for four systems only.",
            "Install Debian 12 or 13, or Ubuntu 22.04 or 24.04.",
        )  # fmt: skip
    kernel = numbers(facts.get("kernel"))
    if kernel and kernel < OLDEST_KERNEL:
        notes.refuse(
            "kernel", f"The host runs kernel {facts['kernel']}.",
            f"Docker's isolation and the NVIDIA module need {'.'.join(map(str, OLDEST_KERNEL))} or newer.",
            "Boot the distribution's own current kernel (apt install linux-image-amd64, reboot).",
        )  # fmt: skip
    if facts.get("arch") not in (None, "x86_64", "aarch64"):
        notes.refuse(
            "arch", f"The host's processor is {facts['arch']}.", "Images are built for x86_64 and aarch64.",
            "Use an x86_64 machine.",
        )  # fmt: skip
    virtual = str(facts.get("virtual") or "none")
    if virtual in _SHARED_KERNEL:
        notes.refuse(
            "container", f"The host is a container itself ({virtual}).",
            "It shares another machine's kernel: no driver module, no firewall and no Docker of its own.",
            "Use a virtual machine (with the GPU passed through) or the machine itself.",
        )  # fmt: skip
    elif virtual in _CONTAINERS:
        notes.warn(
            "container", f"The host is a container itself ({virtual}).",
            "That is fit for tests; driver and firewall are those of the machine around it.",
            "Use a virtual or real machine for service.",
        )  # fmt: skip
    if facts.get("sudo") is False:
        notes.refuse(
            "sudo", "The account on the host has no root rights without a password.",
            "Packages, services and files in /opt/ai are root's.",
            "Give it passwordless sudo, or connect as root.",
        )  # fmt: skip
    _check_docker(facts, notes)
    _check_clock(facts, now, notes)


def _check_docker(facts: Facts, notes: Notes) -> None:
    docker = facts.get("docker") or {}
    version = numbers(docker.get("version"))
    if version and version[0] < 24:
        notes.refuse(
            "docker_old", f"Docker {docker['version']} is installed.",
            "Engines before 24 get no security fixes and lack what the compose file uses.",
            "Upgrade it, or remove it and let the deployment install one (images and containers of others are yours "
            "to save).",
        )  # fmt: skip
    others = docker.get("other_containers") or []
    if others:
        names = ", ".join(sorted(str(one.get("name")) for one in others)[:5])
        notes.warn(
            "other_containers", f"Docker runs {len(others)} container(s) of others: {names}.",
            "They stay as they are, but stop for a moment if Docker's configuration has to change.",
            "Deploy at a time when that does no harm.",
        )  # fmt: skip


def _check_clock(facts: Facts, now: datetime.datetime | None, notes: Notes) -> None:
    clock = facts.get("clock") or {}
    offset = clock.get("offset_s")
    if offset is None and now is not None:
        offset = clock_offset_s(facts, now)
    if isinstance(offset, (int, float)) and abs(offset) > CLOCK_LIMIT_S:
        notes.refuse(
            "clock", f"The host's clock is off by {abs(offset):.0f} s.",
            "Certificates and package lists are refused as not yet or no longer valid.",
            "Set it right (timedatectl set-ntp true) and run the deployment again.",
        )  # fmt: skip
    elif clock.get("synchronised") is False and facts.get("virtual") not in _CONTAINERS:
        notes.warn(
            "clock_alone", "Nothing keeps the host's clock right.",
            "It will drift until certificates are refused.", "The deployment installs a time service where none is.",
        )  # fmt: skip


def clock_offset_s(facts: Facts, now: datetime.datetime) -> float | None:
    """Return host's clock minus ours in seconds (None if the facts do not tell); facts take seconds to come."""
    try:
        theirs = datetime.datetime.fromisoformat(str((facts.get("clock") or {})["utc"]))
    except (KeyError, ValueError):
        return None
    return (theirs - now).total_seconds() if theirs.tzinfo else None


def check_room(
    facts: Facts, settings: Settings, accelerator: Accelerator, whisper: Whisper, models: Models, driver: Driver,
    notes: Notes,
) -> None:  # fmt: skip
    """Refuse a host whose disk or memory does not hold what is to be put there."""
    table = sizes()
    disk, memory = table["disk"], table["memory"]
    deployed = bool(facts.get("release"))
    variant = "images_cuda_mib" if accelerator == "nvidia" else "images_cpu_mib"
    need = int(disk["margin_mib"])
    if not deployed:
        need += int(disk[variant]) + models_disk_mib(settings) + (int(disk["driver_mib"]) if driver.wanted else 0)
        need += int(disk["monitoring_mib"]) if "monitoring" in (settings.get("ai_profiles") or ()) else 0
    where = docker_disk(facts)
    if where is not None and int(where["free_mib"]) < need:
        notes.refuse(
            "disk", f"{where['mount']} has {_gib(where['free_mib'])} free, {_gib(need)} are needed.",
            "Images, models and a margin for the release beside the running one lie in /var/lib/docker.",
            "Make room or a larger disk, or choose smaller models (ai_ollama_model, ai_whisper_model).",
        )  # fmt: skip
    total = facts.get("memory_mib")
    if not isinstance(total, int):
        return
    wanted = int(memory["services_mib"]) + (whisper.need_mib if whisper.device == "cpu" else 0)
    wanted += models.llm_mib if accelerator == "cpu" else 0
    wanted = max(wanted, int(memory["minimum_mib"]))
    if total < wanted:
        notes.refuse(
            "memory", f"The host has {_gib(total)} of memory, {_gib(wanted)} are needed.",
            "What does not run on a GPU lies in the machine's own memory, beside the services.",
            "Give the machine more memory, or choose smaller models (ai_ollama_model, ai_whisper_model).",
        )  # fmt: skip


def models_disk_mib(settings: Settings) -> int:
    """Return the disk room that the chosen models take."""
    names = [str(settings.get("ai_ollama_model", "qwen2.5:3b")), *(settings.get("ai_ollama_extra_models") or ())]
    speech = whisper_size(str(settings.get("ai_whisper_model", "large-v3-turbo")))
    return sum(llm_size(name).disk_mib for name in names) + speech.disk_mib


def docker_disk(facts: Facts) -> Any:
    """Return the facts of the disk that Docker keeps its images on; None if it is not known."""
    disks = facts.get("disks") or []
    root_dir = str((facts.get("docker") or {}).get("root_dir") or "/var/lib/docker")
    for disk in disks:
        if root_dir in (disk.get("paths") or ()):
            return disk
    holding = [disk for disk in disks if f"{root_dir}/".startswith(str(disk.get("mount", "-")).rstrip("/") + "/")]
    return max(holding, key=lambda disk: len(str(disk["mount"]))) if holding else None


def check_network(facts: Facts, settings: Settings, notes: Notes) -> None:
    """Refuse ports that belong to others; warn where the domain leads elsewhere."""
    listening = [port for port in facts.get("ports") or () if port.get("proto") == "tcp"]
    for number in (80,) if settings.get("ai_tls") == "off" else (80, 443):
        owners = {str(one.get("process") or "a process that cannot be seen") for one in listening
                  if one.get("port") == number} - {"nginx"}  # fmt: skip
        if owners:
            notes.refuse(
                f"port_{number}", f"Port {number} belongs to {', '.join(sorted(owners))}.",
                "nginx of this stack answers there.",
                "Stop and disable it (systemctl disable --now NAME; a container: unpublish the port), or use another "
                "host.",
            )  # fmt: skip
    taken = {str(port).rpartition(":")[2] for one in (facts.get("docker") or {}).get("other_containers") or ()
             for port in one.get("ports") or ()}  # fmt: skip
    for number in _LOCAL_PORTS:
        owners = {str(one.get("process") or "a process that cannot be seen") for one in listening
                  if one.get("port") == number}  # fmt: skip
        # Our own gateway is published by docker-proxy.
        if owners - {"docker-proxy"} or (owners and str(number) in taken):
            notes.refuse(
                f"port_{number}", f"Port {number} belongs to {', '.join(sorted(owners))}.",
                "The gateway is published on 127.0.0.1:8080 and 8081, one for each of two releases.",
                "Move that service to another port.",
            )  # fmt: skip
    domain = settings.get("ai_domain")
    names = facts.get("dns") or {}
    if domain and domain in names and names[domain] is not None:
        ours = {str(one.get("address") if isinstance(one, dict) else one) for one in facts.get("addresses") or ()}
        found = set(names[domain])
        if not found & ours and ours:
            notes.warn(
                "dns", f"{domain} leads to {', '.join(sorted(found)) or 'nowhere'}, and the host has "
                f"{', '.join(sorted(ours))}.",
                "The certificate is got all the same (DNS-01 needs no way to the host), but clients that resolve the "
                "name will not come here, unless an address is translated in between.",
                "Point the name's A or AAAA record at the host.",
            )  # fmt: skip


def _gib(mib: Any) -> str:
    return f"{int(mib) / 1024:.1f} GiB"
