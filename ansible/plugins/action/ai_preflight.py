"""Looks at the host with the doctor's one file and plans what it can run; changes nothing, also not in check mode."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

_CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_CHECKOUT / "src"))


class ActionModule(ActionBase):
    """`ai_preflight:`; facts: `ai_plan`, `ai_facts`, `*_zipapp` (what hosts get); fails with the plan's refusals."""

    TRANSFERS_FILES = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send the doctor, read its facts, plan."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            from ai_services.backup.bundle import build as build_backup
            from ai_services.doctor.bundle import build
            from ai_services.host.plan import make_plan
            from ai_services.host.settings_table import variables
        except ImportError as error:
            words = f"The plan cannot be made ({error}). Run .venv/bin/ansible-playbook; `./ai deploy --help` makes it."
            return result | {"failed": True, "msg": words}
        values = task_vars or {}
        settings = {name: self._templar.template(values[name]) for name in variables() if name in values}
        # One file for all hosts of this run; Ansible removes the folder when it ends.
        zipapp = build(Path(constants.DEFAULT_LOCAL_TMP) / "doctor.pyz")
        found = self._look(zipapp, settings.get("ai_domain"))
        if "msg" in found:
            return result | found | {"failed": True}
        facts = found["facts"]
        now = datetime.datetime.now(datetime.UTC)
        plan = make_plan(facts, settings, local=self._connection.transport == "local", now=now).as_dict()
        event = {"event": "plan", **{key: plan.get(key, []) for key in ("plan", "warnings", "refusals")}}
        if plan["refusals"]:
            words = [f"{entry['what']} {entry['why']} {entry['nearest']}" for entry in plan["refusals"]]
            message = "\n".join(["This host cannot become what was asked for; nothing was changed.", *words])
            return result | {"failed": True, "msg": message, "ai_event": event}
        learned = {"ai_plan": plan, "ai_facts": facts, "base_doctor_zipapp": str(zipapp)}
        learned["backup_zipapp"] = str(build_backup(zipapp.with_name("ai-backup")))
        return result | {"changed": False, "ansible_facts": learned, "ai_event": event}

    def _look(self, zipapp: Path, domain: str | None) -> dict[str, Any]:
        """Return {"facts": …} or {"msg": why not}. What was sent is removed again."""
        folder = self._make_tmp_path()
        try:
            there = self._connection._shell.join_path(folder, "doctor.pyz")
            self._transfer_file(str(zipapp), there)
            self._fixup_perms2((folder, there))
            words = ["python3", there, "facts", *(["--domain", domain] if domain else [])]
            answer = self._low_level_execute_command(shlex.join(words), sudoable=True)
        finally:
            self._remove_tmp_path(folder)
        said = (answer.get("stderr") or answer.get("stdout") or "").strip()
        if answer["rc"] == 127:
            return {"msg": "The host has no python3. Install it there: sudo apt-get install python3"}
        if answer["rc"]:
            return {"msg": f"Looking at the host failed (status {answer['rc']}): {said[-1000:]}"}
        try:
            return {"facts": json.loads(answer["stdout"])}
        except ValueError:
            return {"msg": f"What the host said of itself is no JSON; a login script that prints? {said[:300]}"}
