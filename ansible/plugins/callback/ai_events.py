"""Writes what Ansible does as JSON lines, for `./ai deploy` to tell it in its own words.

One object a line, to the file that AI_EVENTS names; nothing is written without it. Every line has `event` and `time`
(seconds since the epoch, float):

    play      {name, hosts}
    task      {role, task}                                   a task begins
    retry     {role, task, progress}                         a polling task answered "not yet"
    result    {role, task, host, status, seconds, message, hidden}
              status: ok, changed, skipped, failed, unreachable; ignored and rescued failures are not failures
    diff      {role, task, text}                             --diff only; nothing of tasks with no_log
    plan, released, verified                                 what our own actions report (`ai_event` in a result)
    end       {hosts: {name: {ok, changed, failures, unreachable, skipped, rescued}}}
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: ai_events
type: notification
short_description: JSON lines for ./ai deploy
description: Writes one JSON object for each thing that happens to the file that AI_EVENTS names.
"""

_LOOK_EVERY_S = 0.5
# From the interruption to the end: Ansible needs a moment to end its workers.
_GRACE_S = 10.0


class CallbackModule(CallbackBase):
    """The callback; one per run of ansible-playbook."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "ai_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        path = os.environ.get("AI_EVENTS")
        self._file = Path(path).open("a", encoding="utf-8", buffering=1) if path else None  # noqa: SIM115  # it lives as long as the run
        if self._file is None:
            self.disabled = True
        else:
            _end_with(os.getppid())
        self._began: dict[str, float] = {}

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Tell that a play begins."""
        self._write("play", name=play.get_name(), hosts=list(play.hosts))

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:  # noqa: ARG002  # Ansible's own signature
        """Tell that a task begins."""
        self._begin(task)

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        """Tell that a handler begins."""
        self._begin(task)

    def v2_runner_retry(self, result: Any) -> None:
        """Tell how far a polling task is."""
        self._progress(result)

    def v2_runner_on_async_poll(self, result: Any) -> None:
        """Tell how far a task in the background is."""
        self._progress(result)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Tell that a task went well."""
        content = result.result
        if isinstance(content.get("ai_event"), dict):
            self._write(**_plain(content["ai_event"]))
        self._result(result, "changed" if content.get("changed") else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Tell that a task had nothing to do."""
        self._result(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Tell that a task failed, unless that is ignored."""
        content = result.result
        if isinstance(content.get("ai_event"), dict):
            self._write(**_plain(content["ai_event"]))
        self._result(result, "ok" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Tell that the host cannot be reached."""
        self._result(result, "unreachable")

    def v2_on_file_diff(self, result: Any) -> None:
        """Pass on what --diff shows."""
        content = result.result
        if self._hidden(result):
            return
        for entry in content.get("results", [content]):
            if entry.get("changed") and entry.get("diff"):
                text = self._difference(entry["diff"])
                if text.strip():
                    self._write("diff", **self._where(result.task), text=text)

    def _difference(self, diff: Any) -> str:
        """Return a diff as text: files as Ansible shows them, attributes as "path: state absent -> directory"."""
        lines = []
        for part in diff if isinstance(diff, list) else [diff]:
            before, after = part.get("before"), part.get("after")
            if isinstance(before, dict) and isinstance(after, dict):
                said = [f"{key} {before.get(key)} -> {new}" for key, new in after.items() if before.get(key) != new]
                lines.append(f"{after.get('path', '')}: {', '.join(said)}")
            else:
                lines.append(self._get_diff(part).rstrip())
        return "\n".join(filter(None, lines))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Tell the counts."""
        self._write("end", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})

    def _begin(self, task: Any) -> None:
        self._began[task._uuid] = time.time()
        self._write("task", **self._where(task))

    def _progress(self, result: Any) -> None:
        progress = result.result.get("ai_progress")
        if isinstance(progress, dict) and not self._hidden(result):
            self._write("retry", **self._where(result.task), progress=_plain(progress))

    def _result(self, result: Any, status: str) -> None:
        content, hidden = result.result, self._hidden(result)
        seconds = time.time() - self._began.get(result.task._uuid, time.time())
        message = "" if hidden or status in ("ok", "changed", "skipped") else _message(content)
        self._write(
            "result",
            **self._where(result.task),
            host=result.host.get_name(),
            status=status,
            seconds=round(seconds, 3),
            message=message,
            hidden=hidden,
        )

    @staticmethod
    def _hidden(result: Any) -> bool:
        return bool(result.task.no_log or result.result.get("_ansible_no_log"))

    @staticmethod
    def _where(task: Any) -> dict[str, str]:
        # The callback sees the role that a task was written in; an include keeps the role that it includes.
        return {"role": task._role.get_name() if task._role else "", "task": task.name or task.action}

    def _write(self, event: str, **content: Any) -> None:
        if self._file is not None:
            line = {"event": event, "time": round(time.time(), 3), **content}
            self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")


def _message(content: Any) -> str:
    """Return what a failed result says, loops included."""
    parts = [content, *(entry for entry in content.get("results", []) if entry.get("failed"))]
    said = [str(part.get("msg", "")) for part in parts]
    said = [text for text in said if text and text != "One or more items failed"] or said
    for part in parts:
        # What a command said is the reason; "non-zero return code" is not.
        last = str(part.get("stderr") or part.get("module_stderr") or part.get("stdout") or "").strip()
        if last and part.get("rc", 0) != 0 and last not in said:
            said.append(last[-2000:])
    return "\n".join(dict.fromkeys(said))


def _plain(value: Any) -> Any:
    """Return Ansible's tagged containers as JSON's own."""
    return json.loads(json.dumps(value, default=str))


def _end_with(parent: int) -> None:
    """End this run when `./ai deploy`, its parent, is gone: killed outright, as Terraform does when it is interrupted.

    A run that goes on without anybody would meet the next one on the host.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_EVERY_S)
        os.killpg(0, signal.SIGINT)
        time.sleep(_GRACE_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
