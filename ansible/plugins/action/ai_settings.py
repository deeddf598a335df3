"""Checks every `ai_*` variable with the one model, before any connection, and sets them all with their defaults."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ansible.utils.vars import load_extra_vars

from ansible.plugins.action import ActionBase

_CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_CHECKOUT / "src"))

# Not settings: what our own plays and roles remember.
_OURS = ("ai_plan", "ai_facts", "ai_stack_", "ai_verified")


class ActionModule(ActionBase):
    """`ai_settings: {purpose: deploy|destroy}`; facts: every `ai_*`; fails with every problem by name."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate; opens no connection."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            from ai_services.host.settings_load import SettingsError, load, public
        except ImportError as error:
            return result | _cannot_import(error)
        given = {
            name: self._templar.template(value)
            for name, value in (task_vars or {}).items()
            if name.startswith("ai_") and not name.startswith(_OURS)
        }
        try:
            settings = load(_plain(given), self._task.args.get("purpose", "deploy"))
            facts = public(settings)
            problems = self._kept_as_written(facts)
        except SettingsError as error:
            problems = [str(problem) for problem in error.problems]
        if problems:
            words = "\n".join(["The settings are not right; the host was not touched.", *problems])
            return result | {"failed": True, "msg": words}
        # As one, too: a release notes the settings that it was made from.
        return result | {"changed": False, "ansible_facts": {**facts, "ai_stack_settings": facts}}

    def _kept_as_written(self, facts: dict[str, Any]) -> list[str]:
        """Return a sentence for each extra variable that roles would see in another form than the model's.

        Nothing is stronger than an extra variable: what it says stays as it is written, whatever is set here.
        """
        extra = _plain(load_extra_vars(self._loader))
        found = []
        for name, value in facts.items():
            if name not in extra:
                continue
            if "{{" in str(extra[name]) or (type(extra[name]) is type(value) and extra[name] == value):
                continue
            if extra[name] is None and value is None:
                continue
            found.append(
                f"{name}: is understood, but roles would read it as {extra[name]!r} and not as {value!r}. "
                f"Write it so, in ai.yml (-e @ai.yml) or as JSON: -e '{_as_json(name, value)}'"
            )
        return found


def _plain(value: Any) -> Any:
    """Return Ansible's tagged and lazy containers as plain ones, which is what a model expects."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _as_json(name: str, value: Any) -> str:
    return json.dumps({name: value})


def _cannot_import(error: ImportError) -> dict[str, Any]:
    return {
        "failed": True,
        "msg": f"This ansible-playbook runs under {sys.executable}, which lacks what the playbooks need ({error}). "
        f"Run {_CHECKOUT}/.venv/bin/ansible-playbook instead; `./ai deploy --help` makes it.",
    }
