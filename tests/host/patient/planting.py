"""Plant a fault, hear what the doctor says, undo it: content before, right words in between, content again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from host.patient.faults import Fault


def look(doctor: Callable[..., str], check: str, *options: str) -> dict[str, Any]:
    """What one check says; `doctor` runs the doctor on the host with these arguments and returns what it prints."""
    (row,) = json.loads(doctor("--json", "--only", check, *options))["checks"]
    assert isinstance(row, dict)
    return row


def plant(run: Callable[[str], Any], doctor: Callable[..., str], fault: Fault) -> None:
    """Go through one fault; `run` runs a shell script on the host as root and raises when it fails."""
    run(fault.before)
    try:
        well = look(doctor, fault.check)
        assert well["state"] == "ok", well
        try:
            run(fault.plant)
            sick = look(doctor, fault.check)
        finally:
            run(fault.undo)
        assert (sick["state"], fault.words in sick["seen"]) == (fault.state, True), sick
        assert sick["mend"], "nobody is told what to do"
        again = look(doctor, fault.check)
        assert again["state"] == "ok", again
    finally:
        run(fault.after)
