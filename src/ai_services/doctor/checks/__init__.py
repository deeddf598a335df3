"""All checks, from the machine up to the service, as one would look oneself."""

from __future__ import annotations

from ai_services.doctor.checks import certificate, docker, door, gpu, machine, release, service, upkeep
from ai_services.doctor.verdict import REGISTER, Check

GROUPS = tuple(module.GROUP for module in (machine, gpu, docker, release, door, certificate, service, upkeep))


def checks() -> list[Check]:
    """Return the checks in the order in which they are shown."""
    return sorted(REGISTER.checks, key=lambda check: GROUPS.index(check.group))
