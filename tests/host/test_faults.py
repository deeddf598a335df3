"""B.5 on a host that was really deployed: the doctor names what is broken there, and is content when it is mended."""

from __future__ import annotations

import pytest

from host.lab import engine
from host.patient.deployed import DEPLOYED
from host.patient.faults import Fault
from host.patient.planting import plant
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("B.5"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("fault", DEPLOYED, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_of_a_deployed_host_is_named(deployed_host: Deployed, fault: Fault) -> None:
    container = deployed_host.container

    def run(script: str) -> str:
        return engine.run_in(container, ["bash", "-s"], stdin=f"set -eu\n{script}\n")

    def doctor(*arguments: str) -> str:
        return engine.run_in(container, ["/opt/ai/bin/doctor", *arguments], check=False)

    plant(run, doctor, fault)
