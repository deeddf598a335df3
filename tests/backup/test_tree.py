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


def test_a_file_with_two_names_comes_back_under_both(tmp_path: Path) -> None:
    """As a link of the tar's own it was saved well, and refused on the day it was needed."""
    top = tmp_path / "top"
    top.mkdir()
    (top / "one").write_bytes(b"the same")
    (top / "two").hardlink_to(top / "one")
    unpacked(packed(top), tmp_path / "back")
    assert {path.name: path.read_bytes() for path in (tmp_path / "back").iterdir()} == {
        "one": b"the same", "two": b"the same",
    }  # fmt: skip


def test_a_file_that_becomes_shorter_meanwhile_is_no_failure(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    (top / "a").write_bytes(os.urandom(2**20))
    (top / "b").write_bytes(b"after it")
    read = tree.reader(top)
    blocks = [read(1000)]
    os.truncate(top / "a", 5000)
    while block := read(2**16):
        blocks.append(block)
    unpacked(b"".join(blocks), tmp_path / "back")
    assert (tmp_path / "back" / "a").stat().st_size == 2**20
    assert (tmp_path / "back" / "b").read_bytes() == b"after it"


def test_names_as_long_as_the_kernel_takes_them_come_back(tmp_path: Path) -> None:
    top, name = tmp_path / "top", "/".join(["d" * 200] * 5)
    (top / name).parent.mkdir(parents=True)
    (top / name).write_bytes(b"deep")
    (top / "link").symlink_to(name)
    unpacked(packed(top), tmp_path / "back")
    assert (tmp_path / "back" / "link").read_bytes() == b"deep"


def claiming(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The header of a member that claims to be so large."""
    info = member("x", kind)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "content",
    [
        tar(member("x" * 300), form=tarfile.PAX_FORMAT),  # a table before the member, of any size
        claiming(2**40, tarfile.GNUTYPE_SPARSE),
        claiming(2**33, tarfile.GNUTYPE_LONGNAME),
        claiming(-512),
        claiming(2**40) + bytes(1000),
        claiming(2**40, tarfile.DIRTYPE),
    ],
    ids=["pax", "sparse", "long name", "negative", "cut off", "folder with a size"],
)
def test_what_would_grow_is_refused_before_it_does(content: bytes, tmp_path: Path) -> None:
    for place in (None, tmp_path):
        with pytest.raises(ArchiveError):
            tree.unpack(io.BytesIO(content), place)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*")) <= 1000
