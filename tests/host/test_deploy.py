"""S0.1 to S0.3, B.4, B.6: a bare Debian 13 becomes a served domain, and a second run finds nothing to do."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from support import audio, speech

from host.lab import canaries, engine, hosts, stores
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]

# Where a secret may lie on a host: in files of root alone.
SAFES = ("/opt/ai/secrets/", "/etc/letsencrypt/cloudflare.ini")
# exit status of the doctor (docs/doctor.md)
WARNED = 6
ALWAYS_OPEN = {22, 80, 443}


@pytest.mark.promise("B.4")
def test_a_plan_in_plain_words_comes_before_anything_changes(deployed_host: Deployed) -> None:
    outcome = deployed_host.outcomes["plan on a bare host"]
    assert outcome.status == 0, outcome.text
    for words in ("Debian GNU/Linux 13", "no NVIDIA GPU", "tiny.en on the CPU", deployed_host.operator.domain):
        assert words in outcome.text
    assert "was not changed" in outcome.text


@pytest.mark.promise("B.4")
def test_check_mode_works_on_a_bare_host_and_changes_nothing(deployed_host: Deployed) -> None:
    """No package is there yet: neither Docker nor nginx can be asked for anything."""
    outcome = deployed_host.outcomes["check mode on a bare host"]
    assert outcome.status == 0, outcome.text
    assert re.search(r"\d+ steps would change something", outcome.text), outcome.text
    assert deployed_host.footprints["bare"].differences(deployed_host.footprints["after check mode"]) == []


@pytest.mark.promise("S0.2")
def test_a_deploy_ends_with_what_was_verified_the_address_and_where_the_key_is(deployed_host: Deployed) -> None:
    text = deployed_host.outcomes["fresh deploy"].text
    for verified in ("certificate", "/transcribe", "/v1/chat/completions", "inner ports are closed"):
        assert re.search(rf"^✔ {re.escape(verified)}", text, re.MULTILINE), f"{verified} was not verified:\n{text}"
    assert deployed_host.url in text
    assert "/opt/ai/secrets/api.key" in text


@pytest.mark.promise("S0.1")
def test_a_recording_is_transcribed_over_the_domain(deployed_host: Deployed, tmp_path: Path) -> None:
    said = speech.say_sentences(1)
    recording = audio.write(tmp_path / "audio.wav", said.pcm, said.rate)
    heard = json.loads(deployed_host.curl("/transcribe", "-X", "POST", "-F", f"file=@{recording}").text)
    assert speech.word_error_rate(said.text, heard["text"]) < 0.3, (said.text, heard)


@pytest.mark.promise("S0.1")
def test_a_question_is_answered_over_the_domain(deployed_host: Deployed) -> None:
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    model = deployed_host.operator.settings["ai_ollama_model"]
    chat = _post(deployed_host, "/v1/chat/completions", {"model": model, "messages": messages, "temperature": 0})
    assert "Paris" in chat["choices"][0]["message"]["content"]


@pytest.mark.promise("S0.12")
def test_nobody_without_a_key_gets_in(deployed_host: Deployed) -> None:
    answer = deployed_host.operator.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(deployed_host.lab.trusted),
        f"{deployed_host.url}/v1/models",
    )  # fmt: skip
    assert answer.text == "401"


@pytest.mark.promise("S0.12")
def test_only_the_front_door_and_ssh_are_open(deployed_host: Deployed) -> None:
    """Asked from another machine, port by port, over everything that listens on the host or in its containers."""
    own = hosts.address_of(deployed_host.lab, deployed_host.operator.host)
    listening = engine.run_in(deployed_host.container, ["ss", "-Hlnt"])
    ports = {int(line.split()[3].rpartition(":")[2]) for line in listening.splitlines()} | {8080, 8081, 8000, 11434}
    assert ports > ALWAYS_OPEN, listening
    assert {port for port in ports if _opens(own, port)} == ALWAYS_OPEN


@pytest.mark.promise("B.6")
def test_a_second_run_changes_nothing(deployed_host: Deployed) -> None:
    outcome = deployed_host.deploy("second run")
    assert outcome.status == 0, outcome.text[-6000:]
    assert "nothing had to be changed" in outcome.text, outcome.text


@pytest.mark.promise("B.6")
def test_check_mode_on_a_deployed_host_says_that_nothing_would_change(deployed_host: Deployed) -> None:
    before = deployed_host.look("before the check of a deployed host")
    outcome = deployed_host.keep("check mode on a deployed host", deployed_host.operator.deploy("--check", "--diff"))
    assert outcome.status == 0, outcome.text
    assert "Nothing would be changed" in outcome.text, outcome.text
    assert before.differences(deployed_host.look("after the check of a deployed host")) == []


@pytest.mark.promise("B.5")
def test_the_doctor_finds_a_deployed_host_healthy_from_here_and_from_there(deployed_host: Deployed) -> None:
    words = ["doctor", *deployed_host.operator.target(), "--config", str(deployed_host.operator.config)]
    outcome = deployed_host.keep("doctor", deployed_host.operator.ai(*words))
    # A host without a backup is warned of, and this one has none.
    assert outcome.status == WARNED, outcome.text
    there = deployed_host.ssh(sudo=True).run("/opt/ai/bin/doctor --json")
    assert there.rc == WARNED, there.stdout
    rows = json.loads(there.stdout)["checks"]
    # Of the disk and the memory the machine around the lab may have little.
    amiss = {row["name"] for row in rows if row["state"] in ("warning", "failed")} - {"disk", "memory"}
    assert amiss == {"backup"}, rows


@pytest.mark.promise("S0.2")
def test_a_release_that_does_not_work_leaves_the_old_one_serving(deployed_host: Deployed) -> None:
    before = engine.run_in(deployed_host.container, ["readlink", "/opt/ai/current"])
    digest = stores.push_failing_image(deployed_host.lab, "ghcr.io/lab/failing:1")
    outcome = deployed_host.deploy(
        "release that does not work", "--set", f"ai_gateway_image=ghcr.io/lab/failing@{digest}"
    )
    assert outcome.status != 0, outcome.text
    assert engine.run_in(deployed_host.container, ["readlink", "/opt/ai/current"]) == before
    assert json.loads(deployed_host.curl("/health").text)["status"] == "ok"


@pytest.mark.promise("B.6")
def test_after_a_reboot_everything_is_back_by_itself(deployed_host: Deployed) -> None:
    """The way forward is open too, although the last release did not work."""
    hosts.reboot(deployed_host.lab, deployed_host.operator.host)
    outcome = deployed_host.deploy("run after a reboot")
    assert outcome.status == 0, outcome.text[-6000:]
    assert "nothing had to be changed" in outcome.text, outcome.text


@pytest.mark.promise("S0.12")
def test_secrets_are_in_their_files_and_nowhere_else(deployed_host: Deployed) -> None:
    """In no output, log, journal, command line, environment, image, container, or file that others may read."""
    known, container = deployed_host.secrets, deployed_host.container
    for what, outcome in deployed_host.outcomes.items():
        assert canaries.in_text(known, outcome.text) == [], f"in the output of: {what}"
    for log in deployed_host.operator.home.rglob("*.log"):
        assert canaries.in_text(known, log.read_text(errors="replace")) == [], f"in {log}"
    assert {what: found for what, found in deployed_host.leaked.items() if found} == {}
    assert canaries.in_text(known, engine.run_in(container, ["journalctl", "--no-pager", "--output=cat"])) == []
    names = engine.run_in(container, ["docker", "ps", "--all", "--quiet"]).split()
    images = engine.run_in(container, ["docker", "images", "--quiet", "--all"]).split()
    assert canaries.in_text(known, engine.run_in(container, ["docker", "inspect", *names, *images])) == []
    for name in names:
        logs = engine.call("exec", container, "docker", "logs", name)
        assert canaries.in_text(known, logs.stdout + logs.stderr) == [], f"in the logs of {name}"
    # image layers and the writable layers of containers are folders below /var/lib/docker
    found = canaries.on_host(container, known, "/etc", "/opt", "/home", "/root", "/var", "/tmp", "/usr/local")
    for name, paths in found.items():
        assert paths, f"{name} was not found where it must be: the search is broken"
        assert [path for path in paths if not path.startswith(SAFES)] == [], f"{name} lies about"
    holders = sorted({path for paths in found.values() for path in paths})
    modes = engine.run_in(container, ["stat", "--format=%a %n", *holders])
    assert [line for line in modes.splitlines() if line.split()[0] not in ("400", "600")] == []


def _post(host: Deployed, path: str, body: dict[str, Any]) -> Any:
    answer = host.curl(path, "-X", "POST", "-H", "Content-Type: application/json", "-d", json.dumps(body))
    return json.loads(answer.text)


def _opens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False
