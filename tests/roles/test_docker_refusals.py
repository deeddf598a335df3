"""A Docker that is in the way is refused with the way out; any other is kept (issue 4, role docker)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.long

ROLES = Path(__file__).resolve().parents[2] / "ansible" / "roles"
COMPOSE = {"Name": "compose", "Version": "v2.26.1"}


@dataclass(frozen=True)
class Host:
    """What one host answers to `dpkg-query` and `docker info`, and what is said of it: "" when it is taken as it is."""

    said: str
    packages: tuple[str, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
    release: str = "Debian 13"
    source: str = "auto"


def engine(version: str, *plugins: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"ServerVersion": version, "ClientInfo": {"Plugins": list(plugins)}, **more}


HOSTS = {
    "bare": Host(""),
    "bare_bookworm": Host("", release="Debian 12"),
    "distribution": Host("", ("docker.io",), engine("26.1.5", COMPOSE)),
    "compose_missing": Host("", ("docker.io",), engine("26.1.5")),
    "by_hand": Host("", (), engine("29.0.1", COMPOSE, DockerRootDir="/var/lib/docker")),
    "docker_wished": Host("", ("docker-ce",), engine("28.0.0", COMPOSE), source="docker"),
    "podman": Host("Remove podman-docker", ("podman-docker",)),
    "snap": Host("snap remove docker", (), engine("27.0.0", COMPOSE, DockerRootDir="/var/snap/docker/common")),
    "old": Host("24.0 is needed", ("docker.io",), engine("20.10.24+dfsg1"), release="Debian 12"),
    "other_origin": Host("Set ai_docker_source=auto", ("docker.io",), engine("26.1.5", COMPOSE), source="docker"),
    "no_such_package": Host("has no Docker with compose", release="Debian 12", source="distribution"),
    "by_hand_no_compose": Host("Put the plugin beside it", (), engine("29.0.1")),
    "by_hand_old_compose": Host(
        "Put the plugin beside it", (), engine("29.0.1", {"Name": "compose", "Version": "2.3.3"})
    ),
    "open_socket": Host(
        "root on this host",
        ("docker-ce",),
        engine("28.0.0", COMPOSE, Warnings=["API is accessible on http://0.0.0.0:2375 without encryption."]),
    ),
}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """What the role's room `validate` said to each host: one run over all of them, with commands that play the host."""
    folder = tmp_path_factory.mktemp("hosts")
    inventory: dict[str, Any] = {}
    for name, host in HOSTS.items():
        programs = folder / name
        programs.mkdir()
        write_program(programs / "dpkg-query", "".join(f"ii  {package}\n" for package in host.packages))
        write_program(programs / "docker", json.dumps(host.info) if host.info else "")
        inventory[name] = {"programs": str(programs), "ai_docker_source": host.source, "release": host.release}
    every = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    (folder / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": inventory, "vars": every}}))
    tasks: list[dict[str, Any]] = [
        {"ansible.builtin.set_fact": {"docker_release": "{{ release }}"}},
        {"ansible.builtin.include_role": {"name": "docker", "tasks_from": "validate"}},
    ]
    path = {"PATH": "{{ programs }}:/usr/bin:/bin"}
    (folder / "play.yml").write_text(yaml.safe_dump([{"hosts": "all", "environment": path, "tasks": tasks}]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "hosts.yml", "play.yml"],
        cwd=folder, capture_output=True, text=True, check=False, timeout=250,
        env=os.environ | {"ANSIBLE_ROLES_PATH": str(ROLES), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                          "ANSIBLE_GATHERING": "explicit", "ANSIBLE_INJECT_FACT_VARS": "0"},
    )  # fmt: skip
    report = json.loads(done.stdout[done.stdout.index("{") :])
    last = report["plays"][0]["tasks"][-1]["hosts"]
    assert set(last) == set(HOSTS), "every host came as far as the refusals"
    return lambda name: " ".join(one["msg"] for one in last[name]["results"] if one.get("failed"))


def write_program(path: Path, output: str) -> None:
    path.write_text(f"#!/bin/sh\ncat <<'EOF'\n{output}\nEOF\n")
    path.chmod(0o755)


@pytest.mark.promise("S0.6")
@pytest.mark.parametrize("name", HOSTS)
def test_a_docker_is_kept_or_refused_with_the_way_out(answers: Callable[[str], str], name: str) -> None:
    if HOSTS[name].said:
        assert HOSTS[name].said in answers(name)
    else:
        assert answers(name) == ""
