"""B.4, S0.3, S0.12: before anything is installed the plan says what will be, or refuses and names the nearest."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ai_services.host import gpu_table
from ai_services.host.plan import make_plan
from ai_services.host.plan_types import Plan
from host.plan_facts import card, facts, facts_with, loaded, settings

M4000, P4, P100, V100, T4, RTX5090, A100 = "13f1", "1bb3", "15f8", "1db4", "1eb8", "2b85", "20b5"
UBUNTU = {"id": "ubuntu", "version_id": "24.04", "name": "Ubuntu 24.04 LTS"}
BOOKWORM = {"id": "debian", "version_id": "12", "name": "Debian GNU/Linux 12"}


def refused(plan: Plan) -> list[str]:
    return [note.code for note in plan.refusals]


def warned(plan: Plan) -> list[str]:
    return [note.code for note in plan.warnings]


def disk(free_mib: int) -> list[dict[str, Any]]:
    return [{"mount": "/", "free_mib": free_mib, "paths": ["/var/lib/docker"]}]


def listening(port: int, process: str | None) -> list[dict[str, Any]]:
    return [{"port": port, "proto": "tcp", "address": "0.0.0.0", "process": process, "pid": 7}]


def test_the_quadro_m4000_of_the_seeds() -> None:
    plan = make_plan(facts_with(M4000), settings())
    assert not plan.refusals
    assert (plan.driver.branch, plan.driver.flavour, plan.driver.source) == (580, "proprietary", "nvidia")
    assert (plan.driver.pin, plan.driver.packages) == (
        "nvidia-driver-pinning-580",
        ("nvidia-driver-cuda", "nvidia-kernel-dkms"),
    )
    assert (plan.whisper.device, plan.whisper.compute_type, plan.whisper.image_variant) == ("cpu", "int8", "cpu")
    assert plan.models.verdict == "fits together"
    [note] = [note for note in plan.warnings if note.code == "whisper_on_cpu"]
    assert "5.2" in note.why
    for way_out in ("small", "3.24", "CUDA_ARCH_LIST=5.2"):
        assert way_out in note.nearest


def test_a_host_without_gpu_gets_a_stack_on_the_cpu() -> None:
    plan = make_plan(facts(), settings())
    assert (plan.accelerator, plan.gpu_mode, plan.driver.wanted, plan.driver.packages) == ("cpu", "none", False, ())
    assert (plan.whisper.device, plan.models.verdict) == ("cpu", "on the CPU")
    assert not plan.refusals
    assert "no NVIDIA GPU" in plan.plan[0]


# One row per refusal: what bends the good host, what is refused, and a word of the way out.
REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    ("no_gpu", facts(), {"ai_accelerator": "nvidia"}, "class 03", "ai_accelerator=cpu"),
    ("no_gpu", facts(pci=[card(T4, driver="vfio-pci")]), {"ai_accelerator": "nvidia"}, "vfio", "ai_accelerator=cpu"),
    ("mixed_modules", facts_with(P4, RTX5090), {}, "proprietary", "vfio-pci"),
    ("branch_too_new", facts_with(P4), {"ai_driver_branch": "590"}, "580", "ai_driver_branch=580"),
    ("branch_too_old", facts_with(T4), {"ai_driver_branch": "535"}, "550", "ai_driver_branch=580"),
    ("branch_too_old", facts_with(P4), {"ai_driver_branch": "550"}, "570", "ai_driver_branch=580"),
    ("branch_too_old", facts_with(RTX5090), {"ai_driver_branch": "550"}, "570", "ai_driver_branch=580"),
    ("distribution_driver_too_old", facts_with(T4, os=BOOKWORM), {"ai_driver_source": "distribution"}, "550", "nvidia"),
    ("distribution_driver_too_old", facts_with(P4), {"ai_driver_source": "distribution"}, "570", "nvidia"),
    ("secure_boot", facts_with(T4, secure_boot=True), {}, "Key was rejected", "firmware"),
    ("secure_boot", facts_with(T4, os=UBUNTU, secure_boot=True), {"ai_driver_source": "nvidia"}, "Key", "distribution"),
    ("runfile", facts_with(T4, nvidia={**loaded("470.1.1", "proprietary"), "runfile": True}), {}, "apt",
     "nvidia-uninstall"),
    ("owner_driver_missing", facts_with(T4), {"ai_driver_source": "none"}, "open kernel module", "ai_accelerator=cpu"),
    ("driver_arch", facts_with(T4, arch="aarch64"), {}, "board", "ai_driver_source=none"),
    ("compute_type", facts_with(P4), {"ai_whisper_compute_type": "float16"}, "6.1", "int8_float32"),
    ("compute_type", facts_with(P100), {"ai_whisper_compute_type": "int8"}, "6.0", "float32"),
    ("compute_type", facts_with(M4000), {"ai_whisper_compute_type": "float16"}, "CPU", "int8"),
    ("compute_type", facts_with(V100), {"ai_whisper_compute_type": "bfloat16"}, "7.0", "float16"),
    ("compute_type", facts(), {"ai_whisper_compute_type": "float16"}, "CPU", "int8"),
    ("llm_too_large", facts_with("13ba"), {"ai_ollama_model": "qwen2.5:7b"}, "CPU", "qwen2.5:1.5b"),
    ("whisper_too_large", facts_with("1cb3"), {"ai_whisper_model": "large-v3", "ai_ollama_model": "gemma3:270m"},
     "load", "ai_whisper_model="),
    ("cdi_needs_docker_25", facts_with(T4, docker={"version": "24.0.7"}), {"ai_gpu_mode": "cdi"}, "25", "reservation"),
    ("system", facts(os={"id": "debian", "version_id": "11", "name": "Debian 11"}), {}, "four systems", "Debian 12"),
    ("system", facts(os={"id": "fedora", "version_id": "43", "name": "Fedora 43"}), {}, "four systems", "Ubuntu"),
    ("kernel", facts(kernel="4.19.0-27-amd64"), {}, "5.10", "reboot"),
    ("arch", facts(arch="riscv64"), {}, "x86_64", "x86_64"),
    ("container", facts(virtual="lxc"), {}, "kernel", "virtual machine"),
    ("sudo", facts(sudo=False), {}, "root", "sudo"),
    ("docker_old", facts(docker={"version": "20.10.24+dfsg1"}), {}, "24", "Upgrade"),
    ("clock", facts(clock={"offset_s": -4000.0}), {}, "not yet", "timedatectl"),
    ("disk", facts(disks=disk(9000)), {}, "/var/lib/docker", "room"),
    ("memory", facts(memory_mib=2000), {}, "memory", "memory"),
    ("memory", facts(memory_mib=7000), {"ai_ollama_model": "qwen2.5:7b"}, "memory", "smaller models"),
    ("port_80", facts(ports=listening(80, "apache2")), {}, "nginx", "systemctl disable"),
    ("port_443", facts(ports=listening(443, "caddy")), {}, "nginx", "systemctl disable"),
    ("port_443", facts(ports=listening(443, None)), {}, "nginx", "systemctl disable"),
    ("port_8080", facts(ports=listening(8080, "java")), {}, "gateway", "another port"),
    ("port_8080", facts(ports=listening(8080, "docker-proxy"),
                        docker={"version": "28.0.0", "other_containers": [{"name": "x", "ports": ["0.0.0.0:8080"]}]}),
     {}, "gateway", "another port"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "seen", "wish", "why", "nearest"), REFUSALS, ids=[
    f"{row[0]}-{number}" for number, row in enumerate(REFUSALS)
])  # fmt: skip
def test_a_wish_that_cannot_be_met_is_refused_with_the_reason_and_the_nearest(
    code: str, seen: dict[str, Any], wish: dict[str, Any], why: str, nearest: str
) -> None:
    plan = make_plan(seen, settings(**wish))
    assert refused(plan) == [code]
    note = plan.refusals[0]
    assert why in note.why
    assert nearest in note.nearest
    assert note.what.endswith(".")
    assert note.nearest.endswith(".")


def test_every_refusal_of_the_code_is_in_the_table() -> None:
    import re
    from pathlib import Path

    import ai_services.host.plan as module

    source = "".join(path.read_text() for path in Path(module.__file__).parent.glob("plan*.py"))
    named = set(re.findall(r'refuse\(\s*f?"([a-z_0-9{}]+)"', source))
    assert named - {"port_{number}", "mixed_branches"} <= {row[0] for row in REFUSALS}


def test_following_the_nearest_way_out_is_not_refused() -> None:
    for wish, mended in (
        ({"ai_driver_branch": "590"}, {"ai_driver_branch": "580"}),
        ({"ai_whisper_compute_type": "float16"}, {"ai_whisper_compute_type": "int8_float32"}),
    ):
        assert make_plan(facts_with(P4), settings(**wish)).refusals
        assert not make_plan(facts_with(P4), settings(**mended)).refusals
    small = make_plan(facts_with("13ba"), settings(ai_ollama_model="qwen2.5:1.5b"))
    assert not small.refusals


def test_our_own_nginx_and_gateway_are_no_strangers() -> None:
    ours = [*listening(80, "nginx"), *listening(443, "nginx"), *listening(8080, "docker-proxy")]
    assert not make_plan(facts(ports=ours, docker={"version": "28.0.0", "other_containers": []}), settings()).refusals


def test_a_running_stack_needs_room_for_the_next_release_only() -> None:
    tight = facts(disks=disk(6000))
    assert refused(make_plan(tight, settings())) == ["disk"]
    assert not make_plan({**tight, "release": "0123456789ab"}, settings()).refusals


@pytest.mark.parametrize(
    ("system", "device", "packages"),
    [
        (BOOKWORM, T4, ("nvidia-driver-cuda", "nvidia-kernel-open-dkms")),
        (BOOKWORM, P4, ("nvidia-driver-cuda", "nvidia-kernel-dkms")),
        (UBUNTU, T4, ("libnvidia-compute-580", "nvidia-dkms-580-open", "nvidia-utils-580")),
        (UBUNTU, P4, ("libnvidia-compute-580", "nvidia-dkms-580", "nvidia-utils-580")),
    ],
)
def test_packages_of_nvidias_repository(system: dict[str, str], device: str, packages: tuple[str, ...]) -> None:
    driver = make_plan(facts_with(device, os=system), settings()).driver
    assert driver.packages == packages
    assert driver.pin == "nvidia-driver-pinning-580"


def test_from_590_on_the_branch_is_in_no_package_name() -> None:
    driver = make_plan(facts_with(T4, os=UBUNTU), settings(ai_driver_branch="595")).driver
    assert driver.packages == ("libnvidia-compute", "nvidia-dkms-open")
    assert driver.pin == "nvidia-driver-pinning-595"


def test_secure_boot_on_ubuntu_takes_the_signed_modules_of_the_archive() -> None:
    seen = facts_with(T4, os=UBUNTU, secure_boot=True, kernel="6.8.0-45-generic")
    driver = make_plan(seen, settings()).driver
    assert driver.source == "distribution"
    assert driver.packages[0] == "linux-modules-nvidia-580-server-open-6.8.0-45-generic"
    assert not make_plan(seen, settings()).refusals


def test_a_working_driver_stays() -> None:
    plan = make_plan(facts_with(T4, nvidia=loaded("570.133.20", "proprietary")), settings())
    assert (plan.driver.keep, plan.driver.wanted, plan.driver.branch, plan.driver.reboot) == (True, False, 570, "no")
    assert any("570.133.20 works and stays" in sentence for sentence in plan.plan)
    assert not make_plan(
        facts_with(T4, nvidia=loaded("570.133.20", "open")), settings(ai_driver_source="none")
    ).refusals


@pytest.mark.parametrize(
    ("device", "nvidia", "wish"),
    [
        (P4, loaded("550.163.01", "proprietary"), {}),  # Ollama needs 570 on Pascal
        (T4, loaded("535.288.01", "proprietary"), {}),
        (P4, loaded("580.105.08", "open"), {}),  # the open module refuses cards without a GSP
        (T4, loaded("570.133.20", "open"), {"ai_driver_branch": "580"}),
        (T4, loaded("580.95.05", "open", libraries="580.105.08"), {}),
    ],
)
def test_another_driver_in_the_kernel_is_replaced_and_needs_a_reboot(
    device: str, nvidia: dict[str, Any], wish: dict[str, Any]
) -> None:
    plan = make_plan(facts_with(device, nvidia=nvidia), settings(**wish))
    assert (plan.driver.wanted, plan.driver.keep, plan.driver.reboot) == (True, False, "needed")
    assert any("rebooted once" in sentence for sentence in plan.plan)


def test_a_mismatch_of_module_and_libraries_is_said() -> None:
    plan = make_plan(facts_with(T4, nvidia=loaded("580.95.05", "open", libraries="580.105.08")), settings())
    [note] = [note for note in plan.warnings if note.code == "module_mismatch"]
    assert "580.95.05" in note.what
    assert "580.105.08" in note.what


@pytest.mark.parametrize(
    ("local", "wish", "reboots"),
    [(False, "auto", True), (True, "auto", False), (True, "allowed", True), (False, "never", False)],
)
def test_reboot_only_where_it_may(local: bool, wish: str, reboots: bool) -> None:
    nouveau = {**facts()["nvidia"], "nouveau_loaded": True}
    plan = make_plan(facts_with(T4, nvidia=nouveau), settings(ai_reboot=wish), local=local)
    assert plan.driver.reboot == "needed"
    assert ("reboot_by_hand" in warned(plan)) is not reboots
    assert any("rebooted once" in sentence for sentence in plan.plan) is reboots


def test_old_and_middle_cards_share_the_proprietary_module() -> None:
    plan = make_plan(facts_with(P4, T4), settings())
    assert (plan.driver.flavour, plan.driver.branch) == ("proprietary", 580)
    assert plan.whisper.compute_type == "float16"
    assert plan.whisper.gpu == "0000:02:00.0"


def test_a_card_lent_to_a_virtual_machine_is_left_out() -> None:
    plan = make_plan(facts(pci=[card(P4, 1, "vfio-pci"), card(RTX5090, 2)]), settings())
    assert not plan.refusals
    assert plan.driver.flavour == "open"
    assert "gpu_left_out" in warned(plan)
    assert [gpu.usable for gpu in plan.gpus] == [False, True]


@pytest.mark.parametrize(
    ("device", "llm", "verdict"),
    [
        ("2204", "qwen2.5:3b", "fits together"),  # 24 GiB
        ("1e82", "qwen2.5:3b", "time-shared"),  # 8 GiB: the seeds' case of one card for both
        (T4, "qwen2.5:7b", "time-shared"),  # 16 GiB: the seeds' "won't fit with Whisper"
        ("1e82", "qwen2.5:7b", "tight"),
        ("13ba", "qwen2.5:7b", "does not fit"),  # 4 GiB
    ],
)
def test_whether_the_chosen_models_fit(device: str, llm: str, verdict: str) -> None:
    plan = make_plan(facts_with(device), settings(ai_ollama_model=llm))
    assert plan.models.verdict == verdict
    assert (refused(plan) == ["llm_too_large"]) is (verdict == "does not fit")


def test_what_the_driver_says_of_memory_wins() -> None:
    nvidia = {**loaded("580.105.08", "open"), "memory_mib": {"0000:01:00.0": 15360}}
    assert make_plan(facts_with(T4, nvidia=nvidia), settings()).models.usable_mib == 15360


def test_a_board_with_nvswitches_is_told_of_its_fabric_manager() -> None:
    switch = {**card("22a3", 9), "class": "068000"}
    seen = facts(pci=[card("2330", 1), switch])
    assert "nvswitch" in warned(make_plan(seen, settings()))
    assert "nvswitch" not in warned(make_plan(facts_with("2330"), settings()))


def test_an_estimate_warns_and_never_refuses() -> None:
    plan = make_plan(facts_with(T4), settings(ai_ollama_model="somebody/unheard-of:70b"))
    assert not plan.refusals
    assert "llm_too_large" in warned(plan)


def test_two_cards_hold_what_one_does_not() -> None:
    plan = make_plan(facts_with(T4, T4), settings(ai_ollama_model="qwen2.5:7b"))
    assert plan.models.verdict == "fits together"


def test_the_clock_is_compared_with_ours() -> None:
    now = datetime.datetime(2026, 11, 21, 13, 0, tzinfo=datetime.UTC)
    assert refused(make_plan(facts(), settings(), now=now)) == ["clock"]
    assert not make_plan(facts(), settings(), now=now - datetime.timedelta(minutes=59)).refusals


@pytest.mark.parametrize("found", [[], ["203.0.113.7"]])
def test_a_name_that_leads_elsewhere_is_a_warning(found: list[str]) -> None:
    plan = make_plan(facts(dns={"ai.lab.test": found}), settings())
    assert not plan.refusals
    assert warned(plan) == ["dns"]
    assert "DNS-01" in plan.warnings[0].why
    assert not make_plan(facts(dns={"ai.lab.test": ["192.168.20.30"]}), settings()).warnings


def test_unknown_facts_refuse_nothing() -> None:
    for name in facts():
        plan = make_plan({**facts_with(T4), name: None}, settings())
        assert not plan.refusals, name
    assert not make_plan({}, settings()).refusals


def test_who_may_reach_the_host_is_said() -> None:
    def last(**wish: Any) -> str:
        return " ".join(make_plan(facts(), settings(**wish)).plan)

    assert "Only 10.1.0.0/16 may reach ports 80 and 443" in last(ai_allowed_networks=["10.1.0.0/16"])
    assert "whole internet" in last(ai_allowed_networks=["any"])
    assert "nginx alone sees to it" in last(ai_firewall="off")
    assert "no TLS" in last(ai_tls="off")


@pytest.mark.parametrize(
    ("docker", "wish", "mode"),
    [({}, "auto", "cdi"), ({"version": "26.1.5"}, "auto", "cdi"), ({"version": "24.0.7"}, "auto", "reservation"),
     ({}, "reservation", "reservation"), ({}, "cdi", "cdi")],
)  # fmt: skip
def test_how_containers_get_the_gpu(docker: dict[str, Any], wish: str, mode: str) -> None:
    assert make_plan(facts_with(T4, docker=docker), settings(ai_gpu_mode=wish)).gpu_mode == mode


def test_the_plan_is_json_and_no_secret_is_in_it() -> None:
    import json

    plan = make_plan(facts_with(T4), settings(ai_ghcr_token="ghp_canary"))
    assert "ghp_canary" not in json.dumps(plan.as_dict())


def test_when_the_default_moves_on_old_cards_stay_with_their_last_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    branches = gpu_table.table()["branches"]
    monkeypatch.setitem(branches, "default", 590)
    assert make_plan(facts_with(T4), settings()).driver.branch == 590
    assert make_plan(facts_with(P4), settings()).driver.branch == 580
    assert make_plan(facts_with(P4, T4), settings()).driver.branch == 580
