"""A damaged, cut off, foreign, hostile or later archive is refused whole (issue 6)."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from ai_services.backup.host.archive import (
    FILES_LIMIT_BYTES,
    PART_BYTES,
    ArchiveError,
    Manifest,
    SavedFile,
    Stream,
    header,
    is_name,
    padding,
)
from ai_services.backup.host.reader import FileRead, PartRead, events, verify

from .archives import DUMP, KEYS, archive, manifest, member, tar

BLOCK = 512


def members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The members of an archive, as any tar program sees them."""
    with tarfile.open(fileobj=io.BytesIO(content)) as read:
        for info in read:
            file = read.extractfile(info)
            assert file is not None
            yield info.name, file.read()


def written(parts: list[tuple[str, bytes]]) -> bytes:
    """An archive of these members, under proper headers."""
    blocks = b"".join(header(name, len(body)) + body + bytes(padding(len(body))) for name, body in parts)
    return blocks + bytes(2 * BLOCK)


def refusal(content: bytes) -> str:
    with pytest.raises(ArchiveError) as raised:
        verify(io.BytesIO(content))
    return str(raised.value)


def test_what_was_saved_comes_back() -> None:
    dump = bytes(range(256)) * 40_000  # more than two parts
    told = manifest(streams=(DUMP, Stream("made-up", "empty", "dump")))
    content = archive(told, dumps={DUMP: dump, told.streams[1]: b""})
    files, parts, order = {}, [], []
    for event in events(io.BytesIO(content)):
        if isinstance(event, FileRead):
            files[event.entry.name] = event.content
        elif isinstance(event, PartRead):
            order.append(str(event.stream))
            if event.stream == DUMP:
                parts.append(event.content)
        else:
            assert event == told
    assert files == KEYS
    assert b"".join(parts) == dump
    assert max(map(len, parts)) == PART_BYTES
    assert order[-1] == "made-up/empty"


def test_any_tar_program_reads_it() -> None:
    names = [name for name, _ in members(archive())]
    assert names == [
        "manifest.json", "files/secrets/api.key", "files/secrets/gateway/api_keys", "streams/made-up/database/000001",
        "index.json",
    ]  # fmt: skip


def test_one_that_is_cut_off_is_refused_wherever_that_is() -> None:
    content = archive()
    for length in range(0, len(content), 128):
        assert refusal(content[:length]), f"cut off after {length} bytes, and taken"
    assert refusal(content[:-1])


def test_one_byte_that_differs_is_enough() -> None:
    """Without the encryption around it, which would notice by itself."""
    content = archive()
    for place in range(0, len(content), 5):
        changed = bytearray(content)
        changed[place] ^= 0x20
        with pytest.raises(ArchiveError):
            verify(io.BytesIO(bytes(changed)))


def test_what_follows_after_the_end_is_refused() -> None:
    assert "follows after its end" in refusal(archive() + b"more")
    assert verify(io.BytesIO(archive() + bytes(10_240))).host == "gpu-1"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "It is empty"),
        (b"hello, world\n" * 100, "no backup of ai-services"),
        (tar(member("etc/passwd")), "where manifest.json has to be"),
        (tar(member("manifest.json"), content=b'{"product": "other"}'), "no backup of ai-services"),
        (tar(member("manifest.json"), content=b"[1, 2"), "cannot be read"),
        (tar(member("manifest.json"), content=b"[" * 100_000), "cannot be read"),
        (tar(member("manifest.json", mode=0o4755)), "no backup of ours has"),
    ],
)
def test_foreign_ones_are_refused(content: bytes, words: str) -> None:
    assert words in refusal(content)


@pytest.mark.parametrize(
    ("hostile", "words"),
    [
        (member("files/secrets/api.key", tarfile.SYMTYPE, "/etc/shadow"), "a symbolic link"),
        (member("files/secrets/api.key", tarfile.LNKTYPE, "manifest.json"), "a hard link"),
        (member("files/secrets/api.key", tarfile.CHRTYPE), "a device"),
        (member("files/secrets/api.key", tarfile.BLKTYPE), "a device"),
        (member("files/secrets/api.key", tarfile.FIFOTYPE), "a pipe"),
        (member("files/secrets/api.key", tarfile.DIRTYPE), "no backup of ours has"),
        (member("/etc/cron.d/x"), "leads elsewhere"),
        (member("files/../../etc/cron.d/x"), "leads elsewhere"),
    ],
)
def test_hostile_members_are_refused(hostile: tarfile.TarInfo, words: str) -> None:
    first = next(members(archive()))
    begin = written([first])[: -2 * BLOCK]
    assert words in refusal(begin + tar(hostile, content=KEYS["secrets/api.key"]))


