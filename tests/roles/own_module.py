"""Our Ansible modules, run as Ansible runs them, or imported for their functions."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

PLUGINS = Path(__file__).resolve().parents[2] / "ansible" / "plugins"


def imported(name: str) -> ModuleType:
    """The module's file as a Python module."""
    found = importlib.util.spec_from_file_location(name, PLUGINS / "modules" / f"{name}.py")
    assert found
    assert found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def ran(name: str, arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Run the module on this machine through `ansible` and answer what it returned."""
    command = [str(Path(sys.executable).with_name("ansible")), "localhost", "-m", name, "-a", json.dumps(arguments)]
    command += ["--check"] if check else []
    environment = os.environ | {
        "ANSIBLE_LIBRARY": str(PLUGINS / "modules"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.oneline",
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "ANSIBLE_NOCOLOR": "1",
    }
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=120)
    _, _, answer = shown.stdout.partition("=> ")
    assert answer, shown.stdout + shown.stderr
    result: dict[str, Any] = json.loads(answer)
    result.setdefault("failed", "FAILED!" in shown.stdout)
    return result
