"""What the figures were taken on: a number without its machine says nothing."""

import datetime
import importlib.metadata
import os
import platform
import re
from pathlib import Path

import psutil


def facts() -> dict[str, str]:
    """CPU, cores, memory, system, Python and the versions of the libraries that do the work."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{_cpu_model()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{_system_name()}, Linux {platform.release()}" if os.name == "posix" else platform.platform(),
        "python": platform.python_version(),
    }


def versions(*packages: str) -> str:
    """``name version, name version`` of installed packages, as the figures' reader wants to repeat them."""
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)


def busy() -> str | None:
    """Say so when something else is using the machine, since a disturbed figure must not be published."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > 0.3 * cores:
        return f"load average {load:.2f} on {cores} cores: something else was running"
    return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        match = re.search(r"^model name\s*: (.+)$", cpuinfo.read_text(), re.MULTILINE)
        if match:
            return match[1]
    return platform.processor() or platform.machine()


def _system_name() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
