"""Asks the host from outside, from where Ansible runs, and lists what was verified."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

_CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_CHECKOUT / "src"))

_KEY_FILE = "/opt/ai/secrets/api.key"


class ActionModule(ActionBase):
    """`ai_verify:`; the checks, one by one, are in the result; fails where one of them fails."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Fetch a key from the host, then ask the host as a client would."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            from ai_services.host.settings_table import variables
            from ai_services.host.verify import look
        except ImportError as error:
            words = f"Nothing can be verified ({error}). Run .venv/bin/ansible-playbook; `./ai deploy --help` makes it."
            return result | {"failed": True, "msg": words}
        values = task_vars or {}
        settings = {name: self._templar.template(values[name]) for name in variables() if name in values}
        plan = self._templar.template(values.get("ai_plan", {}))
        answer = self._low_level_execute_command(f"head -n 1 {_KEY_FILE}", sudoable=True)
        key = answer["stdout"].strip()
        if answer["rc"] or not key:
            return result | {"failed": True, "msg": f"The host has no key in {_KEY_FILE}; was ai_stack deployed?"}
        checks = []
        for check in look(settings, address=self._address(values), key=key, plan=plan):
            checks.append(asdict(check))
            _tell(f"{check.name}: {check.detail if check.ok else 'wrong'}", self._task.get_name())
        wrong = [f"{check['name']}: {check['detail']} {check['hint']}".rstrip() for check in checks if not check["ok"]]
        event = {"event": "verified", "checks": checks}
        if wrong:
            words = "\n".join(["The host does not answer as it should:", *wrong])
            return result | {"failed": True, "msg": words, "ai_event": event}
        return result | {"changed": False, "ai_event": event}

    def _address(self, values: dict[str, Any]) -> str:
        if self._connection.transport == "local":
            return "127.0.0.1"
        return str(self._play_context.remote_addr or values["inventory_hostname"])


def _tell(text: str, task: str) -> None:
    """Say how far it is where `./ai deploy` listens: its callback sees only the end of a task."""
    path = os.environ.get("AI_EVENTS")
    if path:
        line = {"event": "retry", "time": time.time(), "role": "", "task": task, "progress": {"text": text}}
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line, ensure_ascii=False) + "\n")
