"""Prometheus, promtool and the node exporter: those on PATH, or Debian's, unpacked in our cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = ("prometheus", "prometheus-node-exporter")


def folder() -> Path | None:
    """Where the three programs are; None where they are not to be had."""
    found = shutil.which("promtool")
    if found and shutil.which("prometheus-node-exporter"):
        return Path(found).parent
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "ai-services-ci" / "prometheus"
    programs = cache / "root" / "usr" / "bin"
    if not (programs / "prometheus-node-exporter").exists() and shutil.which("apt-get"):
        cache.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", *PACKAGES], cwd=cache, capture_output=True, timeout=300, check=False)
        for package in cache.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(cache / "root")], check=True, timeout=120)
    return programs if (programs / "prometheus-node-exporter").exists() else None