def test_long_names_of_other_tars_are_refused() -> None:
    """They come in members of their own, which may be of any size."""
    first = next(members(archive()))
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        assert refusal(written([first])[: -2 * BLOCK] + tar(member("files/" + "x" * 300), form=form))


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"name": "../secrets/api.key"}, "cannot be one of ours"),
        ({"name": "/etc/shadow"}, "cannot be one of ours"),
        ({"name": "secrets/./api.key"}, "cannot be one of ours"),
        ({"name": "secrets/" + "x" * 300}, "cannot be one of ours"),
        ({"name": "secrets/a\nb"}, "cannot be one of ours"),
        ({"mode": 0o4755}, "rights that no file of ours has"),
        ({"uid": 1 << 32}, "rights that no file of ours has"),
        ({"size": -1}, "proper numbers"),
        ({"size": True}, "proper numbers"),
        ({"size": FILES_LIMIT_BYTES + 1}, "no backup of ours has more"),
        ({"sha256": "0"}, "cannot be one of ours"),
    ],
)
def test_a_manifest_with_impossible_files_is_refused(entry: dict[str, object], words: str) -> None:
    told = manifest()
    wrong = replace(told, files=[SavedFile(**{**vars(told.files[0]), **entry})])
    with pytest.raises(ArchiveError, match=words):
        Manifest.from_json(json.loads(json.dumps(wrong.to_json())))


@pytest.mark.parametrize(
    "change",
    [
        {"files": "none"}, {"files": [{"name": "secrets/a"}]}, {"settings": []}, {"host": 5}, {"host": "a\x1b[2J"},
        {"models": ["x"]}, {"streams": [{"service": "../x", "name": "d", "kind": "dump"}]}, {"id": "x"},
        {"streams": [{"service": "a", "name": "d", "kind": "device"}]},
        {"streams": [{"service": "a", "name": "d", "kind": "dump"}] * 2},
    ],
)  # fmt: skip
def test_a_manifest_that_is_not_as_we_write_it_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ArchiveError):
        Manifest.from_json({**manifest().to_json(), **change})


def test_one_of_a_later_version_says_so() -> None:
    with pytest.raises(ArchiveError, match=r"later version \(9\.0\.0, format 2"):
        Manifest.from_json({**manifest(version="9.0.0").to_json(), "format": 2})


def test_a_bomb_is_refused_before_it_is_read() -> None:
    """A header that claims gigabytes costs nothing but its block."""
    parts = list(members(archive()))
    bomb = written(parts[:3])[: -2 * BLOCK] + header("streams/made-up/database/000001", 7 * 2**30)
    source = io.BytesIO(bomb + bytes(2**20))
    with pytest.raises(ArchiveError, match="which it cannot have"):
        verify(source)
    assert source.tell() <= len(bomb) + 2**16


@pytest.mark.parametrize("order", [(1, 0, 2, 3, 4), (0, 2, 1, 3, 4), (0, 1, 3, 4), (0, 1, 2, 4), (0, 1, 1, 2, 3, 4)])
def test_members_that_are_moved_missing_or_twice_are_refused(order: tuple[int, ...]) -> None:
    parts = list(members(archive()))
    assert verify(io.BytesIO(written(parts)))
    assert refusal(written([parts[index] for index in order]))


def test_another_manifest_before_the_same_files_is_refused() -> None:
    parts = list(members(archive()))
    parts[0] = (parts[0][0], parts[0][1].replace(b"ai.example.com", b"ai.example.org"))
    assert "does not hold what its index says" in refusal(written(parts))


@pytest.mark.parametrize(
    "model",
    [
        {"engine": "ollama", "name": "m:1"},
        {"engine": "ollama", "name": "--insecure", "digest": "x"},
        {"engine": "ollama", "name": "m\x1b[2J", "digest": "x"},
        {"engine": "ollama", "name": "m", "digest": 5},
    ],
)
def test_a_manifest_with_impossible_models_is_refused(model: dict[str, Any]) -> None:
    """They are shown on a terminal, and asked of an engine."""
    with pytest.raises(ArchiveError, match="a model that cannot be one"):
        Manifest.from_json({**manifest().to_json(), "models": [model]})


def test_a_name_that_is_a_file_and_a_folder_is_refused() -> None:
    contents = {"secrets/a": b"1", "secrets/a/b": b"2"}
    assert "secrets/a as a file and as a folder" in refusal(archive(manifest(contents, ()), contents))


def test_every_name_that_may_be_saved_has_room_in_a_header() -> None:
    for name in ("secrets/" + "x" * 100, "/".join(["d" * 49] * 3) + "/" + "x" * 80):
        assert is_name(name)
        assert len(header(f"files/{name}", 1)) == BLOCK
    assert not is_name("/".join(["d" * 75] * 2) + "/x")


def test_the_version_of_a_later_one_does_not_reach_the_terminal_as_it_is() -> None:
    with pytest.raises(ArchiveError) as raised:
        Manifest.from_json({**manifest().to_json(), "version": "9\x1b[2J", "format": 2})
    assert "\x1b" not in str(raised.value)
