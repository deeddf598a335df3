"""A directory of a service is saved and comes back, and nothing of it can lead elsewhere (issue 6)."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from ai_services.backup.host import tree
from ai_services.backup.host.archive import ArchiveError

from .archives import member, tar


def packed(top: Path) -> bytes:
    read, blocks = tree.reader(top), []
    while block := read(1000):
        blocks.append(block)
    return b"".join(blocks)


def unpacked(content: bytes, place: Path) -> None:
    place.mkdir(exist_ok=True)
    taking = tree.Unpacking(place)
    for start in range(0, len(content), 700):
        taking.write(content[start : start + 700])
    taking.end()


def test_files_folders_and_inner_links_come_back(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "empty").mkdir(parents=True)
    (top / "deep" / "er").mkdir(parents=True)
    (top / "deep" / "er" / "ä \n file").write_bytes(os.urandom(100_000))
    (top / "deep" / "link").symlink_to("er/ä \n file")
    (top / "deep" / "er" / "ä \n file").chmod(0o640)
    os.mkfifo(top / "pipe")
    (top / "out").symlink_to("/etc/shadow")
    unpacked(packed(top), tmp_path / "back")
    back = tmp_path / "back"
    assert {path.relative_to(back).as_posix() for path in back.rglob("*")} == {
        "empty", "deep", "deep/er", "deep/er/ä \n file", "deep/link",
    }  # fmt: skip
    assert (back / "deep" / "link").read_bytes() == (top / "deep" / "link").read_bytes()
    assert (back / "deep" / "er" / "ä \n file").stat().st_mode & 0o777 == 0o640


def test_what_is_there_already_is_replaced(tmp_path: Path) -> None:
    top, back = tmp_path / "top", tmp_path / "back"
    for place, text in ((top, "new"), (back, "old")):
        place.mkdir()
        (place / "file").write_text(text)
    unpacked(packed(top), back)
    assert (back / "file").read_text() == "new"


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/cron.d/x"), member("../x"), member("a/../../x"),
        member("x", tarfile.SYMTYPE, "/etc"), member("x", tarfile.SYMTYPE, "../.."),
        member("a/x", tarfile.SYMTYPE, "../../y"),
        member("x", tarfile.LNKTYPE, "/etc/shadow"), member("x", tarfile.CHRTYPE), member("x", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.linkname}",
)  # fmt: skip
def test_hostile_members_are_refused(hostile: tarfile.TarInfo, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ArchiveError):
        tree.unpack(io.BytesIO(tar(hostile)), None)
    with pytest.raises(ArchiveError):
        tree.unpack(io.BytesIO(tar(hostile)), tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """Neither one of the archive's own nor one that was there."""
    outside, place = tmp_path / "outside", tmp_path / "place"
    outside.mkdir()
    place.mkdir()
    (place / "there").symlink_to(outside)
    with pytest.raises(ArchiveError, match="is a link"):
        tree.unpack(io.BytesIO(tar(member("there/x"))), place)
    with pytest.raises(ArchiveError, match="is a link"):
        tree.unpack(io.BytesIO(tar(member("inner", tarfile.SYMTYPE, "a"), member("inner/x"))), place)
    assert list(outside.iterdir()) == []


def test_what_is_no_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be read"):
        unpacked(b"nothing of the kind" * 1000, tmp_path)
