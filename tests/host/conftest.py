"""What the host tests share: one lab, and in it hosts that were deployed once: Debian 13, 12, and 13 with the release
before.

`deployed_host` is for looking, and for breaking what the test mends again. Who loses it and restores it waits, and who
destroys it comes last of all. Hosts are removed at the end, the lab's internet only if it was not there before;
AI_LAB_KEEP=1 keeps all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from host import first_release, story
from host.lab import engine, hosts, internet, stock
from host.lab.place import INTERNET, Lab, LabError
from host.matrix.faults import DISKS_MIB
from host.story import TIMINGS, Deployed

# In this order, after all others.
LAST = ("test_backup.py", "test_destroy.py")
LAB_FIXTURES = {"lab", "deployed_host", "bookworm_host", "older_host"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a lab, and let the end of all hosts be the end of all tests."""
    for item in items:
        if LAB_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.host)
            if item.get_closest_marker("timeout") is None:
                # Whichever comes first waits for its host to be deployed, on a machine that others use, too.
                item.add_marker(pytest.mark.timeout(1500))
    items.sort(key=lambda item: LAST.index(item.path.name) + 1 if item.path.name in LAST else 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how long everything took."""
    if TIMINGS:
        terminalreporter.section("times of the host tests")
        for what, seconds in TIMINGS:
            terminalreporter.write_line(f"{seconds:8.1f} s  {what}")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab of AI_LAB, with filled registries."""
    chosen = Lab.called()
    try:
        engine.possible()
    except LabError as error:
        pytest.skip(str(error))
    engine.ensure()
    was_there = engine.inspect("container", chosen.container(INTERNET)) is not None
    before = set(hosts.all_of(chosen)) if was_there else set()
    internet.ensure(chosen)
    stock.ensure(chosen)
    yield chosen
    if os.environ.get("AI_LAB_KEEP"):
        return
    for name in set(hosts.all_of(chosen)) - before:
        hosts.remove(chosen, name)
    if not was_there:
        internet.remove(chosen, caches=False)


@pytest.fixture(scope="session")
def deployed_host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Debian 13, fresh, looked at before, planned, checked, deployed."""
    host = _fresh(lab, "e2e13", "trixie", tmp_path_factory.mktemp("trixie"))
    host.look("bare")
    host.keep("plan on a bare host", host.operator.deploy("--check"))
    host.keep("check mode on a bare host", host.operator.deploy("--check", "--diff"))
    host.look("after check mode")
    outcome = host.deploy("fresh deploy")
    assert outcome.status == 0, outcome.text[-6000:]
    return host


@pytest.fixture(scope="session")
def bookworm_host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Debian 12, fresh, deployed: Docker comes from Docker's own repository."""
    host = _fresh(lab, "e2e12", "bookworm", tmp_path_factory.mktemp("bookworm"))
    host.look("bare")
    outcome = host.deploy("fresh deploy")
    assert outcome.status == 0, outcome.text[-6000:]
    return host


@pytest.fixture(scope="session")
def older_host(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """Debian 13 that the release before this one was deployed to, by itself; with disks of its own, to run full."""
    before = first_release.prepare(lab)
    host = story.begin(lab, "up1", "trixie", tmp_path_factory.mktemp("older"), disks_mib=DISKS_MIB)
    host.keep(f"deploy of {first_release.VERSION} by itself", outcome := before.deploy(host))
    assert outcome.status == 0, outcome.text[-6000:]
    return host


def _fresh(lab: Lab, name: str, suite: str, folder: Path) -> Deployed:
    return story.begin(lab, name, suite, folder)
