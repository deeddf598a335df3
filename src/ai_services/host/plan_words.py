"""The plan in plain words: what is here, what is installed or changed, whether it reboots, who may reach the host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ai_services.host.plan_machine import numbers
from ai_services.host.plan_types import Driver, Facts, Gpu, Models, Settings, Whisper


def sentences(
    facts: Facts, settings: Settings, gpus: Sequence[Gpu], driver: Driver, whisper: Whisper, models: Models, mode: str,
    *, local: bool,
) -> Iterator[str]:  # fmt: skip
    """Yield the plan's sentences in the order in which things happen."""
    yield _here(facts, gpus)
    yield from _driver(facts, settings, driver, local=local)
    if mode != "none":
        how = "by CDI" if mode == "cdi" else "by a device reservation"
        yield (
            f"NVIDIA's container toolkit {settings.get('ai_container_toolkit_version', '')} is installed; containers "
            f"get the GPU {how}."
        )
    yield _docker(facts)
    device = "the GPU" if whisper.device == "cuda" else "the CPU"
    yield f"Speech: {whisper.model} on {device} ({whisper.compute_type}). Language: {models.sentence}"
    yield _reach(settings)
    if settings.get("ai_tls") == "letsencrypt" and settings.get("ai_domain"):
        yield f"A certificate for {settings['ai_domain']} comes from Let's Encrypt by DNS-01 at Cloudflare."
    elif settings.get("ai_tls") == "off":
        yield "There is no TLS: keys and recordings can be read by whoever sits between client and host."


def _here(facts: Facts, gpus: Sequence[Gpu]) -> str:
    system = (facts.get("os") or {}).get("name") or "an unknown system"
    cards = "; ".join(
        f"{gpu.card.name} ({gpu.card.architecture}, compute capability {gpu.card.capability_text}, "
        + (f"{gpu.card.memory_mib} MiB" if gpu.card.memory_mib else "memory not known yet")
        + (")" if gpu.usable else "; not used)")
        for gpu in gpus
    )
    return f"The host runs {system} and has {cards or 'no NVIDIA GPU'}."


def _driver(facts: Facts, settings: Settings, driver: Driver, *, local: bool) -> Iterator[str]:
    if driver.keep:
        version = (facts.get("nvidia") or {}).get("module_version")
        yield f"The NVIDIA driver {version} works and stays."
        return
    if not driver.wanted:
        return
    where = "NVIDIA's repository" if driver.source == "nvidia" else "the distribution's archive"
    yield (
        f"The NVIDIA driver, branch {driver.branch} with the {driver.flavour} kernel module, is installed from {where} "
        "and held back from unattended upgrades; the headers of the running kernel come with it."
    )
    wish = settings.get("ai_reboot", "auto")
    may = wish == "allowed" or (wish == "auto" and not local)
    if driver.reboot == "needed":
        yield (
            "The host is rebooted once, because another driver is loaded."
            if may
            else ("Another driver is loaded, so a reboot is needed; the run stops there and asks you for it.")
        )
    else:
        yield (
            "The host is not rebooted, unless the new module cannot be loaded without."
            if may
            else ("The host is not rebooted; if the new module cannot be loaded without, the run stops and says so.")
        )


def _docker(facts: Facts) -> str:
    docker = facts.get("docker") or {}
    if numbers(docker.get("version")):
        return f"Docker {docker['version']} is here and is used."
    return "Docker and Compose are installed."


def _reach(settings: Settings) -> str:
    networks = list(settings.get("ai_allowed_networks") or [])
    ports = "port 80" if settings.get("ai_tls") == "off" else "ports 80 and 443"
    who = "The whole internet" if "any" in networks else f"Only {', '.join(networks) or 'nobody'}"
    if settings.get("ai_firewall") == "off":
        return f"{who} may use {ports}: nginx alone sees to it, no firewall is set here."
    return f"{who} may reach {ports}; other ports stay as they are, and no container opens one."
