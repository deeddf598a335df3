"""Graphics cards for show: a PCI bus as the kernel describes it under /sys/bus/pci/devices.

A lab host has no GPU, but what decides about one before it is used (driver branch, module flavour, compute type) reads
only this description. `lspci` and the doctor read it as they read the kernel's.
"""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

from host.lab.place import LabError

NVIDIA = 0x10DE
DISPLAY_VGA, DISPLAY_3D = 0x030000, 0x030200

# name: (device, class). Ids from the public PCI id list; one of each generation that the plan must tell apart.
CARDS = {
    "quadro-m4000": (0x13F1, DISPLAY_VGA),  # Maxwell, 5.2: the seeds' card
    "gtx-1080": (0x1B80, DISPLAY_VGA),  # Pascal, GP104
    "v100": (0x1DB4, DISPLAY_3D),  # Volta
    "t4": (0x1EB8, DISPLAY_3D),  # Turing
    "rtx-3070-ti": (0x2482, DISPLAY_VGA),  # Ampere
    "rtx-4090": (0x2684, DISPLAY_VGA),  # Ada
    "h200": (0x2335, DISPLAY_3D),  # Hopper
    "rtx-5090": (0x2B85, DISPLAY_VGA),  # Blackwell
}
HOST_BRIDGE = (0x8086, 0x1237, 0x060000)


def write(folder: Path, cards: tuple[str, ...]) -> Path:
    """Write a bus with a host bridge and `cards` (names of CARDS, or `vendor:device` in hex); answers `folder`.

    Raises:
        LabError: a card is neither a known name nor a PCI id.
    """
    devices = [HOST_BRIDGE, *(identify(card) for card in cards)]
    shutil.rmtree(folder, ignore_errors=True)
    for slot, (vendor, device, kind) in enumerate(devices):
        _device(folder / f"0000:{slot:02x}:00.0", vendor, device, kind)
    return folder


def identify(card: str) -> tuple[int, int, int]:
    """Return vendor, device and class of a card, given as a name of CARDS or as `vendor:device` in hex.

    Raises:
        LabError: it is neither.
    """
    found = re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4})", card.lower())
    if found:
        return int(found[1], 16), int(found[2], 16), DISPLAY_VGA
    if card in CARDS:
        return (NVIDIA, *CARDS[card])
    raise LabError(f"no card {card!r}: give vendor:device, such as 10de:13f1, or one of {', '.join(CARDS)}")


def _device(folder: Path, vendor: int, device: int, kind: int) -> None:
    folder.mkdir(parents=True)
    values = {
        "vendor": f"0x{vendor:04x}", "device": f"0x{device:04x}", "class": f"0x{kind:06x}",
        "subsystem_vendor": f"0x{vendor:04x}", "subsystem_device": "0x0001", "revision": "0xa1", "irq": "0",
        "enable": "0", "numa_node": "-1", "modalias": f"pci:v{vendor:08X}d{device:08X}",
        "resource": "\n".join(["0x0000000000000000 0x0000000000000000 0x0000000000000000"] * 7),
    }  # fmt: skip
    for name, value in values.items():
        (folder / name).write_text(value + "\n")
    # the first 64 bytes of configuration space, as PCI lays them out: what `lspci` reads
    header = bytearray(64)
    struct.pack_into("<HHHHB3B", header, 0, vendor, device, 0, 0, 0xA1, kind & 0xFF, kind >> 8 & 0xFF, kind >> 16)
    struct.pack_into("<HH", header, 0x2C, vendor, 1)
    (folder / "config").write_bytes(bytes(header))
