"""An old service that is a unit of systemd: off at boot while ours serves, and back as it was, by systemctl itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from ai_stack.engine import Engine
from ai_stack.migration import old
from ai_stack.migration.old import Old
from ai_stack.migration.state import MigrationError

pytestmark = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is needed; it need not run")
UNIT = "[Service]\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine's files, on which `systemctl` works that is not running there."""
    for name in ("etc/systemd/system", "opt/app"):
        (tmp_path / name).mkdir(parents=True)

    def do(command: list[str], _: float = 0) -> str:
        if command[1] in ("enable", "disable"):
            done = subprocess.run([command[0], f"--root={tmp_path}", *command[1:]], capture_output=True, check=False)
            if done.returncode:
                raise MigrationError(done.stderr.decode())
        return ""

    monkeypatch.setattr(old, "UNITS", tmp_path / "etc/systemd/system")
    monkeypatch.setattr(old, "_do", do)
    return tmp_path


def links(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): str(path.readlink()) for path in root.rglob("*") if path.is_symlink()}


def service() -> Old:
    return Old({"api": "asr", "port": 9000, "units": [{"name": "whisper.service", "enabled": True}]}, Engine())


@pytest.mark.parametrize("place", ["/etc/systemd/system/whisper.service", "/opt/app/whisper.service"])
def test_a_unit_comes_back_wherever_its_file_is(root: Path, place: str) -> None:
    """`systemctl enable /opt/app/whisper.service` is how many write it; `disable` forgets such a unit altogether."""
    (root / place.lstrip("/")).write_text(UNIT)
    subprocess.run(["systemctl", f"--root={root}", "enable", place], check=True, capture_output=True)
    before = links(root)
    service().stop()
    assert not [name for name in links(root) if ".wants/" in name]
    service().start()
    assert links(root) == before


def test_one_that_was_cut_off_in_between_comes_back_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "opt/app/whisper.service").write_text(UNIT)
    subprocess.run(["systemctl", f"--root={root}", "enable", "/opt/app/whisper.service"], check=True)
    before = links(root)
    systemctl = old._do

    def killed(command: list[str], _: float = 0) -> str:
        systemctl(command)
        raise KeyboardInterrupt

    monkeypatch.setattr(old, "_do", killed)
    with pytest.raises(KeyboardInterrupt):
        service().stop()
    monkeypatch.setattr(old, "_do", systemctl)
    service().as_found()
    assert links(root) == before
