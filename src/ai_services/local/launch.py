"""What the supervisor runs for a component: read its line of the plan, then become it.

The plan carries command and environment as JSON, so no path has to survive the quoting rules of supervisord's
configuration. Every start is noted, because the supervisor itself does not count them. Standard library only:
this runs before each start, and `exec` leaves nothing of it behind.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def main() -> None:
    """Replace this process by the component named in the first argument."""
    component = sys.argv[1]
    home = Path(os.environ["AI_STACK_HOME"])
    plan = json.loads((home / "run" / "plan.json").read_text(encoding="utf-8"))[component]
    with (home / "run" / "starts.log").open("a", encoding="utf-8") as starts:
        starts.write(f"{time.time():.3f} {component} {os.getpid()}\n")
    environment = {name: value for name, value in os.environ.items() if name not in plan["unset"]}
    environment.update(plan["environment"])
    os.chdir(home / "tmp")
    os.execve(plan["command"][0], plan["command"], environment)  # noqa: S606  # that is the point


if __name__ == "__main__":
    main()
