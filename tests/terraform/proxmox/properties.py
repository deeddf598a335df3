"""Property strings, as `local-lvm:0,import-from=local:import/a.qcow2,size=20G`, and sizes in them."""

from __future__ import annotations

import re
from decimal import Decimal

from terraform.proxmox.refusals import Refused

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse(text: str, default_key: str) -> dict[str, str]:
    """The parts of a property string; the one without a name goes by `default_key`."""
    found: dict[str, str] = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if equals:
            found[key] = value
        else:
            found[default_key] = key
    return found


def joined(parts: dict[str, str], default_key: str) -> str:
    """A property string as Proxmox VE writes it: the default part bare and first, the others by name."""
    rest = [f"{key}={value}" for key, value in sorted(parts.items()) if key != default_key]
    return ",".join([*([parts[default_key]] if default_key in parts else []), *rest])


def size_bytes(text: str) -> int:
    """Bytes of `20G`, `512M`, `1024`. Refuses anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text)
    if match is None:
        raise Refused(f"unable to parse size '{text}'")
    return int(Decimal(match[1]) * _UNITS[match[2]])


def size_text(size: int) -> str:
    """A size as the configuration shows it: in the largest unit that divides it."""
    for unit in "TGMK":
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return str(size)
