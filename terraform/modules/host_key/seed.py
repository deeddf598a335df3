"""Writes the files of a machine's first boot into a folder: user-data, and with a network configuration seed.iso.

Called as `python3 seed.py FOLDER`; texts come from the environment (AI_USER_DATA, AI_META_DATA, AI_NETWORK_CONFIG),
the first-contact key from FOLDER/first. seed.iso is what cloud-init's NoCloud source looks for: an ISO 9660 volume
called cidata, with the names in its Joliet tree. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import sys
from collections.abc import Mapping
from pathlib import Path

SECTOR = 2048
LABEL = "cidata"
# 1980-01-01: the same texts make the same bytes.
_RECORD_TIME = bytes([80, 1, 1, 0, 0, 0, 0])
_VOLUME_TIME = b"1980010100000000\0"
_NO_TIME = b"0000000000000000\0"
_FIRST_FREE = 24
# Where things lie, in sectors: descriptors from 16, then per tree its two path tables and its directory.
_PRIMARY, _JOLIET = (19, 20, 23), (21, 22, 24)


def main(folder: Path, texts: Mapping[str, str]) -> None:
    """Write FOLDER/user-data, and FOLDER/seed.iso where a network configuration is given."""
    private, public = (folder / "first").read_text(), (folder / "first.pub").read_text().strip()
    user_data = with_key(texts["AI_USER_DATA"], private, public)
    _write(folder / "user-data", user_data.encode())
    if network := texts.get("AI_NETWORK_CONFIG"):
        digest = hashlib.sha256(base64.b64decode(public.split()[1])).hexdigest()[:16]
        meta_data = texts["AI_META_DATA"].replace("@INSTANCE_ID@", f"ai-{digest}")
        files = {"meta-data": meta_data, "network-config": network, "user-data": user_data}
        _write(folder / "seed.iso", image({name: text.encode() for name, text in files.items()}))


def with_key(user_data: str, private: str, public: str) -> str:
    """Return user-data with the first-contact key in place of its mark, indented as the mark is."""
    line = next(line for line in user_data.splitlines() if line.strip() == "# @FIRST_CONTACT_KEY@")
    indent = line[: len(line) - len(line.lstrip())]
    block = ["ed25519_private: |", *(f"  {part}" for part in private.splitlines()), f"ed25519_public: {public}"]
    return user_data.replace(line, "\n".join(indent + part for part in block))


def image(files: Mapping[str, bytes]) -> bytes:
    """Return an ISO 9660 volume with these files at its top, by their own names (Joliet) and by short ones."""
    place, extents, body = _FIRST_FREE + 1, {}, b""
    for name, content in files.items():
        extents[name] = (place, len(content))
        body += content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0")
        place += -(-len(content) // SECTOR)
    trees = []
    for (_, _, directory), joliet in ((_PRIMARY, False), (_JOLIET, True)):
        names = {(_joliet(name) if joliet else _short(name)): extent for name, extent in extents.items()}
        trees.append(_directory(directory, names))
    descriptors = _volume(1, place, _PRIMARY) + _volume(2, place, _JOLIET) + b"\xffCD001\x01".ljust(SECTOR, b"\0")
    tables = b"".join(_table(tree[2], order) for tree in (_PRIMARY, _JOLIET) for order in "<>")
    return bytes(16 * SECTOR) + descriptors + tables + b"".join(trees) + body


def _short(name: str) -> bytes:
    """Return a name of ISO 9660's first level: eight characters of its small alphabet."""
    return (name.replace("-", "_").upper()[:8] + ".;1").encode()


def _joliet(name: str) -> bytes:
    return f"{name};1".encode("utf-16-be")


def _both(number: int) -> bytes:
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both_short(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _record(name: bytes, place: int, size: int, *, directory: bool = False) -> bytes:
    padding = b"" if len(name) % 2 else b"\0"
    flags = bytes([2 if directory else 0, 0, 0])
    inner = _both(place) + _both(size) + _RECORD_TIME + flags + _both_short(1) + bytes([len(name)]) + name + padding
    return bytes([len(inner) + 2, 0]) + inner


def _directory(place: int, names: Mapping[bytes, tuple[int, int]]) -> bytes:
    records = [_record(name, place, SECTOR, directory=True) for name in (b"\0", b"\1")]
    records += [_record(name, *names[name]) for name in sorted(names)]
    return b"".join(records).ljust(SECTOR, b"\0")


def _table(directory: int, order: str) -> bytes:
    return (b"\1\0" + struct.pack(f"{order}IH", directory, 1) + b"\0\0").ljust(SECTOR, b"\0")


def _volume(kind: int, sectors: int, tree: tuple[int, int, int]) -> bytes:
    """Return a volume descriptor: the primary one (kind 1), or Joliet's (kind 2)."""
    little, big, directory = tree

    def text(words: str, length: int) -> bytes:
        if kind == 1:
            return words.encode().ljust(length)
        wide = words.encode("utf-16-be")
        return (wide + " ".encode("utf-16-be") * length)[: length - length % 2].ljust(length, b"\0")

    found = bytes([kind]) + b"CD001\x01\0" + text("", 32) + text(LABEL, 32) + bytes(8) + _both(sectors)
    found += (b"%/E" if kind == 2 else b"").ljust(32, b"\0")
    found += _both_short(1) + _both_short(1) + _both_short(SECTOR) + _both(10)
    found += struct.pack("<II", little, 0) + struct.pack(">II", big, 0)
    found += _record(b"\0", directory, SECTOR, directory=True)
    found += text("", 128) * 4 + text("", 37) * 3 + _VOLUME_TIME * 2 + _NO_TIME * 2 + b"\x01\0"
    return found.ljust(SECTOR, b"\0")


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]), os.environ)
