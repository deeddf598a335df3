"""Debian packages taken apart into a folder: what a test needs of them, and nothing of it installed or started."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def unpacked(*names: str) -> Path:
    """Return a folder that holds the files of these packages; skips where they cannot be had."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ai-services-ci" / "packages"
    place = cache / "+".join(names)
    if place.is_dir():
        return place
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        pytest.skip(f"no Debian here to have {', '.join(names)} from")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        got = subprocess.run(
            ["apt-get", "download", *names], cwd=scratch, capture_output=True, text=True, timeout=200, check=False
        )
        if got.returncode:
            pytest.skip(f"{', '.join(names)} cannot be had: {got.stderr.strip()[-200:]}")
        files = Path(scratch) / "files"
        for package in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, files], check=True, timeout=100)
        files.rename(place)
    return place
