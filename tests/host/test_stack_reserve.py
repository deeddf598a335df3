"""Room for the way back: real blocks, given free when a journal cannot be written (B.3)."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from ai_stack import journal, reserve
from ai_stack.reserve import NoRoomError, Reserve

pytestmark = pytest.mark.promise("B.3")


def test_the_room_is_real_and_goes_with_the_change(tmp_path: Path) -> None:
    with Reserve({tmp_path: 3}).held():
        (kept,) = tmp_path.iterdir()
        assert kept.stat().st_blocks * 512 >= 3 * 1024 * 1024, "a hole in a file keeps no room"
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_run_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / reserve._NAME).write_bytes(b"x")
    with Reserve({tmp_path: 1}).held():
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []


def test_where_there_is_no_room_nothing_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NoRoomError, match="MiB free, and a change needs 5 MiB"), Reserve({tmp_path: 5}).held():
        pytest.fail("it began")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_on_a_full_disk_is_written_with_the_room_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    relieved: list[bool] = []
    write = os.write

    def full(descriptor: int, content: bytes) -> int:
        if not relieved:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    log = journal.Journal(tmp_path / "journal.jsonl", "a@b", lambda: relieved.append(True))
    log.write("engine:ollama", "failed", "abc")
    assert [line["step"] for line in journal.read(log.path)] == ["engine:ollama"]
    assert relieved == [True]
    relieved.clear()
    with pytest.raises(OSError, match="No space left"), log.step("engine:whisper-api", "abc"):
        pytest.fail("the room for the way back was used to go on")
