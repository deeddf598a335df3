"""Multipart bodies, written to disk while they arrive: one file, a few short fields, everything bounded."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from service_kit.errors import ServiceError
from whisper_api import storage

MAX_FIELD_BYTES = 64 * 1024
MAX_PARTS = 64
MAX_PART_HEADER_BYTES = 8 * 1024
FILE_FIELD = "file"
MAX_FILE_NAME = 255


@dataclass
class Form:
    """The fields by name, in the order sent; `file_bytes` is None when no file was sent.

    `file_name` is what the sender calls it: to be sent back, never to be used here.
    """

    fields: dict[str, list[str]] = field(default_factory=dict)
    file_bytes: int | None = None
    file_name: str = ""


def boundary_of(content_type: str) -> bytes:
    """Boundary of a multipart/form-data body. Raises ServiceError 415 or 400."""
    kind, options = parse_options_header(content_type)
    if kind.lower() != b"multipart/form-data":
        raise ServiceError(
            415,
            "unsupported_media_type",
            f"The body has content type {kind.decode('latin-1')[:100] or '(none)'}; "
            "this route takes multipart/form-data.",
            hint="Send the recording as form field 'file': curl -F file=@recording.mp3 ...",
        )
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 256:
        raise broken("its content type names no boundary")
    return boundary


async def read_form(
    chunks: AsyncIterator[bytes],
    boundary: bytes,
    target: Path,
    *,
    max_bytes: int,
    idle_timeout_s: float,
    file_field: str = FILE_FIELD,
    head: Callable[[str], bytes] | None = None,
) -> Form:
    """Read a form; its file goes to `target` (mode 0600), at most `max_bytes` of it.

    `file_field` is the file's name in the form; `head` gives what is to stand before a file of a content type.

    Raises ServiceError: 400 broken form, 408 nothing more comes, 413 too large.
    """
    with storage.create(target) as file:
        reader = _Reader(file, max_bytes, file_field, head)
        parser = MultipartParser(boundary, reader.callbacks())
        iterator = aiter(chunks)
        try:
            while True:
                async with asyncio.timeout(idle_timeout_s):
                    chunk = await anext(iterator)
                parser.write(chunk)
        except StopAsyncIteration:
            pass
        except TimeoutError:
            raise ServiceError(
                408, "upload_stalled", f"Nothing of the upload came for {idle_timeout_s:g} s.", hint="Send it again."
            ) from None
        except FormParserError as error:
            raise broken(str(error)[:200]) from error
        if not reader.ended:
            raise broken("it ends before its closing boundary")
    return reader.form


def read_fields(body: bytes, boundary: bytes) -> dict[str, list[str]]:
    """Fields of a small form that is already in memory. Raises ServiceError 400."""
    reader = _Reader(io.BytesIO(), MAX_FIELD_BYTES)
    try:
        MultipartParser(boundary, reader.callbacks()).write(body)
    except FormParserError as error:
        raise broken(str(error)[:200]) from error
    if not reader.ended:
        raise broken("it ends before its closing boundary")
    return reader.form.fields


class _Reader:
    """Callbacks of the parser. The body's own names for files are kept and never used."""

    def __init__(
        self,
        file: IO[bytes],
        max_bytes: int,
        file_field: str = FILE_FIELD,
        head: Callable[[str], bytes] | None = None,
    ) -> None:
        self._file_field = file_field
        self._head = head
        self._kind = b""
        self.form = Form()
        self.ended = False
        self._file = file
        self._max_bytes = max_bytes
        self._parts = 0
        self._header_name = b""
        self._header_value = b""
        self._header_bytes = 0
        self._disposition = b""
        self._name = ""
        self._value = bytearray()

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._part_begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value_part,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_finished,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def _part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise broken(f"it has more than {MAX_PARTS} parts")
        self._disposition = self._kind = b""
        self._header_bytes = 0
        self._value.clear()

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _header_value_part(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_PART_HEADER_BYTES:
            raise broken("the head of a part is too long")

    def _header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        elif self._header_name.lower() == b"content-type":
            self._kind = self._header_value
        self._header_name = self._header_value = b""

    def _headers_finished(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name")
        if name is None:
            raise broken("a part has no name")
        self._name = name.decode("utf-8", "replace")
        if self._name == self._file_field:
            if self.form.file_bytes is not None:
                raise ServiceError(
                    400, "too_many_files", "The form has two files.", hint="Send one file for each request.",
                    param=self._file_field,
                )  # fmt: skip
            self.form.file_bytes = 0
            self.form.file_name = options.get(b"filename", b"").decode("utf-8", "replace")[:MAX_FILE_NAME]
            if self._head is not None:
                self._file.write(self._head(self._kind.decode("latin-1").split(";", 1)[0].strip().lower()))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == self._file_field:
            self.form.file_bytes = (self.form.file_bytes or 0) + end - start
            if self.form.file_bytes > self._max_bytes:
                raise too_large(self._max_bytes)
            self._file.write(memoryview(data)[start:end])
            return
        if len(self._value) + end - start > MAX_FIELD_BYTES:
            raise ServiceError(
                400, "field_too_long", f"A form field is longer than {MAX_FIELD_BYTES} bytes.", param=self._name[:64]
            )
        self._value += data[start:end]

    def _part_end(self) -> None:
        if self._name != self._file_field:
            self.form.fields.setdefault(self._name, []).append(self._value.decode("utf-8", "replace"))

    def _end(self) -> None:
        self.ended = True


def too_large(max_bytes: int) -> ServiceError:
    """413 for a file over the limit."""
    return ServiceError(
        413,
        "file_too_large",
        f"The file is larger than {max_bytes // (1024 * 1024)} MiB, the most that this server takes.",
        hint="Compress it (ffmpeg -i FILE -ac 1 -b:a 48k FILE.ogg) or cut it into parts.",
        param=FILE_FIELD,
    )


def broken(why: str) -> ServiceError:
    """400 for a form that cannot be read."""
    return ServiceError(
        400, "malformed_form", f"The form cannot be read: {why}.", hint="Send it as multipart/form-data."
    )
