"""The machine itself: system, kernel, processor, memory, who we are on it."""

from __future__ import annotations

import getpass
import os
import platform
import re
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read, read_or, run


def system(root: Path = Path("/")) -> dict[str, Any]:
    """Return `id`, `version_id`, `codename`, `name` of the distribution, as /etc/os-release gives them."""
    pairs = dict(re.findall(r'^([A-Z_]+)=["\']?(.*?)["\']?$', read(root / "etc/os-release"), re.MULTILINE))
    return {
        "id": pairs.get("ID", ""),
        "version_id": pairs.get("VERSION_ID", ""),
        "codename": pairs.get("VERSION_CODENAME", ""),
        "name": pairs.get("PRETTY_NAME", ""),
    }


def kernel() -> str:
    """Return the release of the running kernel, as `uname -r`."""
    return platform.release()


def kernel_headers(root: Path = Path("/")) -> bool:
    """Tell whether a module can be built for the running kernel (its build directory is there)."""
    return (root / "lib/modules" / platform.release() / "build").exists()


def arch() -> str:
    """Return the machine's architecture, as `uname -m`."""
    return platform.machine()


def python() -> str:
    """Return the version of the Python that runs this."""
    return platform.python_version()


def cpus() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def virtual(root: Path = Path("/")) -> str:
    """Return what the machine runs in, in the words of systemd-detect-virt: none, kvm, docker, lxc and so on."""
    try:
        found = run(["systemd-detect-virt"], 5).out.strip()
        if found:
            return found
    except Unseen:
        pass
    if (root / ".dockerenv").exists():
        return "docker"
    return "container-other" if (root / "run/systemd/container").exists() else "none"


def user() -> str:
    """Return the name of the account this runs as."""
    return getpass.getuser()


def is_root() -> bool:
    """Tell whether this runs with root's rights."""
    return os.geteuid() == 0


def sudo() -> bool:
    """Tell whether root's rights are to be had without a password."""
    return os.geteuid() == 0 or run(["sudo", "-n", "true"], 10).code == 0


def memory(root: Path = Path("/")) -> dict[str, int]:
    """Return `total_mib`, `available_mib`, `swap_total_mib` and `swap_free_mib`.

    Raises:
        Unseen: /proc/meminfo says nothing of use.
    """
    pairs = re.findall(r"^(\w+):\s+(\d+) kB$", read(root / "proc/meminfo"), re.MULTILINE)
    kib = {name: int(value) for name, value in pairs}
    if not kib.get("MemTotal"):
        raise Unseen("/proc/meminfo names no MemTotal")
    return {
        "total_mib": kib["MemTotal"] // 1024,
        "available_mib": kib.get("MemAvailable", kib.get("MemFree", 0)) // 1024,
        "swap_total_mib": kib.get("SwapTotal", 0) // 1024,
        "swap_free_mib": kib.get("SwapFree", 0) // 1024,
    }


def uptime_s(root: Path = Path("/")) -> int:
    """Return seconds since boot."""
    return int(float(read(root / "proc/uptime").split()[0]))


def reboot_required(root: Path = Path("/")) -> bool:
    """Tell whether the packages ask for a reboot."""
    return (root / "var/run/reboot-required").exists()


def hostname(root: Path = Path("/")) -> str:
    """Return the machine's own name."""
    return read_or(root / "proc/sys/kernel/hostname")
