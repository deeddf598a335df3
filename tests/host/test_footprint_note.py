"""What was on a host before us is on its disk a second time before anything is written over it (S0.6, B.3)."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.promise("B.3")
SOURCE = Path(__file__).parents[2] / "ansible" / "plugins" / "modules" / "ai_footprint.py"


@pytest.fixture
def footprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, with its notes in a folder of the test."""
    spec = importlib.util.spec_from_file_location("ai_footprint", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "FOUND", tmp_path / "found")
    return module


def test_a_copy_is_on_the_disk_before_the_note_names_it(
    footprint: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power loss, a note of a copy that is empty would bring an empty file back."""
    synced: set[int] = set()
    fsync = os.fsync

    def counting(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counting)
    theirs = tmp_path / "nginx.conf"
    theirs.write_text("as they had it")
    kept = footprint.keep_aside("nginx", theirs, write=True)
    folder = tmp_path / "found" / "nginx"
    copy = folder / kept["copy"]
    assert {copy.stat().st_ino, folder.stat().st_ino} <= synced
    synced.clear()
    footprint.write_json(tmp_path / "found" / "nginx.json", {"files": {str(theirs): kept}}, 0o600)
    assert (tmp_path / "found").stat().st_ino in synced
    theirs.write_text("as we have it")
    footprint.bring_back("nginx", theirs, kept)
    assert theirs.read_text() == "as they had it"
