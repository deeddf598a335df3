"""Facts and settings of a host in good order, to bend in tests."""

from __future__ import annotations

from typing import Any


def facts(**changes: Any) -> dict[str, Any]:
    """Return the doctor's facts of a bare Debian 13 machine without GPU, with `changes` on top."""
    return {
        "schema": 1,
        "os": {"id": "debian", "version_id": "13", "codename": "trixie", "name": "Debian GNU/Linux 13 (trixie)"},
        "kernel": "6.12.48+deb13-amd64",
        "kernel_headers": False,
        "arch": "x86_64",
        "python": "3.13.5",
        "cpus": 8,
        "virtual": "kvm",
        "sudo": True,
        "memory_mib": 32000,
        "disks": [{"mount": "/", "free_mib": 200_000, "total_mib": 250_000, "paths": ["/", "/var/lib/docker"]}],
        "ports": [{"port": 22, "proto": "tcp", "address": "0.0.0.0", "process": "sshd", "pid": 300}],
        "addresses": ["192.168.20.30"],
        "pci": [],
        "nvidia": {"module_loaded": False, "module_version": None, "module_flavour": None, "userspace_version": None,
                   "nouveau_loaded": False, "packages": []},
        "secure_boot": False,
        "docker": {"installed": False, "version": None, "running": False, "other_containers": []},
        "services": {},
        "clock": {"utc": "2026-11-21T12:00:00.000+00:00", "synchronised": True, "offset_s": None},
        "dns": {},
        "why": {},
        **changes,
    }  # fmt: skip


def card(device: str, slot: int = 1, driver: str = "") -> dict[str, str]:
    """Return the PCI function of a card."""
    return {
        "address": f"0000:{slot:02x}:00.0",
        "vendor": "10de",
        "device": device,
        "class": "030000",
        "subsystem_vendor": "10de",
        "subsystem_device": "1153",
        "driver": driver,
    }


def facts_with(*devices: str, **changes: Any) -> dict[str, Any]:
    """Return the facts of a machine with these cards."""
    return facts(pci=[card(device, slot) for slot, device in enumerate(devices, 1)], **changes)


def loaded(version: str, flavour: str, libraries: str | None = None) -> dict[str, Any]:
    """Return the facts of a loaded module, and of libraries of the same or another version."""
    return {
        "module_loaded": True,
        "module_version": version,
        "module_flavour": flavour,
        "userspace_version": version if libraries is None else libraries,
        "nouveau_loaded": False,
        "packages": [],
    }


def settings(**changes: Any) -> dict[str, Any]:
    """Return validated settings, defaults with `changes` on top."""
    from ai_services.host.settings import HostSettings

    chosen = HostSettings.model_construct(ai_domain="ai.lab.test", ai_github_owner="octo-org").model_dump()
    return {**chosen, **changes}
