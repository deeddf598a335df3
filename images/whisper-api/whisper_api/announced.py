"""How long a file says it is, where its word can be taken.

FFmpeg guesses a length where the file gives none (from the bit rate and the file's size, say). A guess must not
make a whole file look cut off, so only lengths that stand in the file itself count here.
"""

from __future__ import annotations

import struct

from av.audio.stream import AudioStream
from av.container import InputContainer

HEAD_BYTES = 64 * 1024
_STATES_ITS_LENGTH = frozenset({"aiff", "flac", "w64", "caf", "tta", "wv", "ape", "mov,mp4,m4a,3gp,3g2,mj2"})
_MICROSECONDS = 1_000_000
_STREAMED_WAV = 0x7FFF0000  # a recorder that streams writes 0 or a number near 2 or 4 GiB, and means "unknown"


def announced_seconds(container: InputContainer, stream: AudioStream, head: bytes) -> float | None:
    """Seconds of sound that the file announces, or None where it does not. `head`: its first HEAD_BYTES."""
    name = container.format.name
    if name == "wav":
        return _wav_seconds(head)
    if name in _STATES_ITS_LENGTH or (name == "mp3" and _has_frame_count(head)):
        if stream.duration is None or stream.time_base is None:
            return None
        return float(stream.duration * stream.time_base)
    if name == "matroska,webm" and len(container.streams) == 1 and container.duration is not None:
        return container.duration / _MICROSECONDS
    return None


def _has_frame_count(head: bytes) -> bool:
    return any(mark in head for mark in (b"Xing", b"Info", b"VBRI"))


def _wav_seconds(head: bytes) -> float | None:
    """Data bytes over bytes a second, as the RIFF header has them."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    position, bytes_per_second = 12, 0
    while position + 8 <= len(head):
        name, size = struct.unpack_from("<4sI", head, position)
        if name == b"fmt " and position + 20 <= len(head):
            (bytes_per_second,) = struct.unpack_from("<I", head, position + 16)
        elif name == b"data":
            known = 0 < size < _STREAMED_WAV and bytes_per_second > 0
            return size / bytes_per_second if known else None
        position += 8 + size + size % 2
    return None
