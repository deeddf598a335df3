"""The lab's old hosts are what they say they are: their callers are served, their neighbours are there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ai_services.migrate.recognise import recognise
from host.lab import engine, hosts
from host.lab.footprint import Footprint
from host.lab.old import kinds
from host.lab.old.kinds import Truth
from host.lab.old.state import OldState
from host.lab.place import REPOSITORY, Lab
from host.looking import look_at

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

# With a proxy and other sites, with and without containers; the gate's chain starts from a third kind.
QUICK = ("seed-compose", "venv-sites")
EVERY = [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.long) for kind in kinds.KINDS]


@pytest.fixture(scope="module", params=EVERY)
def old(request: pytest.FixtureRequest, lab: Lab) -> Iterator[tuple[Lab, str, Truth]]:
    """One host of each kind, one after the other."""
    name = f"old-{request.param}"
    hosts.remove(lab, name)
    yield lab, name, kinds.start(lab, name, request.param)
    hosts.remove(lab, name)


def test_its_callers_are_served_as_recorded(old: tuple[Lab, str, Truth]) -> None:
    lab, _, truth = old
    trusted = [str(lab.trusted)] if truth.url.startswith("https") else []
    done = _inside(lab, sys.executable, "-m", "host.lab.old.ask", truth.url, truth.api, *trusted)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_is_made_of_what_it_says(old: tuple[Lab, str, Truth]) -> None:
    lab, name, truth = old
    host = lab.container(name)
    for path in (*truth.files, *truth.sites, *filter(None, (truth.certificate, truth.ballast))):
        engine.run_in(host, ["test", "-s", path])
    for unit in truth.units:
        assert engine.run_in(host, ["systemctl", "is-active", unit]).strip() == "active"
    for container in truth.containers:
        found = json.loads(engine.run_in(host, ["docker", "inspect", container]))[0]
        assert found["State"]["Running"]
        assert found["Config"]["Image"] == truth.image
        assert truth.cache in [mount.get("Name") for mount in found["Mounts"]]
    listening = engine.run_in(host, ["ss", "-Hltn"])
    assert f"{truth.address}:{truth.port} " in listening
    if truth.room_mib:
        free = engine.run_in(host, ["df", "--output=avail", "-m", "/var/lib/docker"]).split()[-1]
        assert int(free) <= truth.room_mib


def test_its_neighbours_answer(old: tuple[Lab, str, Truth]) -> None:
    lab, _, truth = old
    for neighbour in truth.bystanders:
        assert neighbour.says in _inside(lab, "curl", "--silent", "--max-time", "10", neighbour.url).stdout


def test_a_look_finds_the_truth_and_changes_nothing(old: tuple[Lab, str, Truth]) -> None:
    lab, name, truth = old
    before, state = Footprint.of(lab.container(name)), OldState.of(lab.container(name))
    seen = look_at(lab, name, truth.kind)
    assert before.differences(Footprint.of(lab.container(name))) == []
    assert state.differences(OldState.of(lab.container(name))) == []
    found = recognise(seen, name)
    service = found.service
    assert service is not None, [one.name for one in found.candidates]
    assert (service.api, service.how, service.model) == (truth.api, truth.how, truth.model)
    assert service.port is not None
    assert (service.port.address, service.port.port) == (truth.address, truth.port)
    assert set(truth.files) <= set(service.files)
    assert ((service.unit.name,) if service.unit else ()) == truth.units
    assert ((service.container.name,) if service.container else ()) == truth.containers
    caches = {place for store in service.stores for place in (store.name, store.path, f"{store.path}/hub")}
    assert truth.cache in caches
    assert found.front.kind == truth.front
    assert {site.file for site in found.front.of(service)} == set(truth.sites)
    assert {name for site in found.front.of(service) for name in site.names} == set(truth.names if truth.sites else ())
    certificates = {one.path: one.lineage for one in found.front.certificates}
    assert certificates.get(truth.certificate, "") == truth.lineage
    others = {name for site in found.front.others(service) for name in site.names} | {one.name for one in found.others}
    assert len(others) == len(truth.bystanders)
    assert all(fact.evidence for fact in service.facts)
    assert found.unseen == ()


def test_a_reboot_changes_nothing_that_would_be_told(old: tuple[Lab, str, Truth]) -> None:
    lab, name, truth = old
    before = OldState.of(lab.container(name))
    hosts.reboot(lab, name)
    kinds.Place(lab, name).answers(f"http://127.0.0.1:{truth.port}/openapi.json")
    assert before.differences(OldState.of(lab.container(name))) == []


def _inside(lab: Lab, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        lab.inside(["env", f"PYTHONPATH={REPOSITORY / 'tests'}", *command]),
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
