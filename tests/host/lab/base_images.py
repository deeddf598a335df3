"""Images of hosts, made from nothing but a Debian mirror, and kept by Docker as long as what goes in is the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from host.lab import engine, mirror
from host.lab.place import CACHE, LabError, remark

FOLDER = Path(__file__).parent / "images"
LABEL = "ai-services.lab.content"

# What a provider's Debian has anyway, and nothing that the product should bring itself.
PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "python3", "openssh-server", "sudo", "iproute2", "ca-certificates", "kmod",
)  # fmt: skip


def base_image(suite: str) -> str:
    """The name of a bare Debian's image."""
    return f"ailab-base:{suite}"


def host_image(suite: str) -> str:
    """The name of a host's image."""
    return f"ailab-host:{suite}"


def ensure(*suites: str) -> None:
    """Make the images of hosts with these Debians, side by side, where they are missing or out of date.

    Raises:
        LabError: debootstrap or Docker failed, or a suite is unknown.
    """
    if unknown := set(suites) - set(mirror.SUITES):
        raise LabError(f"the lab knows no {', '.join(sorted(unknown))}: it has {', '.join(mirror.SUITES)}")
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(_ensure_host, suite) for suite in suites]:
            done.result()


def ensure_base(suite: str) -> str:
    """A bare Debian of `suite`; answers the image's name."""
    name = base_image(suite)
    content = digest([suite, mirror.this_machines().main, *PACKAGES])
    if _is(name, content):
        return name
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        raise LabError("images of hosts are made by debootstrap: `apt-get install debootstrap`, and run as root")
    CACHE.mkdir(parents=True, exist_ok=True)
    remark(f"making Debian {suite} (about a minute, once)")
    with tempfile.TemporaryDirectory(prefix=f"debootstrap-{suite}-", dir=CACHE) as folder:
        root, log = Path(folder) / "root", Path(folder) / "log"
        with log.open("wb") as opened:
            made = subprocess.run(
                ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root),
                 mirror.this_machines().main],
                stdout=opened, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if made.returncode != 0:
            raise LabError(f"debootstrap of {suite} failed; its last words:\n{log.read_text()[-2000:]}")
        # fetched archives and lists are only weight
        for path in (root / "var/cache/apt/archives").glob("*.deb"):
            path.unlink()
        archive = subprocess.Popen(["tar", "--numeric-owner", "-C", str(root), "-c", "."], stdout=subprocess.PIPE)
        engine_import = subprocess.run(
            [engine.CLIENT, "import", "--change", f"LABEL {LABEL}={content}", "-", name],
            stdin=archive.stdout, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if archive.wait() != 0 or engine_import.returncode != 0:
            raise LabError(f"importing Debian {suite} into Docker failed: {engine_import.stderr.strip()}")
    return name


def build(name: str, base: str, folder: Path, extra: dict[str, str]) -> None:
    """Build the image `name` from the Dockerfile in `folder` and the files `extra` (name: content), unless it is there.

    Raises:
        LabError: the build failed.
    """
    found = engine.inspect("image", base)
    parts = [found["Id"] if found else base]
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    files |= {key: value.encode() for key, value in extra.items()}
    content = digest([*parts, *(f"{key}={hashlib.sha256(value).hexdigest()}" for key, value in sorted(files.items()))])
    if _is(name, content):
        return
    remark(f"building {name}")
    with tempfile.TemporaryDirectory() as scratch:
        for key, value in files.items():
            target = Path(scratch) / key
            target.write_bytes(value)
            if (folder / key).exists():
                target.chmod((folder / key).stat().st_mode)
        engine.call(
            "build", "--quiet", "--build-arg", f"BASE={base}", "--label", f"{LABEL}={content}", "--tag", name, scratch,
            environment={"DOCKER_BUILDKIT": "0"},
        )  # fmt: skip


def _ensure_host(suite: str) -> None:
    base = ensure_base(suite)
    build(host_image(suite), base, FOLDER / "host", {"debian.sources": mirror.this_machines().sources(suite)})


def _is(name: str, content: str) -> bool:
    found = engine.inspect("image", name)
    return found is not None and (found["Config"].get("Labels") or {}).get(LABEL) == content


def digest(parts: list[str]) -> str:
    """A short name for this content."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
