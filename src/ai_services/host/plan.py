"""From what a host is and what its owner wants: what will be done there, or why not. Pure: it changes nothing.

`make_plan` is given the doctor's facts and the validated `ai_*` settings. While the plan has a refusal the playbook
changes nothing; every refusal says what is so, why that is in the way, and the nearest wish that can be met.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal

from ai_services.host import gpu_table, plan_driver, plan_machine, plan_models, plan_words
from ai_services.host.plan_types import Accelerator, Facts, Gpu, Notes, Plan, Settings

__all__ = ["make_plan"]


def make_plan(facts: Facts, settings: Settings, *, local: bool = False, now: datetime.datetime | None = None) -> Plan:
    """Decide what a deployment will do.

    Args:
        facts: what `doctor.pyz facts` printed; a fact that is missing or None counts as unknown and refuses nothing.
        settings: the validated `ai_*` variables by name.
        local: the host is the machine that the command runs on.
        now: our own clock (UTC) when the facts came; the host's is compared with it. None: not compared.
    """
    notes = Notes()
    gpus = _gpus(facts)
    plan_machine.check_system(facts, now, notes)
    accelerator = _accelerator(settings, gpus, notes)
    cards = [gpu for gpu in gpus if gpu.usable] if accelerator == "nvidia" else []
    driver = plan_driver.choose(facts, settings, cards, notes)
    if cards and (odd := plan_driver.mismatch(facts)) is not None:
        notes.warnings.append(odd)
    if cards and any(_is_nvswitch(function) for function in facts.get("pci") or ()):
        plan_driver.say_fabric(driver, notes)
    whisper = plan_models.place_whisper(settings, cards, notes)
    models = plan_models.fit(facts, settings, cards, whisper, notes)
    plan_machine.check_room(facts, settings, accelerator, whisper, models, driver, notes)
    plan_machine.check_network(facts, settings, notes)
    mode = _gpu_mode(facts, settings, accelerator, notes)
    if driver.reboot == "needed":
        plan_driver.say_reboot(settings, notes, local=local)
    return Plan(
        accelerator=accelerator,
        gpus=tuple(gpus),
        driver=driver,
        whisper=whisper,
        models=models,
        gpu_mode=mode,
        local=local,
        refusals=tuple(notes.refusals),
        warnings=tuple(notes.warnings),
        plan=tuple(plan_words.sentences(facts, settings, gpus, driver, whisper, models, mode, local=local)),
    )


def _gpus(facts: Facts) -> list[Gpu]:
    found = []
    for function in facts.get("pci") or ():
        if not gpu_table.is_gpu(function):
            continue
        card = gpu_table.find(str(function["device"]))
        driver = str(function.get("driver") or "")
        if driver.startswith(("vfio", "pci-stub")):
            usable, reason = False, f"it is bound to {driver}, so it belongs to a virtual machine"
        elif not card.flavours:
            usable, reason = False, f"its last driver is branch {card.last_branch}, too old for today's CUDA and Ollama"
        else:
            usable, reason = True, ""
        found.append(Gpu(str(function.get("address", "")), driver, card, usable, reason))
    return found


def _is_nvswitch(function: Mapping[str, Any]) -> bool:
    """Tell whether a PCI function is an NVSwitch: NVIDIA's, class 0680 (other bridge)."""
    return str(function.get("vendor", "")) == gpu_table.VENDOR and str(function.get("class", "")).startswith("0680")


def _accelerator(settings: Settings, gpus: list[Gpu], notes: Notes) -> Accelerator:
    wish = settings.get("ai_accelerator", "auto")
    if wish == "cpu":
        return "cpu"
    if any(gpu.usable for gpu in gpus):
        for gpu in gpus:
            if not gpu.usable:
                notes.warn(
                    "gpu_left_out", f"The {gpu.card.name} at {gpu.address} is left out.", f"{gpu.reason}.",
                    "Nothing to do if that is meant.",
                )  # fmt: skip
        return "nvidia"
    if wish == "nvidia":
        what = "ai_accelerator=nvidia, and the host shows no NVIDIA GPU that can be used."
        why = (
            "; ".join(f"{gpu.card.name} at {gpu.address}: {gpu.reason}" for gpu in gpus)
            or "No PCI device of vendor 10de and class 03 is there; a virtual machine needs the card passed through"
        )
        bound = any(gpu.driver.startswith("vfio") for gpu in gpus)
        notes.refuse(
            "no_gpu", what, f"{why}.",
            ("Give the card back to the host (undo its vfio-pci binding and reboot), or " if bound else "")
            + "set ai_accelerator=cpu for a stack on the CPU.",
        )  # fmt: skip
    elif gpus:
        notes.warn(
            "gpu_unusable",
            "The NVIDIA GPU of this host cannot be used; everything runs on the CPU.",
            "; ".join(f"{gpu.card.name} at {gpu.address}: {gpu.reason}" for gpu in gpus) + ".",
            "Set ai_accelerator=cpu if that is meant.",
        )
    return "cpu"


def _gpu_mode(
    facts: Facts, settings: Settings, accelerator: Accelerator, notes: Notes
) -> Literal["cdi", "reservation", "none"]:
    if accelerator == "cpu":
        return "none"
    docker = facts.get("docker") or {}
    version = plan_machine.numbers(docker.get("version"))
    # Docker learned CDI in 25; a host without Docker gets a newer one.
    can_cdi = not version or version[0] >= 25
    wish = settings.get("ai_gpu_mode", "auto")
    if wish == "cdi" and not can_cdi:
        notes.refuse(
            "cdi_needs_docker_25",
            f"ai_gpu_mode=cdi, and Docker {docker.get('version')} is installed.",
            "Docker hands out devices by CDI from version 25 on.",
            "Upgrade Docker, or set ai_gpu_mode=reservation.",
        )
    if wish == "reservation" or not can_cdi:
        return "reservation"
    return "cdi"
