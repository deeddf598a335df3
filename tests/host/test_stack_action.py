"""Whose lock a run may break: that of a process of this very machine which is no more (B.3)."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ai_services.migrate.host_tool import LockedError

pytestmark = pytest.mark.promise("B.3")
SOURCE = Path(__file__).parents[2] / "ansible" / "plugins" / "action" / "ai_release.py"


@pytest.fixture(scope="module")
def action() -> ModuleType:
    """The action plugin as a module."""
    spec = importlib.util.spec_from_file_location("ai_release_action", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holder(host: str, pid: str) -> dict[str, Any]:
    return {"token": "t", "owner": {"user": "ann", "host": host, "pid": pid}}


@pytest.mark.parametrize("who", ["ansible", "migrate"])
def test_only_a_dead_process_of_this_very_machine_is_known_to_be_dead(action: ModuleType, who: str) -> None:
    """Both break locks: the action plugin for a deploy, the operator's side of a migration for its own runs."""
    here, me, boot = socket.gethostname(), os.getpid(), action._boot()
    if not boot:
        pytest.skip("this kernel does not say when it was started")

    def is_dead(held: dict[str, Any]) -> bool:
        return bool(action._is_dead(held)) if who == "ansible" else LockedError("", held).is_dead

    assert not is_dead(holder(here, f"{me}:{action._started(me)}:{boot}")), "it lives"
    assert is_dead(holder(here, f"{me}:1:{boot}")), "another one has its number"
    assert is_dead(holder(here, f"4194305:77:{boot}")), "there is no such process"
    assert not is_dead(holder("elsewhere", f"4194305:77:{boot}"))
    assert not is_dead(holder(here, "4194305:77:another-boot")), "another machine of the same name"
    assert not is_dead(holder(here, "4194305:77:")), "a machine that does not say when it was started"
    assert not is_dead({})
