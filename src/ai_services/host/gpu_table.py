"""What NVIDIA card a PCI id is: chip, compute capability, memory, kernel module flavours, driver branches.

The figures and their sources are in `gpus.json`; this module only reads them. An id that the table does not have is
placed by the range of device ids that its architecture uses; its memory then stays unknown until the driver tells.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

VENDOR: Final = "10de"
TABLE: Final = Path(__file__).with_name("gpus.json")
Capability = tuple[int, int]


@dataclass(frozen=True)
class Card:
    """A card as the table knows it.

    `capability` is (major, minor) or None; `memory_mib` is None where it is not published; `flavours` are the kernel
    modules that drive it (`open`, `proprietary`), the wanted one first, empty where no current driver does;
    `first_branch` and `last_branch` bound the driver branches, None where there is no bound. `known` is False when
    only the range of the id was to go by.
    """

    device: str
    name: str
    kind: str
    chip: str | None
    architecture: str
    capability: Capability | None
    memory_mib: int | None
    memory_note: str
    flavours: tuple[str, ...]
    first_branch: int | None
    last_branch: int | None
    known: bool

    @property
    def capability_text(self) -> str:
        """The compute capability as people write it."""
        return "unknown" if self.capability is None else f"{self.capability[0]}.{self.capability[1]}"


def find(device: str) -> Card:
    """Return the card with this PCI device id (4 hexadecimal digits, with or without 0x).

    Raises:
        ValueError: not a PCI device id.
    """
    text = device.lower().removeprefix("0x")
    number = int(text, 16)
    if not 0 <= number <= 0xFFFF:
        raise ValueError(f"a PCI device id has 4 hexadecimal digits, not {device!r}")
    text = f"{number:04x}"
    row = _rows().get(text)
    return _by_range(text) if row is None else _card(row)


def cards() -> tuple[Card, ...]:
    """Return every card of the table, by PCI id."""
    return tuple(_card(row) for row in table()["cards"])


def is_gpu(function: Mapping[str, Any]) -> bool:
    """Tell whether a PCI function (`vendor`, `device`, `class`) is an NVIDIA display or 3D controller."""
    return str(function.get("vendor", "")).lower().removeprefix("0x") == VENDOR and str(
        function.get("class", "")
    ).lower().removeprefix("0x").startswith("03")


def default_branch(card: Card) -> int:
    """Return the driver branch that this card gets unless somebody decides otherwise."""
    branches = table()["branches"]
    default, newest = int(branches["default"]), int(branches["newest"])
    if card.last_branch is not None and card.last_branch < default:
        return card.last_branch
    if card.architecture not in table()["architectures"] or (card.capability is None and not card.known):
        return newest
    return newest if (card.first_branch or 0) > default else default


def packaged_branch(repository: str) -> int | None:
    """Return the newest branch that a distribution (`debian12`, `ubuntu2404`) has in its own archive."""
    found = table()["branches"]["packaged"].get(repository)
    return None if found is None else int(found)


def parse_capability(text: str) -> Capability:
    """Return "8.6" as (8, 6)."""
    major, minor = text.split(".")
    return int(major), int(minor)


def ctranslate2_runs_on(capability: Capability) -> bool:
    """Tell whether the CTranslate2 wheels hold code that this compute capability can run.

    Machine code runs on the same major version with an equal or higher minor one; PTX is compiled for anything newer.
    """
    compiled = [parse_capability(text) for text in table()["ctranslate2"]["compiled"]]
    return any(code[0] == capability[0] and code[1] <= capability[1] for code in compiled) or capability >= (
        parse_capability(table()["ctranslate2"]["ptx"])
    )


@cache
def table() -> Mapping[str, Any]:
    """Return the table as it is in the file."""
    loaded: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return loaded


@cache
def _rows() -> Mapping[str, Mapping[str, Any]]:
    return {row["id"]: row for row in table()["cards"]}


def _card(row: Mapping[str, Any]) -> Card:
    chip = table()["chips"][row["chip"]]
    architecture = table()["architectures"][chip["architecture"]]
    return Card(
        device=row["id"],
        name=row["name"],
        kind=row["kind"],
        chip=row["chip"],
        architecture=chip["architecture"],
        capability=parse_capability(chip["capability"]),
        memory_mib=row["memory_mib"],
        memory_note=row.get("memory_note", ""),
        flavours=tuple(row.get("flavours", architecture["flavours"])),
        # Where only the open module drives a card, the release that names it is the first; elsewhere proprietary
        # modules did before.
        first_branch=row.get("open_since", architecture["first_branch"])
        if architecture["flavours"] == ["open"]
        else architecture["first_branch"],
        last_branch=architecture["last_branch"],
        known=True,
    )


def _by_range(device: str) -> Card:
    for name, architecture in table()["architectures"].items():
        if any(int(low, 16) <= int(device, 16) <= int(high, 16) for low, high in architecture["ranges"]):
            lowest = architecture["unknown_capability"]
            return Card(
                device=device,
                name=f"NVIDIA card {VENDOR}:{device}",
                kind="unknown",
                chip=None,
                architecture=name,
                capability=None if lowest is None else parse_capability(lowest),
                memory_mib=None,
                memory_note="",
                flavours=tuple(architecture["flavours"]),
                first_branch=architecture["first_branch"],
                last_branch=architecture["last_branch"],
                known=False,
            )
    raise AssertionError(f"the ranges in {TABLE.name} leave out {device}")
