"""Server-sent events, taken apart as they arrive."""

from __future__ import annotations

MAX_EVENT_BYTES = 16 * 1024 * 1024


class EventTooLargeError(Exception):
    """One event grew past MAX_EVENT_BYTES."""


class EventReader:
    """Feed it bytes in any cut; it gives the data of every event that is complete.

    Follows the WHATWG rules as far as `data` goes: lines end in LF, CRLF or CR, a blank line ends an event, several
    data lines are joined by LF, comments and other fields are passed over.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """Data of the events that `piece` completes. Raises EventTooLargeError."""
        text = self._rest + piece
        held_back = b""
        if text.endswith(b"\r"):
            # perhaps the first half of CRLF
            text, held_back = text[:-1], b"\r"
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._rest = rest + held_back
        events: list[bytes] = []
        for line in lines:
            if not line:
                if self._data:
                    events.append(b"\n".join(self._data))
                    self._data = []
                    self._size = 0
            elif line.startswith(b"data:"):
                value = line[6:] if line[5:6] == b" " else line[5:]
                self._data.append(value)
                self._size += len(value)
        if self._size + len(self._rest) > MAX_EVENT_BYTES:
            raise EventTooLargeError
        return events
