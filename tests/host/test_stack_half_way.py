"""While a migration is half way the old service is part of the host: only the migration itself changes its releases."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from ai_stack import history, tool
from ai_stack.lock import Lock

pytestmark = pytest.mark.promise("B.3")
SOURCE = Path(__file__).parents[2] / "ansible" / "plugins" / "modules" / "ai_release.py"
ID = "20261121-210000-abcdef"


def begun(root: Path, phase: str) -> None:
    place = root / "migration" / "current"
    place.mkdir(parents=True)
    (place / "state.json").write_text(json.dumps({"id": ID, "phase": phase}))


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module ai_release, which finds on a host what Ansible packs beside it."""
    for path in Path(str(history.__file__)).parent.glob("*.py"):
        name = path.stem if path.stem != "__init__" else ""
        ours = importlib.import_module(f"ai_stack.{name}".rstrip("."))
        monkeypatch.setitem(sys.modules, f"ansible.module_utils.ai_stack.{name}".rstrip("."), ours)
    spec = importlib.util.spec_from_file_location("ai_release_module", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


class Ended(Exception):  # noqa: N818 -- an answer, as Ansible's modules give it
    """What a module said at its end."""


def lock(module: ModuleType, root: Path, token: str, *, migrates: bool = False) -> dict[str, Any]:
    """Ask for the lock as a playbook does; returns what the module answers."""

    def end(**said: Any) -> None:
        raise Ended(said)

    ask = {
        "broken": "",
        "run": {"token": token, "migrates": migrates},
        "why": "deploy",
        "lease_s": 60,
        "life": os.getpid(),
    }
    stand_in = SimpleNamespace(params=ask, check_mode=False, exit_json=end, fail_json=end)
    with pytest.raises(Ended) as ended:
        module._locked(stand_in, root)
    return dict(ended.value.args[0])


@pytest.mark.parametrize(("phase", "is_refused"), [("begun", True), ("undoing", True), ("migrated", False)])
def test_a_deploy_waits_for_its_end(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: str, is_refused: bool
) -> None:
    """It knows nothing of the old doors, and of what stands in for the old port: callers would reach nobody."""
    begun(tmp_path, phase)
    held = Lock(tmp_path / "run")
    monkeypatch.setattr(module, "Lock", lambda: held)
    said = lock(module, tmp_path, "deploy")
    assert ("./ai migrate HOST" in said.get("msg", "")) is is_refused
    assert held.release("deploy") is not is_refused


def test_its_own_runs_are_let_in(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a reboot for a driver, which forgets every lock."""
    begun(tmp_path, "begun")
    held = Lock(tmp_path / "run")
    monkeypatch.setattr(module, "Lock", lambda: held)
    assert lock(module, tmp_path, "migrate", migrates=True) == {"changed": False}
    assert held.release("migrate")


def test_a_rollback_of_releases_is_no_way_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The release before has a gateway alone: our speech service would go, and the old one rests."""
    begun(tmp_path, "begun")
    with pytest.raises(SystemExit) as refused:
        tool.main(["rollback", "--root", str(tmp_path)])
    assert refused.value.code == tool.USAGE
    assert f"Migration {ID} of this host is half way" in capsys.readouterr().err
