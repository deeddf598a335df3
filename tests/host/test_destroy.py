"""S0.2, B.6: destroying shows what goes, keeps what is dear unless told, and leaves the machine as it was found.

Runs after all other host tests (conftest.py): what they share ends here.
"""

from __future__ import annotations

import pytest

from host.lab import engine
from host.lab.deployment import Outcome
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("B.6"), pytest.mark.timeout(1500)]


def test_models_and_keys_outlive_a_destroyed_host(deployed_host: Deployed) -> None:
    outcome = deployed_host.keep("destroy", _destroy(deployed_host))
    assert outcome.status == 0, outcome.text
    kept = engine.run_in(deployed_host.container, ["sh", "-c", "ls -A /opt/ai /var/lib/docker/volumes"], check=False)
    assert "secrets" in kept
    assert "ollama" in kept
    left = engine.run_in(deployed_host.container, ["systemctl", "is-active", "nginx", "docker"], check=False)
    assert left.split() == ["inactive", "inactive"]


def test_with_data_the_machine_is_as_it_was_found(deployed_host: Deployed) -> None:
    """Packages, files, units, ports, interfaces, firewall: nothing more and nothing less than before."""
    outcome = deployed_host.keep("destroy with data", _destroy(deployed_host, "--data"))
    assert outcome.status == 0, outcome.text
    assert deployed_host.footprints["bare"].differences(deployed_host.look("after destroying")) == []


def test_destroying_what_is_not_there_is_no_error(deployed_host: Deployed) -> None:
    outcome = _destroy(deployed_host, "--data")
    assert outcome.status == 0, outcome.text


def test_debian_12_is_as_it_was_found(bookworm_host: Deployed) -> None:
    outcome = bookworm_host.keep("destroy with data", _destroy(bookworm_host, "--data"))
    assert outcome.status == 0, outcome.text
    assert bookworm_host.footprints["bare"].differences(bookworm_host.look("after destroying")) == []


def _destroy(host: Deployed, *options: str) -> Outcome:
    return host.operator.ai(
        "destroy", *host.operator.target(), "--config", str(host.operator.config), "--yes", *options
    )
