#!/usr/bin/python
"""Make Docker volumes that belong to the user of the service which writes them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible.module_utils.ai_stack.engine import Engine, EngineError
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: ai_volumes
short_description: Volumes of the stack, each owned by its service's user
description:
  - A volume that an older, root-run container has filled is handed over with all that is in it.
options:
  volumes: {description: "Name of each volume and the uid that owns it.", type: dict, required: true}
"""
RETURN = r"""
places: {description: Directory of each volume on this host., type: dict, returned: always}
"""


def main() -> None:
    """Make them, hand them over, and say where they are."""
    module = AnsibleModule(argument_spec={"volumes": {"type": "dict", "required": True}}, supports_check_mode=True)
    engine = Engine()
    done, places = [], {}
    for name, uid_text in module.params["volumes"].items():
        uid = int(uid_text)
        try:
            found = engine.get(f"/volumes/{name}")
        except EngineError as error:
            if not module.check_mode:
                module.fail_json(msg=str(error))
            found = None  # (a fresh host has no Docker yet)
        if found is None:
            done.append(f"make volume {name}")
            if module.check_mode:
                continue
            subprocess.run(["docker", "volume", "create", name], check=True, capture_output=True)
            found = engine.get(f"/volumes/{name}")
        place = Path(found["Mountpoint"])
        places[name] = str(place)
        if place.is_dir() and place.stat().st_uid != uid:
            done.append(f"hand volume {name} over to user {uid}")
            if not module.check_mode:
                _hand_over(place, uid)
    module.exit_json(
        changed=bool(done), places=places, diff={"before": "", "after": "".join(line + "\n" for line in done)}
    )


def _hand_over(place: Path, uid: int) -> None:
    # The top last: a run that broke off in the middle is seen to be unfinished, and begun again.
    for directory, _, files in os.walk(place, topdown=False):
        for name in files:
            os.chown(Path(directory) / name, uid, uid, follow_symlinks=False)
        os.chown(directory, uid, uid)


if __name__ == "__main__":
    main()
