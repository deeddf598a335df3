"""Every role converges on a real systemd host, twice without a change, works, and can be taken away without a trace."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
ROLES = sorted(path.parents[2].name for path in TOP.glob("ansible/roles/*/molecule/default/molecule.yml"))
# Only what is done differently on Debian 12 is tried there as well: Docker from its own repository.
CASES = [(role, "trixie") for role in ROLES] + [("docker", "bookworm")]

pytestmark = [pytest.mark.host, pytest.mark.promise("S0.6"), pytest.mark.timeout(1800)]


@pytest.mark.parametrize(("role", "suite"), CASES)
def test_a_role_comes_stays_works_and_goes(role: str, suite: str) -> None:
    done = subprocess.run(
        [TOP / "ansible" / "molecule" / "run", "--suite", suite, role],
        capture_output=True, text=True, check=False, env=os.environ | {"NO_COLOR": "1", "MOLECULE_NO_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
