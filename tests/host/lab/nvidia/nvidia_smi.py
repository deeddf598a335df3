#!/usr/bin/python3
"""Answers as nvidia-smi @VERSION@ does: by the loaded module and the cards on the bus. Stand-in of the lab."""

import datetime
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

VERSION = "@VERSION@"
CUDA = {570: "12.8", 580: "13.0", 595: "13.2"}.get(int(VERSION.split(".", maxsplit=1)[0]), "13.0")
FACTS = Path("/var/lib/lab-gpu/cards.json")


Card = dict[str, Any]


def main() -> int:
    loaded = Path("/proc/driver/nvidia/version")
    if not loaded.exists():
        print(
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n"
        )
        return 9
    found = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", loaded.read_text())
    module = found.group(1) if found else "?"
    if module != VERSION:
        print("Failed to initialize NVML: Driver/library version mismatch")
        print(f"NVML library version: {'.'.join(VERSION.split('.')[:2])}")
        return 18
    words = sys.argv[1:]
    cards = json.loads(FACTS.read_text()) if FACTS.exists() else []
    gpus: list[Card] = [card for card in cards if (Path("/proc/driver/nvidia/gpus") / card["address"]).exists()]
    if not gpus:
        print("No devices were found")
        return 6
    query: str | None = next((word.split("=", 1)[1] for word in words if word.startswith("--query-gpu=")), None)
    if query is not None:
        return rows(query.split(","), next((w for w in words if w.startswith("--format=")), "--format=csv"), gpus)
    if "--version" in words:
        print(f"NVIDIA-SMI version  : {VERSION}\nNVML version        : {'.'.join(VERSION.split('.')[:2])}")
        print(f"DRIVER version      : {module}\nCUDA Version        : {CUDA}")
    elif "-L" in words or "--list-gpus" in words:
        for number, card in enumerate(gpus):
            print(f"GPU {number}: {card['name']} (UUID: {uuid(card)})")
    else:
        table(gpus, module)
    return 0


def uuid(card: Card) -> str:
    digest = hashlib.sha256(card["address"].encode()).hexdigest()
    return f"GPU-{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def rows(names: list[str], style: str, gpus: list[Card]) -> int:
    columns = {
        "index": ("index", ""), "name": ("name", ""), "gpu_name": ("name", ""), "uuid": ("uuid", ""),
        "gpu_uuid": ("uuid", ""), "driver_version": ("driver_version", ""), "compute_cap": ("compute_cap", ""),
        "pci.bus_id": ("pci.bus_id", ""), "gpu_bus_id": ("pci.bus_id", ""),
        "memory.total": ("memory.total [MiB]", " MiB"), "memory.used": ("memory.used [MiB]", " MiB"),
        "memory.free": ("memory.free [MiB]", " MiB"), "utilization.gpu": ("utilization.gpu [%]", " %"),
        "temperature.gpu": ("temperature.gpu", ""), "persistence_mode": ("persistence_mode", ""),
    }  # fmt: skip
    for name in names:
        if name.strip() not in columns:
            print(f'Field "{name}" is not a valid field to query.\n')
            return 2
    if "noheader" not in style:
        print(", ".join(columns[name.strip()][0] for name in names))
    for number, card in enumerate(gpus):
        total = int(card.get("memory_mib") or 0) * 94 // 100
        values: dict[str, Any] = {
            "index": number, "name": card["name"], "uuid": uuid(card), "driver_version": VERSION,
            "compute_cap": card["capability"], "pci.bus_id": f"0000{card['address'].upper()}",
            "memory.total [MiB]": total, "memory.used [MiB]": 1, "memory.free [MiB]": total - 1,
            "utilization.gpu [%]": 0, "temperature.gpu": 35, "persistence_mode": "Disabled",
        }  # fmt: skip
        unit = "" if "nounits" in style else None
        print(", ".join(
            f"{values[columns[name.strip()][0]]}{columns[name.strip()][1] if unit is None else ''}" for name in names
        ))  # fmt: skip
    return 0


def table(gpus: list[Card], module: str) -> None:
    line = "+-----------------------------------------------------------------------------------------+"
    print(datetime.datetime.now().astimezone().strftime("%a %b %e %H:%M:%S %Y       "))
    print(line)
    print(f"| NVIDIA-SMI {VERSION:<22} Driver Version: {module:<14} CUDA Version: {CUDA:<8} |")
    print("|-----------------------------------------+------------------------+----------------------+")
    for number, card in enumerate(gpus):
        total = int(card.get("memory_mib") or 0) * 94 // 100
        print(
            f"| {number:>3}  {card['name']:<30.30}  Off |   {card['address'].upper():>16} Off |                  Off |"
        )
        print(f"| N/A   35C    P8             10W /   70W |       1MiB / {total:>6}MiB |      0%      Default |")
    print(line)


sys.exit(main())
