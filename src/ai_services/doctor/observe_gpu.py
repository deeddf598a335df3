"""Graphics processors as the kernel shows them, and the NVIDIA driver in its two halves: module and libraries."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, read_or, run

NVIDIA = "10de"
# PCI base class 03: display controllers; compute-only cards are 3D controllers (0302).
DISPLAY = "03"
_DEVICE_LIMIT = 4096


def pci(root: Path = Path("/")) -> list[dict[str, str]]:
    """Return every PCI function: `address`, `vendor`, `device`, `class`, `subsystem_vendor`, `subsystem_device`.

    Numbers are lower-case hexadecimal without 0x (4 digits; `class` 6: base, sub, interface); `driver` is the kernel
    module bound to it, or an empty string.

    Raises:
        Unseen: the kernel shows no PCI bus here (some containers, some virtual machines).
    """
    bus = root / "sys/bus/pci/devices"
    try:
        entries = sorted(bus.iterdir())[:_DEVICE_LIMIT]
    except OSError:
        raise Unseen(f"{bus} is not there: no PCI bus is shown to this machine") from None
    found = []
    for entry in entries:
        numbers = {
            name: read_or(entry / name)[2:].lower()
            for name in ("vendor", "device", "class", "subsystem_vendor", "subsystem_device")
        }
        if not numbers["vendor"]:
            continue
        link = entry / "driver"
        found.append({"address": entry.name, **numbers, "driver": link.resolve().name if link.is_symlink() else ""})
    return found


def nvidia(root: Path = Path("/")) -> dict[str, Any]:
    """Return what is there of NVIDIA's driver.

    `module_loaded`, `module_version` and `module_flavour` (open, proprietary) of the module in the kernel now;
    `module_on_disk_version`, what the next boot would load; `userspace_version`, of the libraries that containers get;
    `nouveau_loaded`; `devices`, the /dev/nvidia* nodes; `packages`: `name`, `version`, `held` of the installed ones;
    `runfile`: installed by NVIDIA's own installer, past the packages; `memory_mib` by PCI address and `smi_error`, what
    nvidia-smi says when it fails (None where it is not installed or content).
    """
    loaded = (root / "sys/module/nvidia").exists() or (root / "proc/driver/nvidia/version").exists()
    version, flavour = _module(read_or(root / "proc/driver/nvidia/version"))
    return {
        "module_loaded": loaded,
        "module_version": version or read_or(root / "sys/module/nvidia/version") or None,
        "module_flavour": flavour,
        "module_on_disk_version": _module_on_disk(),
        "userspace_version": userspace_version(root),
        "nouveau_loaded": (root / "sys/module/nouveau").exists(),
        "devices": sorted(str(node.name) for node in (root / "dev").glob("nvidia*")),
        "packages": packages(),
        "runfile": (root / "usr/bin/nvidia-uninstall").exists() or (root / "usr/bin/nvidia-installer").exists(),
        **_asked_of_smi(),
    }


def _asked_of_smi() -> dict[str, Any]:
    try:
        ran = run(["nvidia-smi", "--query-gpu=pci.bus_id,memory.total", "--format=csv,noheader,nounits"], 15)
    except Unseen as error:
        missing = "is not installed" in str(error)
        return {"memory_mib": {}, "smi_error": None if missing else str(error)}
    # nvidia-smi writes the domain with eight digits: 00000000:01:00.0
    cards = re.findall(r"^0000([0-9A-Fa-f]{4}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d), (\d+)", ran.out, re.MULTILINE)
    sizes = {address.lower(): int(mib) for address, mib in cards}
    return {"memory_mib": sizes, "smi_error": None if ran.code == 0 else (ran.out.strip() or ran.said)[:300]}


def _module(text: str) -> tuple[str | None, str | None]:
    # NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (…)
    # NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.133.20  Sat Mar 22 …
    first = text.splitlines()[0] if text else ""
    found = re.search(r"\b(\d{3,}\.\d+(?:\.\d+)?)\b", first)
    if not found:
        return None, None
    return found.group(1), "open" if "Open Kernel Module" in first else "proprietary"


def _module_on_disk() -> str | None:
    for name in ("nvidia", "nvidia-current"):
        try:
            ran = run(["modinfo", "-F", "version", name], 5)
        except Unseen:
            return None
        if ran.code == 0 and ran.out.strip():
            return ran.out.split()[0]
    return None


def userspace_version(root: Path = Path("/")) -> str | None:
    """Return the version of the driver's libraries, from the name of the file that the loader would take."""
    versions = set()
    for directory in ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"):
        for folder in (directory, f"{directory}/nvidia/current"):
            for library in (root / folder).glob("libnvidia-ml.so.*"):
                found = re.fullmatch(r"libnvidia-ml\.so\.(\d{3,}\.\d+(?:\.\d+)?)", library.name)
                if found:
                    versions.add(found.group(1))
    return max(versions, key=lambda text: [int(part) for part in text.split(".")]) if versions else None


def packages() -> list[dict[str, Any]]:
    """Return the installed packages that make up driver and container toolkit: `name`, `version`, `held`."""
    pattern = ["*nvidia*", "cuda-*", "libcuda*"]
    try:
        ran = run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n", *pattern], 10)
    except Unseen:
        return []
    found = []
    for line in ran.out.splitlines():
        fields = line.split()
        # "ii": wanted and installed; "hi": held and installed.
        if len(fields) == 3 and fields[0][1:2] == "i":
            found.append({"name": fields[1], "version": fields[2], "held": fields[0][0] == "h"})
    return sorted(found, key=lambda package: str(package["name"]))


def secure_boot(root: Path = Path("/")) -> bool | None:
    """Tell whether the firmware refuses unsigned modules; None where that cannot be told.

    A machine without EFI has no Secure Boot: False.
    """
    if not (root / "sys/firmware/efi").exists():
        return False
    variables = root / "sys/firmware/efi/efivars"
    for variable in variables.glob("SecureBoot-*") if variables.is_dir() else ():
        try:
            content = variable.read_bytes()[:16]
        except OSError:
            continue
        # Four bytes of attributes, then the value.
        if len(content) >= 5:
            return content[4] == 1
    try:
        said = run(["mokutil", "--sb-state"], 5).out.lower()
    except Unseen:
        return None
    return True if "secureboot enabled" in said else False if "disabled" in said else None


def toolkit_version() -> str | None:
    """Return the version of NVIDIA's container toolkit, None if it is not installed."""
    try:
        found = re.search(r"(\d+\.\d+\.\d+)", run(["nvidia-ctk", "--version"], 5).out)
    except Unseen:
        return None
    return found.group(1) if found else None
