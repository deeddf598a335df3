"""The stack on a real host: a failing release, two runs at once, a power loss in the middle (S0.6, S0.8, B.3)."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ai_stack.releases import plan
from support.stack import wait_until

from ai_services import __version__
from host.lab import engine, hosts, stores
from host.lab.deployment import Outcome
from host.stack_render import render
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]

REPOSITORY = Path(__file__).parents[2]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
# An image that is there, and that cannot be a gateway: it wants to write where nothing may be written.
NO_GATEWAY = "docker.io/ollama/ollama:0.24.0"


def play(host: Deployed, folder: Path, tasks: Sequence[dict[str, Any]], **more: Any) -> list[str]:
    """Words that run `tasks` on `host` with its operator's settings; of the roles only what the tasks name."""
    (folder / "play.json").write_text(
        json.dumps([{"hosts": "all", "become": True, "gather_facts": False, "tasks": list(tasks)}])
    )
    # Defaults come last in Ansible; to see the role alone it gets the operator's own choices as extra variables.
    (folder / "settings.json").write_text(json.dumps({**host.operator.settings, **more}))
    return [
        str(PLAYBOOK), "-i", str(host.lab.folder / "inventory.yml"), "--limit", host.lab.fqdn(host.operator.host),
        "-e", f"@{folder / 'settings.json'}", str(folder / "play.json"),
    ]  # fmt: skip


