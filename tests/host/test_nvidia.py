"""S0.6, B.4, B.6: driver and container toolkit, for real up to the kernel module, on a host with a card for show.

The tests of one host build on each other and run in this order: a day in its life, from bare to removed.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ai_services.doctor.bundle import build
from ai_services.host.plan import make_plan
from host.lab import engine, gpu, hosts, internet
from host.lab.place import INTERNET, Lab, LabError
from host.plan_facts import settings

TOP = Path(__file__).parents[2]
T4, P4, M4000, RTX5090 = "10de:1eb8", "10de:1bb3", "10de:13f1", "10de:2b85"
PLAY = """
- hosts: all
  become: true
  gather_facts: true
  gather_subset: ["!all", "!min", distribution, virtual, pkg_mgr, service_mgr, python]
  tasks:
    - include_role: {name: "{{ item }}", tasks_from: "{{ room | default('main') }}"}
      loop: "{{ chosen }}"
"""
DRIVER, ALL = ["nvidia_driver"], ["base", "nvidia_driver", "container_toolkit"]

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Run:
    """What a playbook run came to."""

    text: str
    ok: bool
    changed: int
    plan: dict[str, Any]


class Machine:
    """A lab host that plans and roles are tried on."""

    def __init__(self, lab: Lab, name: str, folder: Path) -> None:
        self.lab, self.name, self.folder = lab, name, folder
        self.container = lab.container(name)

    def facts(self) -> dict[str, Any]:
        """What the doctor says of it."""
        build(self.folder / "doctor.pyz")
        engine.call("cp", str(self.folder / "doctor.pyz"), f"{self.container}:/var/tmp/doctor.pyz")
        found: dict[str, Any] = json.loads(gpu.execute(self.container, "python3 /var/tmp/doctor.pyz facts"))
        return found

    def converge(
        self, roles: list[str], *options: str, room: str = "main", plan: dict[str, Any] | None = None, **wishes: Any
    ) -> Run:
        """Plan on the host's own facts (or take a plan), then run these roles over SSH."""
        if plan is None:
            plan = make_plan(self.facts(), settings(**wishes)).as_dict()
            assert not plan["refusals"], plan["refusals"]
        variables = {
            "ai_plan": plan, "chosen": roles, "room": room, "ai_extra_ca_file": str(self.lab.trusted),
            "ai_repository_fingerprints": (self.lab.folder / "repository_fingerprint").read_text().split(), **wishes,
        }  # fmt: skip
        (self.folder / "vars.json").write_text(json.dumps(variables))
        (self.folder / "play.yml").write_text(PLAY)
        done = subprocess.run(
            self.lab.inside([
                str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.lab.inventory), "-l",
                self.lab.fqdn(self.name), "-e", f"@{self.folder / 'vars.json'}", *options,
                str(self.folder / "play.yml"),
            ]),
            env={**os.environ, "ANSIBLE_CONFIG": str(TOP / "ansible" / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
            capture_output=True, text=True, check=False, cwd=self.folder,
        )  # fmt: skip
        recap = re.search(r"changed=(\d+) +unreachable=0 +failed=(\d+)", done.stdout)
        assert recap, done.stdout[-3000:] + done.stderr[-1000:]
        return Run(done.stdout, recap[2] == "0", int(recap[1]), plan)

    def shell(self, script: str) -> str:
        """Root's shell on the host."""
        return gpu.execute(self.container, script)

    def module(self) -> tuple[str, str]:
        """Version and flavour of the module in the kernel."""
        text = gpu.loaded(self.container)
        found = re.search(r"(\d{3}\.\d+(?:\.\d+)?)", text)
        return (found[1] if found else "", "open" if "Open Kernel Module" in text else "proprietary" if text else "")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    lab = Lab.called()
    try:
        engine.possible()
    except LabError as error:
        pytest.skip(str(error))
    engine.ensure()
    was_there = engine.inspect("container", lab.container(INTERNET)) is not None
    internet.ensure(lab)
    if not os.environ.get("AI_LAB_KEEP"):
        hosts.remove(lab, "nvidia")
    hosts.start(lab, "nvidia", suite=os.environ.get("AI_LAB_SUITE", "trixie"), gpus=(T4,))
    yield Machine(lab, "nvidia", tmp_path_factory.mktemp("nvidia"))
    if not os.environ.get("AI_LAB_KEEP"):
        hosts.remove(lab, "nvidia")
        if not was_there and not hosts.all_of(lab):
            internet.remove(lab, caches=False)


def test_check_mode_on_a_fresh_host_foretells_and_changes_nothing(machine: Machine) -> None:
    everything = "dpkg-query -W | sha256sum; find /etc /usr/share/keyrings -type f | sort | sha256sum"
    before = machine.shell(everything)
    run = machine.converge(ALL, "--check", "--diff")
    assert run.ok, run.text[-2000:]
    for line in ("install nvidia-driver-pinning-580", "install nvidia-kernel-open-dkms",
                 "install nvidia-container-toolkit"):  # fmt: skip
        assert line in run.text
    assert machine.shell(everything) == before


def test_a_turing_card_gets_the_open_module_of_the_pinned_branch(machine: Machine) -> None:
    booted = hosts.booted_at(machine.lab, machine.name)
    run = machine.converge(ALL)
    assert run.ok, run.text[-3000:]
    assert machine.module() == ("580.105.08", "open")
    # Newer branches are in the repository: it is the pin that keeps 580.
    assert "Candidate: 580.105.08-1" in machine.shell("apt-cache policy nvidia-driver-cuda")
    assert "595.45.04-1" in machine.shell("apt-cache madison nvidia-driver-cuda")
    assert "Tesla T4, 580.105.08" in machine.shell("nvidia-smi --query-gpu=name,driver_version --format=csv,noheader")
    assert hosts.booted_at(machine.lab, machine.name) == booted, "a module that loads needs no reboot"


def test_the_toolkit_is_pinned_and_names_the_cards(machine: Machine) -> None:
    versions = machine.shell("dpkg-query -W -f '${Version}\\n' nvidia-container-toolkit nvidia-container-toolkit-base "
                             "libnvidia-container-tools libnvidia-container1")  # fmt: skip
    assert versions.split() == ["1.18.1-1"] * 4
    assert machine.shell("nvidia-ctk --version").startswith("NVIDIA Container Toolkit CLI version 1.18.1")
    assert "nvidia.com/gpu=all" in machine.shell("nvidia-ctk cdi list 2>/dev/null")
    assert "nvidia-container-runtime" in machine.shell("cat /etc/docker/daemon.json")
    # 1.19.1 is in the repository, and a full upgrade leaves the four where they are.
    assert "nvidia-container" not in machine.shell("apt-get --simulate dist-upgrade | grep ^Inst || true")


def test_unattended_upgrades_leave_the_driver_alone(machine: Machine) -> None:
    held = machine.shell("apt-config dump Unattended-Upgrade::Package-Blacklist")
    patterns = re.findall(r'"([^"]+)";', held)
    for name in ("nvidia-driver-cuda", "libnvidia-ml1", "libcuda1", "nvidia-kernel-open-dkms", "cuda-drivers"):
        assert any(re.match(pattern, name) for pattern in patterns), name


def test_a_second_run_changes_nothing_nor_does_check_mode(machine: Machine) -> None:
    assert machine.converge(ALL).changed == 0
    check = machine.converge(ALL, "--check", "--diff")
    assert (check.ok, check.changed) == (True, 0)


def test_a_reboot_that_may_not_be_is_asked_for(machine: Machine) -> None:
    gpu.load(machine.container, version="580.95.05", flavour="open")
    assert "version mismatch" in machine.shell("nvidia-smi || true")
    run = machine.converge(DRIVER, ai_reboot="never")
    assert not run.ok
    assert "must be rebooted for its driver: the kernel has module 580.95.05, installed is 580.105.08" in run.text
    assert run.plan["driver"]["reboot"] == "needed"


def test_a_torn_driver_is_mended_by_one_reboot(machine: Machine) -> None:
    booted = hosts.booted_at(machine.lab, machine.name)
    run = machine.converge(DRIVER)
    assert run.ok, run.text[-3000:]
    assert machine.module() == ("580.105.08", "open")
    after = hosts.booted_at(machine.lab, machine.name)
    assert after != booted
    assert machine.converge(DRIVER).changed == 0
    assert hosts.booted_at(machine.lab, machine.name) == after


def test_another_card_gets_the_other_module(machine: Machine) -> None:
    gpu.plug(machine.container, P4)
    assert machine.module() == ("", ""), "the open module refuses a Pascal card"
    assert "couldn't communicate with the NVIDIA driver" in machine.shell("nvidia-smi || true")
    run = machine.converge(DRIVER)
    assert run.ok, run.text[-3000:]
    assert machine.module() == ("580.105.08", "proprietary")
    assert "nvidia-kernel-open-dkms" not in machine.shell("dpkg-query -W -f '${Status} ${Package}\\n' | grep ^install")


def test_the_quadro_m4000_is_driven_and_whisper_is_sent_to_the_cpu(machine: Machine) -> None:
    gpu.plug(machine.container, M4000)
    run = machine.converge(DRIVER)
    assert run.ok, run.text[-3000:]
    assert run.plan["driver"]["keep"], "the module loaded at boot drives it as it is"
    assert (run.plan["whisper"]["device"], run.plan["whisper"]["image_variant"]) == ("cpu", "cpu")
    assert "Quadro M4000, 5.2" in machine.shell("nvidia-smi --query-gpu=name,compute_cap --format=csv,noheader")


def test_nouveau_is_put_out_by_a_reboot_for_a_blackwell_card(machine: Machine) -> None:
    machine.shell("rm /etc/modprobe.d/ai-nouveau.conf")
    gpu.plug(machine.container, RTX5090, nouveau=True)
    booted = hosts.booted_at(machine.lab, machine.name)
    run = machine.converge(DRIVER)
    assert run.ok, run.text[-3000:]
    assert run.plan["driver"]["reboot"] == "needed"
    assert hosts.booted_at(machine.lab, machine.name) != booted
    assert machine.module() == ("580.105.08", "open")
    assert machine.facts()["nvidia"]["nouveau_loaded"] is False


def test_secure_boot_is_refused_before_anything_changes(machine: Machine) -> None:
    gpu.plug(machine.container, T4, secure_boot=True)
    plan = make_plan(machine.facts(), settings())
    assert [note.code for note in plan.refusals] == ["secure_boot"]
    gpu.plug(machine.container, T4)


def test_a_driver_of_the_installer_is_refused(machine: Machine) -> None:
    gpu.unload(machine.container)
    unaware = make_plan(machine.facts(), settings()).as_dict()
    machine.shell("touch /usr/bin/nvidia-uninstall")
    try:
        aware = make_plan(machine.facts(), settings())
        run = machine.converge(DRIVER, plan=unaware)
    finally:
        machine.shell("rm /usr/bin/nvidia-uninstall")
    assert [note.code for note in aware.refusals] == ["runfile"]
    assert not run.ok
    assert "sudo nvidia-uninstall" in run.text


def test_removed_it_is_as_it_was_found(machine: Machine) -> None:
    run = machine.converge(["container_toolkit", "nvidia_driver"], room="remove")
    assert run.ok, run.text[-3000:]
    assert not re.findall("nvidia|cuda", machine.shell("dpkg-query -W -f '${Status} ${Package}\\n' | grep ^install"))
    left = machine.shell("find /etc /usr/share/keyrings /opt/ai /var/lib/ai-services -name '*nvidia*' -o -name '*cdi*' "
                         "-o -name '*container*toolkit*' -o -name ai-debian-sections.sources")  # fmt: skip
    assert left == ""
    assert not machine.shell("cat /etc/docker/daemon.json 2>/dev/null || true")
    assert machine.converge(["container_toolkit", "nvidia_driver"], room="remove").changed == 0
