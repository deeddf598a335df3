"""Every role converges on a real systemd host, twice without a change, works, and can be taken away without a trace."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from host import molecule_run
from host.lab.place import Lab
from host.molecule_run import Case, Outcome
from host.story import TIMINGS

# Only what is done differently on Debian 12 is tried there as well: Docker from its own repository.
CASES = [Case(role, "trixie") for role in molecule_run.ROLES] + [Case("docker", "bookworm")]
# Minutes for what other host tests come near: test_stack.py has this role by itself, test_bookworm.py Debian 12.
LONG = (Case("ai_stack", "trixie"), Case("docker", "bookworm"))
# Much of a run is waiting (for apt, for services), so two fill two cores.
AT_A_TIME = int(os.environ.get("AI_MOLECULE_AT_A_TIME", "2"))

pytestmark = [pytest.mark.host, pytest.mark.promise("S0.6"), pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def runs(lab: Lab, request: pytest.FixtureRequest) -> Iterator[dict[Case, Future[Outcome]]]:
    """The runs of all tests that were asked for, some at a time; a test waits for its own."""
    names = {item.name for item in request.session.items if item.path == request.path}
    asked = [case for case in CASES if any(f"[{_name(case)}]" in name for name in names)]
    with molecule_run.Runs(lab, at_a_time=AT_A_TIME) as begun:
        yield begun.begin(asked)


def _name(case: Case) -> str:
    return f"{case.role}-{case.suite}"


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=_name(case), marks=[pytest.mark.long] if case in LONG else []) for case in CASES],
)
def test_a_role_comes_stays_works_and_goes(case: Case, runs: dict[Case, Future[Outcome]]) -> None:
    outcome = runs[case].result()
    TIMINGS.append((str(outcome), sum(seconds for _, seconds in outcome.steps)))
    assert outcome.status == 0, f"{outcome}\n{outcome.text[-8000:]}"
