"""Old hosts become ours while they are in use, go back as if nothing had been, and become ours again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from ai_services.migrate import steps
from host.lab import engine
from host.lab.footprint import Footprint
from host.lab.old import kinds
from host.lab.place import REPOSITORY, Lab
from host.migration import Migrating

pytestmark = [pytest.mark.promise("S0.7"), pytest.mark.timeout(3600)]

# A quarter of an hour each: the gate's own migration is the chain of test_matrix.py.
QUICK = "asr-run"  # the least of them, for what any of them shows
EVERY = [pytest.param(kind, marks=pytest.mark.long) for kind in kinds.KINDS]
# What a removal keeps on purpose: keys, the journal, models.
KEPT = re.compile(r"files: /opt/ai(/(secrets|journal\.jsonl)\S*)? ")


@pytest.fixture(params=EVERY)
def old_host(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Migrating]:
    """A host of each kind, fresh."""
    kind = str(request.param)
    name = f"m-{kind}"
    yield Migrating.begin(lab, name, kind, tmp_path)
    kinds.remove(lab, name)


def unlike(before: Footprint, after: Footprint) -> list[str]:
    """What differs beside what is kept on purpose."""
    return [line for line in before.differences(after) if not KEPT.search(line)]


def test_migrated_in_use_back_and_again(old_host: Migrating) -> None:
    """Nobody who calls the old API is refused, cut off or told anything else, on the whole way there and back."""
    host = old_host
    before = host.footprint()
    assert host.differences() == {}
    if host.truth.ballast:
        before = refused_until_there_is_room(host, before)
    with host.load() as load:
        load.until_each(3)
        outcome = host.migrate()
        load.until_each(3)
    assert outcome.status == 0, outcome.text[-6000:]
    load.result.assert_no_failure()
    assert host.differences() == {}
    serves_anew(host)
    survived(host)
    for container in host.truth.containers:
        assert host.run(f"docker inspect -f '{{{{.State.Running}}}} {{{{.HostConfig.RestartPolicy.Name}}}}' "
                        f"$(docker ps -aqf name={container} | tail -1)").split() == ["false", "no"]  # fmt: skip

    with host.load() as load:
        load.until_each(3)
        outcome = host.migrate("--rollback")
        load.until_each(3)
    assert outcome.status == 0, outcome.text[-6000:]
    load.result.assert_no_failure()
    assert unlike(before, host.footprint()) == []
    assert host.differences() == {}
    survived(host)

    outcome = host.migrate_as_ever()
    assert outcome.status == 0, outcome.text[-6000:]
    assert host.differences() == {}
    if host.truth.kind == QUICK:
        outcome = host.migrate("--finalize")
        assert outcome.status == 0, outcome.text[-6000:]
        assert host.truth.containers[0] not in host.run("docker ps --all --format '{{.Names}}'").split()
        assert host.differences() == {}
        assert host.migrate("--rollback").status == 5


def refused_until_there_is_room(host: Migrating, before: Footprint) -> Footprint:
    """Nothing is changed on a disk that is too full; what it asks for is done, and the host is as one had it then."""
    outcome = host.migrate()
    assert outcome.status == 5, outcome.text[-6000:]
    for words in ("/var/lib/docker has", "are needed before anything stops", "was not changed"):
        assert words in outcome.text
    assert before.differences(host.footprint()) == []
    host.run(f"rm {host.truth.ballast}")
    return host.footprint()


def serves_anew(host: Migrating) -> None:
    """Our own door, with a key and not without; asked by a route that no old API has."""
    key = host.run("head -n 1 /opt/ai/secrets/api.key").strip()
    url = f"https://{host.operator.domain}/api/tags"
    told = ["curl", "--silent", "--cacert", str(host.lab.trusted), "--output", "/dev/null", "--write-out",
            "%{http_code}", url]  # fmt: skip
    assert host.operator.run(*told).text == "401"
    assert host.operator.run(*told, "--header", f"Authorization: Bearer {key}").text == "200"


def survived(host: Migrating) -> None:
    """What else is on the host goes on as it was."""
    for bystander in host.truth.bystanders:
        address = {bystander.host: host.address} if bystander.host else {}
        url = bystander.url.replace(f"//{bystander.host}/", f"//{host.address}/") if address else bystander.url
        for name in host.truth.names:
            url = url.replace(name, host.address)
        answer = requests.get(url, headers={"Host": bystander.host} if bystander.host else {}, timeout=20)
        assert bystander.says in answer.text, bystander.what


@pytest.mark.long
@pytest.mark.parametrize("name", steps.NAMES)
def test_goes_on_where_its_operator_was_killed(lab: Lab, tmp_path: Path, name: str) -> None:
    """kill -9 of the operator as soon as the step has begun: the old API answers on, and the next run ends it."""
    host = Migrating.begin(lab, "m-killed", QUICK, tmp_path)
    with host.load() as load:
        load.until_each(2)
        kill_in(host, name)
        load.until_each(2)
        outcome = host.migrate()
        load.until_each(2)
    assert outcome.status == 0, outcome.text[-6000:]
    assert "done before" in outcome.text or name == steps.NAMES[0]
    load.result.assert_no_failure()
    assert host.differences() == {}


def kill_in(host: Migrating, name: str) -> None:
    """Begin a migration, and kill -9 the operator and all it started when the step `name` has begun."""
    words = ["migrate", *host.operator.target(), "--config", str(host.operator.config), "--yes"]
    process = subprocess.Popen(
        host.lab.inside([str(REPOSITORY / "ai"), *words]), cwd=REPOSITORY, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        env={**os.environ, "AI_HOME": str(host.operator.home)},
    )  # fmt: skip
    until = time.monotonic() + 1200
    while f'"migrate:{name}", "state": "begun"' not in journal(host):
        assert process.poll() is None, f"it ended before the step {name} began"
        assert time.monotonic() < until
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def journal(host: Migrating) -> str:
    """The host's journal as it stands."""
    return engine.run_in(host.container, ["sh", "-c", "cat /opt/ai/journal.jsonl 2>/dev/null || true"])
