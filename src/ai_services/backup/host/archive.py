"""What an archive is made of: a tar of regular members in one fixed order, so that nothing but ours can be read.

manifest.json                       what it is, from which host, every file with its size and sum, the names of streams
files/<name>                        each file of the manifest, in its order
streams/<service>/<name>/<number>   parts of what has no size beforehand (a database's dump), at most PART_BYTES each
index.json                          sum of the manifest, size and sum of each stream; an archive without it is none

Headers hold a name and a size and nothing else: any other header than the one that `header` makes is refused, and so
are links, devices and names that lead elsewhere. Nothing is compressed, so nothing grows while it is read.
`age --decrypt … | tar --list` shows an archive to anybody who has the key.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import asdict, dataclass
from typing import Any

FORMAT = 1
PRODUCT = "ai-services"
MANIFEST, INDEX = "manifest.json", "index.json"
FILES, STREAMS = "files/", "streams/"
BLOCK_BYTES = 512
PART_BYTES = 4 * 2**20
# Both are read into memory at once.
MANIFEST_LIMIT_BYTES = 16 * 2**20
FILES_LIMIT_BYTES = 64 * 2**20
FILE_COUNT_LIMIT = 20_000
# Of the 16 hexadecimal digits of an archive's number, so many say whose it is; the rest is random.
MARK_DIGITS = 8
STREAM_COUNT_LIMIT = 1000

_WORD = r"[A-Za-z0-9_.][A-Za-z0-9_.@=+:-]{0,99}"
_NAME = re.compile(rf"{_WORD}(?:/{_WORD}){{0,12}}")
SERVICE = re.compile(r"[a-z][a-z0-9-]{0,40}")
_ID = re.compile(r"[0-9a-f]{16}")
_SUM = re.compile(r"[0-9a-f]{64}")
# Kinds of streams: the output of a command, or the contents of a directory.
KINDS = ("dump", "tree")


class ArchiveError(Exception):
    """The archive is damaged, cut off, of something else, or of a later version; the message says which."""


def is_name(name: object) -> bool:
    """Whether `name` is a path inside an archive: plain words, none of them leading elsewhere."""
    return (
        isinstance(name, str)
        and len(name) <= 230
        # A tar's header has room for so much before the last word.
        and len(name.rpartition("/")[0]) <= 149
        and _NAME.fullmatch(name) is not None
        and not {".", ".."} & set(name.split("/"))
    )


def is_model(model: object) -> bool:
    """Whether this is a model of a manifest: what is shown of it, and asked of an engine, is printable, no option."""
    return (
        isinstance(model, dict)
        and set(model) == {"engine", "name", "digest"}
        and all(isinstance(value, str) and len(value) <= 300 and value.isprintable() for value in model.values())
        and re.match(r"[A-Za-z0-9_./]", model["name"]) is not None
    )


def header(name: str, size: int) -> bytes:
    """Return the one block that may stand before the content of a member."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o600
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size: int) -> int:
    """How many zero bytes follow a content of `size` bytes."""
    return -size % BLOCK_BYTES


@dataclass(frozen=True)
class SavedFile:
    """One file: `name` as places.py gives it, its sum, and what it had for mode and owner (numbers)."""

    name: str
    size: int
    sha256: str
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Stream:
    """Something without a size: `kind` is one of KINDS, `service` says whose it is."""

    service: str
    name: str
    kind: str

    @property
    def path(self) -> str:
        """Its folder in the archive."""
        return f"{STREAMS}{self.service}/{self.name}"

    def __str__(self) -> str:
        return f"{self.service}/{self.name}"


