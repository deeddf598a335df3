"""`doctor.pyz facts`: what a machine is, as one JSON object, before anything is changed on it.

Each fact is looked at on its own, in time: one that cannot be seen is null, and `why` says the reason by its name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ai_services.doctor import (
    observe_disks,
    observe_gpu,
    observe_machine,
    observe_ports,
    observe_release,
    observe_services,
)
from ai_services.doctor.bounded import Unseen

SCHEMA = 1
# Longer than the longest chain of commands behind one fact; all are looked at side by side.
DEADLINE_S = 40.0

OBSERVERS: Mapping[str, Callable[[], Any]] = {
    "os": observe_machine.system,
    "kernel": observe_machine.kernel,
    "kernel_headers": observe_machine.kernel_headers,
    "arch": observe_machine.arch,
    "python": observe_machine.python,
    "cpu_cores": observe_machine.cpus,
    "virtual": observe_machine.virtual,
    "hostname": observe_machine.hostname,
    "user": observe_machine.user,
    "root": observe_machine.is_root,
    "sudo": observe_machine.sudo,
    "memory_mib": lambda: observe_machine.memory()["total_mib"],
    "memory_available_mib": lambda: observe_machine.memory()["available_mib"],
    "uptime_s": observe_machine.uptime_s,
    "reboot_required": observe_machine.reboot_required,
    "disks": observe_disks.disks,
    "ports": observe_ports.ports,
    "my_addresses": observe_ports.addresses,
    "pci": observe_gpu.pci,
    "nvidia": observe_gpu.nvidia,
    "container_toolkit": observe_gpu.toolkit_version,
    "secure_boot": observe_gpu.secure_boot,
    "docker": observe_services.docker,
    "services": observe_services.services,
    "clock": observe_services.clock,
    "release": lambda: observe_release.state()["id"] or None,
}


def collect(domains: list[str], deadline_s: float = DEADLINE_S) -> dict[str, Any]:
    """Return all facts; `dns` holds the addresses of each of `domains` as this machine resolves them."""
    observers = dict(OBSERVERS)
    for domain in domains:
        observers[f"dns.{domain}"] = _resolver(domain)
    values, why = look(observers, deadline_s)
    found: dict[str, Any] = {"schema": SCHEMA}
    found.update((name, values[name]) for name in OBSERVERS)
    found["dns"] = {domain: values[f"dns.{domain}"] for domain in domains}
    found["why"] = why
    return found


def _resolver(domain: str) -> Callable[[], Any]:
    return lambda: observe_ports.resolve(domain)


def look(observers: Mapping[str, Callable[[], Any]], deadline_s: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Call all observers side by side. Returns their values (None where one failed) and the reasons of those.

    Whoever has not answered after `deadline_s` is left behind: its thread ends with the process.
    """
    values: dict[str, Any] = {}
    why: dict[str, str] = {}

    def one(name: str, observe: Callable[[], Any]) -> None:
        try:
            values[name] = observe()
        except Unseen as error:
            why[name] = str(error)
        except Exception as error:  # an odd machine must cost one fact, not all of them
            why[name] = f"the doctor stumbled: {type(error).__name__}: {str(error)[:200]}"

    threads = {
        name: threading.Thread(target=one, args=(name, observe), daemon=True) for name, observe in observers.items()
    }
    for thread in threads.values():
        thread.start()
    until = time.monotonic() + deadline_s
    for name, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            why.setdefault(name, f"no answer in {deadline_s:.0f} s")
    return {name: values.get(name) if name not in why else None for name in observers}, dict(why)