ENVIRONMENT = {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible" / "ansible.cfg")}
DEPLOY = [{"ansible.builtin.include_role": {"name": "ai_stack"}}]


def run(host: Deployed, words: list[str]) -> Outcome:
    return host.operator.run(*words, environment=ENVIRONMENT)


def current(host: Deployed) -> str:
    return engine.run_in(host.container, ["readlink", "/opt/ai/current"]).strip()


def journal(host: Deployed) -> list[dict[str, Any]]:
    return [json.loads(line) for line in engine.run_in(host.container, ["cat", "/opt/ai/journal.jsonl"]).splitlines()]


def serves(host: Deployed) -> bool:
    outcome = host.curl("/health")
    return outcome.status == 0 and outcome.text.startswith("{") and json.loads(outcome.text)["status"] == "ok"


@pytest.mark.promise("S0.8")
def test_the_printed_docker_commands_work(deployed_host: Deployed) -> None:
    look = (
        "cd /opt/ai && docker compose ps && docker compose logs --tail 1 whisper-api && docker exec ollama ollama list"
    )
    printed = engine.run_in(deployed_host.container, ["sh", "-c", look])
    for name in ("gateway", "whisper-api", "ollama", "(healthy)", "gemma3:270m"):
        assert name in printed
    pulled = engine.run_in(deployed_host.container, ["docker", "exec", "ollama", "ollama", "pull", "gemma3:270m"])
    assert pulled is not None


@pytest.mark.promise("B.3")
def test_a_release_that_does_not_work_leaves_the_one_before_serving(deployed_host: Deployed, tmp_path: Path) -> None:
    before = current(deployed_host)
    outcome = run(deployed_host, play(deployed_host, tmp_path, DEPLOY, ai_gateway_image=NO_GATEWAY))
    assert outcome.status != 0
    assert "read-only file system" in outcome.text, "the last words of the service that failed are told"
    assert "serves again" in outcome.text
    assert current(deployed_host) == before
    wait_until(lambda: serves(deployed_host), "the release before serves", 60)
    told = [(line["step"], line["state"]) for line in journal(deployed_host)]
    wanted = [("gateway:start", "failed"), ("activate", "failed"), ("restore", "begun"), ("restore", "done")]
    assert [line for line in told if line in wanted][-4:] == wanted


@pytest.mark.long
@pytest.mark.promise("B.3")
def test_a_tag_that_means_another_image_by_now_is_taken_when_that_is_asked_for(
    deployed_host: Deployed, tmp_path: Path
) -> None:
    lab, tag = deployed_host.lab, f"ghcr.io/lab/moving:{deployed_host.lab.name}"
    gateway = f"ghcr.io/lab/gateway:{__version__}"

    def behind() -> str:
        said = engine.run_in(
            deployed_host.container, ["/opt/ai/bin/doctor", "--json", "--only", "images-behind"], check=False
        )
        return str(json.loads(said)["checks"][0]["state"])

    def pinned() -> str:
        record = json.loads(engine.run_in(deployed_host.container, ["cat", "/opt/ai/current/release.json"]))
        return str(record["images"]["gateway"]).partition("@")[2]

    first = stores.push_variant(lab, gateway, tag, "first")
    outcome = run(deployed_host, play(deployed_host, tmp_path, DEPLOY, ai_gateway_image=tag))
    assert (outcome.status, pinned(), behind()) == (0, first, "ok"), outcome.text
    second = stores.push_variant(lab, gateway, tag, "second")
    assert second != first
    assert behind() == "warning"
    refreshed = play(deployed_host, tmp_path, DEPLOY, ai_gateway_image=tag, ai_refresh_images=True)
    outcome = run(deployed_host, refreshed)
    assert (outcome.status, pinned(), behind()) == (0, second, "ok"), outcome.text
    outcome = run(deployed_host, refreshed)
    assert "changed=0" in outcome.text, "asked again, and nothing is newer"
    assert run(deployed_host, play(deployed_host, tmp_path, DEPLOY)).status == 0


# Who takes the lock writes who it is; who only looks whether it is free does not.
HELD = "cd /run/ai-services && test -e lock.json && ! flock --nonblock lock true && echo held || echo free"


def is_held(host: Deployed) -> bool:
    return "held" in engine.run_in(host.container, ["sh", "-c", HELD])


@pytest.mark.promise("B.3")
def test_a_second_run_is_told_who_is_at_work_and_a_killed_one_keeps_nobody_out(deployed_host: Deployed) -> None:
    """From the first change to the last look: whole runs of `./ai deploy`, and one of `./ai destroy`."""
    operator = deployed_host.operator
    words = [str(REPOSITORY / "ai"), "deploy", *operator.target(), "--config", str(operator.config)]
    at_work = subprocess.Popen(
        deployed_host.lab.inside(words), env={**os.environ, "AI_HOME": str(operator.home), "NO_COLOR": "1"},
        cwd=REPOSITORY, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: is_held(deployed_host), "the first run is at work", 120)
        me = f"{getpass.getuser()} on {socket.gethostname()}"
        destroy = ["destroy", *operator.target(), "--config", str(operator.config), "--yes"]
        for refused in (operator.deploy(), operator.ai(*destroy)):
            assert refused.status != 0
            assert "Nothing was changed" in refused.text, refused.text
            said = f"{me} has been at work on this host since 2.* \\(deploy of {__version__}\\)"
            assert re.search(said, refused.text), refused.text
        assert at_work.poll() is None, "the first one was not disturbed"
        planned = operator.deploy("--check")
        assert planned.status == 0, "to look is nobody's disturbance"
    finally:
        os.killpg(at_work.pid, signal.SIGKILL)
        at_work.wait()
    wait_until(lambda: not is_held(deployed_host), "the lock is free after kill -9", 30)
    assert engine.run_in(deployed_host.container, ["ls", "/run/ai-services"]).split() == ["change", "changes", "lock"]


@pytest.mark.promise("B.3")
def test_the_role_by_itself_is_alone_too(deployed_host: Deployed, tmp_path: Path) -> None:
    take: dict[str, Any] = {"ansible.builtin.include_role": {"name": "ai_stack", "tasks_from": "lock"}}
    stay = {"ansible.builtin.wait_for": {"path": "/opt/ai/never", "timeout": 600}}
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    words = play(deployed_host, first, [take, stay], ai_stack_why="upgrade to 9.9")
    at_work = subprocess.Popen(
        deployed_host.lab.inside(words), env={**os.environ, **ENVIRONMENT}, cwd=REPOSITORY, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: is_held(deployed_host), "the first run is at work", 60)
        refused = run(deployed_host, play(deployed_host, second, [take]))
        assert refused.status != 0
        assert "upgrade to 9.9" in refused.text
    finally:
        os.killpg(at_work.pid, signal.SIGKILL)
        at_work.wait()
    wait_until(lambda: not is_held(deployed_host), "the lock is free after kill -9", 30)


@pytest.mark.promise("B.3")
def test_after_a_power_loss_in_the_middle_of_a_change_a_whole_release_serves(
    deployed_host: Deployed, tmp_path: Path
) -> None:
    before, lines = current(deployed_host), len(journal(deployed_host))
    words = play(deployed_host, tmp_path, DEPLOY, ai_max_task_queue_size=7)
    change = subprocess.Popen(
        deployed_host.lab.inside(words), env={**os.environ, **ENVIRONMENT}, cwd=REPOSITORY, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def in_the_middle() -> bool:
        new = journal(deployed_host)[lines:]
        return any((line["step"], line["state"]) == ("activate", "begun") for line in new)

    try:
        wait_until(in_the_middle, "services are being replaced", 180)
        engine.call("kill", "--signal", "KILL", deployed_host.container)
    finally:
        os.killpg(change.pid, signal.SIGKILL)
        change.wait()
    engine.call("start", deployed_host.container)
    hosts.wait(deployed_host.lab, deployed_host.operator.host)
    wait_until(lambda: serves(deployed_host), "the host serves after the power came back", 180)
    assert current(deployed_host) == before
    running = engine.run_in(
        deployed_host.container,
        ["docker", "inspect", "whisper-api", "--format", "{{range .Config.Env}}{{println .}}{{end}}"],
    )
    assert "MAX_TASK_QUEUE_SIZE=128" in running, "what runs is what `current` says"
    outcome = run(deployed_host, play(deployed_host, tmp_path, DEPLOY))
    assert outcome.status == 0, outcome.text
    assert serves(deployed_host)
    last = {line["step"]: line["state"] for line in journal(deployed_host)}
    assert "begun" not in last.values(), "no step seems to be going on any more"


def test_no_service_can_read_anothers_keys(deployed_host: Deployed) -> None:
    listing = engine.run_in(
        deployed_host.container,
        ["find", "/opt/ai/secrets", "-mindepth", "1", "-printf", "%P %m %U %y\n"],
    )
    rows = {line.split()[0]: line.split()[1:] for line in listing.splitlines()}
    assert rows["gateway/api_keys"] == ["400", "10001", "f"]
    assert rows["whisper-api/api_keys"] == ["400", "10002", "f"]
    assert rows["api.key"] == ["600", "0", "f"]
    assert rows["docker/config.json"] == ["600", "0", "f"]
    for name, (mode, _, kind) in rows.items():
        assert mode == "700" if kind == "d" else mode in {"400", "600"}, name


def test_the_compose_file_of_the_host_is_taken_by_its_own_compose(deployed_host: Deployed) -> None:
    said = engine.run_in(deployed_host.container, ["sh", "-c", "cd /opt/ai && docker compose config --format json"])
    assert set(json.loads(said)["services"]) == {"gateway", "whisper-api", "ollama"}


@pytest.mark.promise("B.4")
def test_every_variant_of_the_compose_file_is_taken_by_the_hosts_compose(
    deployed_host: Deployed, tmp_path: Path
) -> None:
    """Also what this host does not run: GPU by CDI and by reservation, and the profile monitoring."""
    gpu: dict[str, Any] = {"accelerator": "nvidia", "whisper": {"compute_type": "int8", "image_variant": "cuda"}}
    cases: dict[str, dict[str, Any]] = {
        "cdi": {"ai_plan": {**gpu, "gpu_mode": "cdi"}, "ai_profiles": ["monitoring"]},
        "reservation": {"ai_plan": {**gpu, "gpu_mode": "reservation"}},
        "limits": {"ai_ollama_memory_mib": 4096, "ai_profiles": ["monitoring"]},
    }
    for name, rendered in render(tmp_path, cases).items():
        for file, text in plan(Path("/opt/ai"), rendered.files, rendered.config).files.items():
            engine.run_in(
                deployed_host.container, ["sh", "-c", f"mkdir -p /tmp/{name}; cat > /tmp/{name}/{file}"], stdin=text
            )
        look = f"cd /tmp/{name} && docker compose config --format json && rm -r /tmp/{name}"
        said = json.loads(engine.run_in(deployed_host.container, ["sh", "-c", look]))
        assert set(said["services"]) == set(rendered.compose["services"])
