"""Writes an archive to a stream that cannot be gone back in; see archive.py for its form."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import BinaryIO

from ai_services.backup.host.archive import (
    BLOCK_BYTES,
    FILES,
    INDEX,
    MANIFEST,
    PART_BYTES,
    Manifest,
    Stream,
    header,
    padding,
)

# Reads at most that many bytes of a stream; nothing is its end.
Read = Callable[[int], bytes]


def write(
    out: BinaryIO, manifest: Manifest, contents: Mapping[str, bytes], open_stream: Callable[[Stream], Read]
) -> None:
    """Write everything that `manifest` names: `contents` of its files by name, and its streams as they are opened.

    At most one part of a stream is in memory at a time.

    Raises:
        OSError: nobody reads any more. Whatever `open_stream` and its readers raise.
    """
    first = _json(manifest.to_json())
    _member(out, MANIFEST, first)
    for entry in manifest.files:
        _member(out, FILES + entry.name, contents[entry.name])
    index = {}
    for stream in manifest.streams:
        digest, size, number = hashlib.sha256(), 0, 0
        for part in _parts(open_stream(stream)):
            number += 1
            _member(out, f"{stream.path}/{number:06d}", part)
            digest.update(part)
            size += len(part)
        index[str(stream)] = {"parts": number, "size": size, "sha256": digest.hexdigest()}
    _member(out, INDEX, _json(index_of(first, index)))
    out.write(bytes(2 * BLOCK_BYTES))
    out.flush()


def index_of(manifest: bytes, streams: Mapping[str, object]) -> dict[str, object]:
    """Return the last member: the sum of the first, and of each stream what is known only now."""
    return {"manifest": hashlib.sha256(manifest).hexdigest(), "streams": dict(streams)}


def _parts(read: Read) -> Iterable[bytes]:
    while True:
        part = bytearray()
        while len(part) < PART_BYTES and (block := read(min(PART_BYTES - len(part), 2**18))):
            part += block
        if not part:
            return
        yield bytes(part)


def _member(out: BinaryIO, name: str, content: bytes) -> None:
    out.write(header(name, len(content)))
    out.write(content)
    out.write(bytes(padding(len(content))))


def _json(content: object) -> bytes:
    return json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n"