@dataclass(frozen=True)
class Manifest:
    """The first member. `settings` are those that the host was deployed with, `given` the operator's own at the time.

    `id` begins with the mark of the host (`collect.mark`); `made` is UTC as 2026-11-21T20:30:00Z; `models` have
    `engine`, `name` and `digest`.
    """

    id: str
    made: str
    host: str
    domain: str
    version: str
    settings: dict[str, Any]
    given: dict[str, Any]
    models: list[dict[str, str]]
    files: list[SavedFile]
    streams: list[Stream]

    def to_json(self) -> dict[str, Any]:
        """Return it as it is written."""
        return {"format": FORMAT, "product": PRODUCT, **asdict(self)}

    @classmethod
    def from_json(cls, raw: Any) -> Manifest:
        """Read what `to_json` made.

        Raises:
            ArchiveError: it is of something else, of a later version, or not as we write it.
        """
        if not isinstance(raw, dict) or raw.get("product") != PRODUCT:
            raise ArchiveError("It is no backup of ai-services: it does not begin with one's manifest.")
        if not isinstance(raw.get("format"), int) or raw["format"] > FORMAT:
            version, form = (
                "".join(filter(str.isprintable, str(raw.get(name))))[:40] for name in ("version", "format")
            )
            raise ArchiveError(
                f"It was made by a later version ({version}, format {form}; up to {FORMAT} can be read here). "
                "Update this checkout."
            )
        try:
            found = cls(
                **{name: _text(raw, name) for name in ("id", "made", "host", "domain", "version")},
                settings=_mapping(raw, "settings"),
                given=_mapping(raw, "given"),
                models=[dict(model) for model in raw["models"]],
                files=[SavedFile(**entry) for entry in raw["files"]],
                streams=[Stream(**entry) for entry in raw["streams"]],
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ArchiveError("Its manifest is not as we write it.") from None
        _check(found)
        return found


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw[name]
    if not isinstance(value, str) or len(value) > 300 or not value.isprintable():
        raise ValueError(name)
    return value


def _mapping(raw: dict[str, Any], name: str) -> dict[str, Any]:
    value = raw[name]
    if not isinstance(value, dict):
        raise TypeError(name)
    return value


def _check(manifest: Manifest) -> None:
    if not _ID.fullmatch(manifest.id):
        raise ArchiveError("Its manifest has no number of ours.")
    if max(len(manifest.files), len(manifest.models)) > FILE_COUNT_LIMIT or len(manifest.streams) > STREAM_COUNT_LIMIT:
        raise ArchiveError("It claims to hold more files than any backup of ours.")
    if not all(map(is_model, manifest.models)):
        raise ArchiveError("Its manifest names a model that cannot be one.")
    total = 0
    for entry in manifest.files:
        numbers = (entry.size, entry.mode, entry.uid, entry.gid)
        if not all(isinstance(number, int) and not isinstance(number, bool) and number >= 0 for number in numbers):
            raise ArchiveError(f"Its manifest has no proper numbers for {entry.name!r}.")
        if not is_name(entry.name) or not _SUM.fullmatch(str(entry.sha256)):
            raise ArchiveError(f"Its manifest names a file that cannot be one of ours: {str(entry.name)[:80]!r}.")
        if entry.mode > 0o777 or max(entry.uid, entry.gid) > 65535:
            raise ArchiveError(f"Its manifest gives {entry.name} rights that no file of ours has.")
        total += entry.size
    if total > FILES_LIMIT_BYTES:
        raise ArchiveError(f"Its files would take {total} bytes; no backup of ours has more than {FILES_LIMIT_BYTES}.")
    for stream in manifest.streams:
        good = SERVICE.fullmatch(str(stream.service)) and is_name(stream.name) and "/" not in stream.name
        if not good or stream.kind not in KINDS:
            raise ArchiveError(f"Its manifest names a stream that cannot be one of ours: {str(stream.name)[:80]!r}.")
    names = [entry.name for entry in manifest.files] + [stream.path for stream in manifest.streams]
    known = set(names)
    if len(known) != len(names):
        raise ArchiveError("Its manifest names something twice.")
    for name in names:
        if above := {"/".join(name.split("/")[:depth]) for depth in range(1, name.count("/") + 1)} & known:
            raise ArchiveError(f"Its manifest names {above.pop()} as a file and as a folder.")
