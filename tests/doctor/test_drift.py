"""B.5: what was written on a host is compared with what lies there now."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ai_services.doctor.observe_release import files

pytestmark = pytest.mark.promise("B.5")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine with a release, and one file that a role noted."""
    release = tmp_path / "opt/ai/releases/0123456789ab"
    release.mkdir(parents=True)
    (tmp_path / "opt/ai/current").symlink_to("releases/0123456789ab")
    sums = {}
    for name, content in {"compose.yaml": "services: {}\n", ".env": "COMPOSE_PROFILES=\n"}.items():
        (release / name).write_text(content)
        (tmp_path / "opt/ai" / name).symlink_to(f"current/{name}")
        sums[name] = hashlib.sha256(content.encode()).hexdigest()
    (release / "release.json").write_text(json.dumps({"files": sums}))
    noted = tmp_path / "etc/noted"
    noted.parent.mkdir()
    noted.write_text("x")
    (tmp_path / "opt/ai/expected").mkdir()
    note = {"files": {str(noted): {"sha256": hashlib.sha256(b"x").hexdigest()}}}
    (tmp_path / "opt/ai/expected/role.json").write_text(json.dumps(note))
    return tmp_path


def drift(root: Path) -> dict[str, str | None]:
    """What differs, by path below `root`."""
    rows = files(root / "opt/ai")
    return {row["path"].removeprefix(f"{root}/"): row["found"] for row in rows if row["found"] != row["expected"]}


def test_nothing_differs_right_after_a_deploy(root: Path) -> None:
    assert drift(root) == {}
    assert len(files(root / "opt/ai")) == 5


@pytest.mark.parametrize("path", ["opt/ai/current/compose.yaml", "opt/ai/current/.env", "etc/noted"])
def test_a_file_that_was_changed_or_deleted_is_told(root: Path, path: str) -> None:
    (root / path).write_text((root / path).read_text() + "# mine\nmore\n")
    assert path in drift(root)
    (root / path).unlink()
    assert drift(root)[path] is None


def test_another_compose_file_where_it_is_called_from_is_told(root: Path) -> None:
    """The link is taken for the file by whoever edits it carelessly."""
    (root / "opt/ai/compose.yaml").unlink()
    (root / "opt/ai/compose.yaml").write_text("services: {other: {}}\n")
    assert list(drift(root)) == ["opt/ai/compose.yaml"]
