#!/usr/bin/python
"""Look how far a job is that Ansible runs in the background, and what it has come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ansible.module_utils.ai_stack import progress
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_job
short_description: Progress and result of a background job
description:
  - Poll with C(until) C(is finished). Fails as the job failed, in its words.
options:
  results: {description: "The results_file that the task with C(async) returned.", type: path, required: true}
  progress: {description: Name under which the job tells how far it is., type: str, required: true}
"""
RETURN = r"""
finished: {description: Whether the job has ended., type: bool, returned: always}
ai_progress: {description: "text, done and total (bytes) for whoever watches.", type: dict, returned: always}
result: {description: What the job returned., type: dict, returned: when it has ended}
"""


def main() -> None:
    """Read both files."""
    module = AnsibleModule(
        argument_spec={
            "results": {"type": "path", "required": True},
            "progress": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    path = Path(module.params["results"])
    said = progress.read(module.params["progress"])
    told = {"text": said.get("detail", ""), "done": said.get("done_bytes", 0), "total": said.get("total_bytes", 0)}
    try:
        result = json.loads(path.read_text())
    except FileNotFoundError:
        module.fail_json(
            msg=f"The job behind {path} is gone: was this host restarted? Run again, it goes on from there."
        )
    except ValueError:
        result = {}  # caught while it was being written
    # Ansible's wrapper says that it has started; the module's own result, which takes its place, does not.
    if not result or (result.get("started") and not result.get("finished")):
        module.exit_json(changed=False, finished=False, ai_progress=told)
    path.unlink(missing_ok=True)
    if result.get("failed"):
        module.fail_json(msg=words_of(result), finished=True)
    module.exit_json(changed=bool(result.get("changed")), finished=True, ai_progress=told, result=result)


def words_of(result: dict[str, Any]) -> str:
    """What a failed job said; ansible-core from 2.19 on keeps what a module did not catch in `exception` alone."""
    if said := result.get("msg"):
        return str(said)
    unforeseen = result.get("exception") or "without a word"
    if isinstance(unforeseen, dict):
        unforeseen = unforeseen.get("event", {}).get("msg", unforeseen)
    return f"The job failed: {unforeseen}. This is a fault in ai-services; run again with -vvv and report it."


if __name__ == "__main__":
    main()
