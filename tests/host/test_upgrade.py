"""From 0.1.0 to this version and back on a real host, under load: no request fails, whatever else does (B.3).

AI_TRANSCRIPT=docs/upgrades.md: what was printed is written there, between its two marks.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support import audio, speech
from support.stack import wait_until

from ai_services import __version__
from host import first_release
from host.lab import engine, hosts, internet
from host.lab.deployment import Outcome
from host.lab.place import INTERNET_NUMBER, address
from host.load import Chat, Get, Load, Plan, Upload
from host.story import TIMINGS, Deployed
from host.test_stack import DEPLOY, ENVIRONMENT, NO_GATEWAY, current, journal, play, run, serves

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500), pytest.mark.promise("B.3")]

REPOSITORY = Path(__file__).parents[2]
ACCEPTED = ["--accept", "gateway-container", "--yes"]
MARKS = ("<!-- transcript: begin, made by tests/host/test_upgrade.py -->", "<!-- transcript: end -->")
SAID: dict[str, Outcome] = {}


@pytest.fixture(scope="module")
def host(older_host: Deployed) -> Iterator[Deployed]:
    """A host that 0.1.0 was deployed to, by 0.1.0 itself."""
    yield older_host
    if target := os.environ.get("AI_TRANSCRIPT"):
        _write_transcript(REPOSITORY / target, older_host)


@pytest.fixture
def load(host: Deployed, tmp_path: Path) -> Iterator[Load]:
    """Transcriptions, streamed chats and look-ups, from before the change to after it; at the end none has failed."""
    said = speech.say_sentences(1)
    recording = audio.write(tmp_path / "audio.wav", said.pcm, said.rate)
    expected = max(re.findall(r"[a-z]{5,}", said.text.lower()), key=len)
    kinds = (Upload(str(recording), expected), Chat("gemma3:270m"), Get("/v1/models"))
    own = hosts.address_of(host.lab, host.operator.host)
    plan = Plan(host.url, kinds, key=host.key, ca=str(host.lab.trusted), resolve={host.operator.domain: own})
    with Load(plan) as running:
        running.until_each(2)
        yield running
        running.until_each(2)
    running.result.assert_no_failure(least=4)
    TIMINGS.append(("longest answer under load", running.result.longest_s))


def ai(host: Deployed, verb: str, *words: str, key: str = "") -> Outcome:
    """`./ai VERB HOST WORDS`, and remembered for the transcript."""
    place, *login = host.operator.target()
    outcome = host.operator.ai(verb, place, *words, *login)
    if key:
        SAID[f"./ai {verb} {place} {' '.join(word for word in words if '/' not in word and word != '--config')}"] = (
            outcome
        )
        host.keep(key, outcome)
    return outcome


def upgrade(host: Deployed, *words: str, key: str = "") -> Outcome:
    return ai(host, "upgrade", "--config", str(host.operator.config), *words, key=key)


def versions(host: Deployed) -> dict[str, str]:
    """State of each release of the host -> its version; of several in one state the newest."""
    said = ai(host, "history", "--json", "--lines", "0").text
    return {row["state"]: row["version"] for row in json.loads(said[said.index("{") :])["releases"]}


def gateways(host: Deployed) -> list[str]:
    label = "label=com.docker.compose.service=gateway"
    return engine.run_in(host.container, ["docker", "ps", "-a", "--filter", label, "--format", "{{.Ports}}"]).split(
        "\n"
    )[:-1]


def at_rest(host: Deployed) -> None:
    """One gateway, and nginx asks it; nothing is paused, no step seems to be going on."""
    assert len(gateways(host)) == 1
    state = json.loads(engine.run_in(host.container, ["/opt/ai/bin/ai-stack", "backends"]))
    assert [gateway["port"] for gateway in state["gateways"]] == [state["switch"]]
    if state["state"] is not None:
        assert [row["paused"] for row in state["state"]["backends"]] == [None, None]
    assert "begun" not in {line["step"]: line["state"] for line in journal(host)}.values()


def test_what_breaks_is_said_and_not_done_until_it_is_accepted(host: Deployed) -> None:
    planned = upgrade(host, "--check", key="plan")
    assert planned.status == 0, planned.text
    for words in ("serves 0.1.0", f"it goes to {__version__}", "has no fixed name any more", "was not changed"):
        assert words in planned.text
    refused = upgrade(host, "--yes")
    assert refused.status == 5
    assert "--accept gateway-container" in refused.text
    for goal, hint in (("9.9.9", "git checkout v9.9.9"), ("0.0.1", "git checkout v0.0.1")):
        other = upgrade(host, "--to", goal, *ACCEPTED)
        assert (other.status, hint in other.text) == (2, True), other.text
    assert versions(host) == {"serves": "0.1.0"}


def test_an_upgrade_fails_no_request(host: Deployed, load: Load) -> None:
    outcome = upgrade(host, *ACCEPTED, key=f"upgrade 0.1.0 to {__version__}")
    assert outcome.status == 0, outcome.text[-6000:]
    assert re.search(r"Callers of whisper-api waited .* at most; none was refused", outcome.text)
    assert versions(host) == {"previous": "0.1.0", "serves": __version__}
    at_rest(host)


def test_a_rollback_fails_no_request_and_needs_no_network(host: Deployed, load: Load) -> None:
    """The lab's internet (registries, ACME, Debian) is out of the host's reach meanwhile."""
    outside = address(internet.network_of(host.lab), INTERNET_NUMBER)
    engine.run_in(host.container, ["ip", "route", "add", "blackhole", f"{outside}/32"])
    try:
        outcome = ai(host, "rollback", key=f"rollback {__version__} to 0.1.0")
        assert outcome.status == 0, outcome.text
        assert versions(host) == {"previous": __version__, "serves": "0.1.0"}
        at_rest(host)
        forward = ai(host, "rollback", __version__, key="forward again, without a download")
        assert forward.status == 0, forward.text
    finally:
        engine.run_in(host.container, ["ip", "route", "del", "blackhole", f"{outside}/32"])
    assert versions(host) == {"previous": "0.1.0", "serves": __version__}
    at_rest(host)


@pytest.mark.long  # test_stack.py has the same without load
def test_a_gateway_that_does_not_start_changes_nothing_for_callers(host: Deployed, load: Load, tmp_path: Path) -> None:
    before = current(host)
    outcome = run(host, play(host, tmp_path, DEPLOY, ai_gateway_image=NO_GATEWAY))
    assert outcome.status != 0
    assert "read-only file system" in outcome.text, "the last words of the service that failed are told"
    assert "serves again" in outcome.text
    assert current(host) == before
    assert versions(host)["failed"] == __version__, "the release is marked"
    at_rest(host)


def test_a_model_that_cannot_answer_though_healthy_is_taken_back_while_callers_wait(
    host: Deployed, load: Load, tmp_path: Path
) -> None:
    before = current(host)
    image = f"ghcr.io/lab/deaf:{host.lab.name}"
    first_release.push_deaf_speech(host.lab, __version__, image)
    outcome = run(host, play(host, tmp_path, DEPLOY, ai_whisper_api_image=image))
    assert outcome.status != 0
    assert "whisper-api is healthy, and does not work" in outcome.text, outcome.text[-3000:]
    assert "serves again" in outcome.text
    assert current(host) == before
    steps = [(line["step"], line["state"]) for line in journal(host)]
    assert ("engine:whisper-api:back", "done") in steps
    at_rest(host)


@pytest.mark.long  # test_matrix.py kills one too, at a step before
def test_a_killed_operators_change_comes_to_its_end_by_itself(host: Deployed, load: Load, tmp_path: Path) -> None:
    """kill -9 of Ansible in the middle; meanwhile a second run is told who is at work."""
    before, lines = current(host), len(journal(host))
    change = _begin(host, play(host, tmp_path, DEPLOY, ai_max_task_queue_size=7))
    try:
        wait_until(lambda: _begun(host, lines, "engine:whisper-api"), "an engine is being exchanged", 240)
    finally:
        os.killpg(change.pid, signal.SIGKILL)
        change.wait()
    refused = ai(host, "rollback")
    assert refused.status == 5, refused.text
    assert "has been at work on this host since" in refused.text
    wait_until(lambda: current(host) != before, "the change has come to its end", 240)
    wait_until(lambda: not _is_at_work(host), "the host is free", 60)
    done = journal(host)
    again = run(host, play(host, tmp_path, DEPLOY, ai_max_task_queue_size=7))
    assert again.status == 0, again.text[-3000:]
    assert journal(host) == done, "there was nothing left to do"
    at_rest(host)


@pytest.mark.long
def test_a_reboot_in_the_middle_leaves_a_whole_release_and_the_next_run_goes_on(host: Deployed, tmp_path: Path) -> None:
    before, lines = current(host), len(journal(host))
    change = _begin(host, play(host, tmp_path, DEPLOY, ai_max_task_queue_size=9))
    try:
        wait_until(lambda: _begun(host, lines, "engine:whisper-api"), "an engine is being exchanged", 240)
        engine.call("kill", "--signal", "KILL", host.container)
    finally:
        os.killpg(change.pid, signal.SIGKILL)
        change.wait()
    engine.call("start", host.container)
    hosts.wait(host.lab, host.operator.host)
    wait_until(lambda: serves(host), "the host serves after the power came back", 180)
    assert current(host) == before
    outcome = run(host, play(host, tmp_path, DEPLOY, ai_max_task_queue_size=9))
    assert outcome.status == 0, outcome.text[-3000:]
    assert current(host) != before
    at_rest(host)


@pytest.mark.long
def test_a_lost_connection_is_taken_up_again(host: Deployed, load: Load) -> None:
    """sshd lets nobody in for a while, in the middle of a rollback."""
    before, lines = current(host), len(journal(host))
    place, *login = host.operator.target()
    words = [str(REPOSITORY / "ai"), "rollback", place, *login]
    process = _begin(host, words, stdout=subprocess.PIPE)
    wait_until(lambda: len(journal(host)) > lines, "it is at work", 120)
    engine.run_in(host.container, ["sh", "-c", "systemctl stop ssh; pkill -9 -f 'sshd.*deployer' || true"])
    wait_until(lambda: current(host) != before, "it went on without us", 240)
    engine.run_in(host.container, ["systemctl", "start", "ssh"])
    said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert "Trying again" in said.decode()
    assert "serves again" in said.decode()


def _begin(host: Deployed, words: Sequence[str], **more: Any) -> subprocess.Popen[bytes]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **more}
    environment = {**os.environ, **ENVIRONMENT, "AI_HOME": str(host.operator.home), "NO_COLOR": "1"}
    return subprocess.Popen(
        host.lab.inside(list(words)), env=environment, cwd=REPOSITORY, start_new_session=True, **quiet
    )


def _begun(host: Deployed, lines: int, step: str) -> bool:
    return any((line["step"], line["state"]) == (step, "begun") for line in journal(host)[lines:])


def _is_at_work(host: Deployed) -> bool:
    look = "test -e /run/ai-services/lock.json && echo yes || echo no"
    return "yes" in engine.run_in(host.container, ["sh", "-c", look])


def _write_transcript(target: Path, host: Deployed) -> None:
    """Put what was printed into the document, without what only says that something goes on."""
    blocks = []
    for shown, outcome in SAID.items():
        text = outcome.text.replace(str(host.operator.home), "~/.local/share/ai-services")
        kept = [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("  … ")]
        blocks.append("\n".join([f"$ {shown.rstrip()}", *kept]))
    begin, end = MARKS
    before, _, rest = target.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    body = "\n\n".join(blocks)
    target.write_text(f"{before}{begin}\n\n```text\n{body}\n```\n\n{end}{after}", encoding="utf-8")
