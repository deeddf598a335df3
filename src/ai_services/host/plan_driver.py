"""Which NVIDIA driver a host gets: branch, kernel module flavour, source, packages, and whether it must be rebooted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from ai_services.host.gpu_table import default_branch, packaged_branch, parse_capability, table
from ai_services.host.plan_machine import numbers, repository_of
from ai_services.host.plan_types import Driver, Facts, Gpu, Note, Notes, Reboot, Settings

Flavour = Literal["open", "proprietary"]
# Up to here NVIDIA's Ubuntu repository has the branch in the package name; afterwards only in the version.
_LAST_SUFFIXED: Final = 580


def choose(facts: Facts, settings: Settings, gpus: Sequence[Gpu], notes: Notes) -> Driver:
    """Return the driver for these usable cards, and note what cannot be."""
    if not gpus:
        return Driver()
    flavour = _flavour(gpus, notes)
    low, high = _bounds(gpus, notes)
    if flavour is None or (high is not None and low > high):
        return Driver()
    wish = str(settings.get("ai_driver_branch", "auto"))
    working = _working(facts, gpus, (low, high), None if wish == "auto" else int(wish))
    nvidia = facts.get("nvidia") or {}
    if working is not None:
        return Driver(
            keep=True, branch=working, flavour=loaded_flavour(facts) or flavour, repository=repository_of(facts) or ""
        )
    source = settings.get("ai_driver_source", "auto")
    if source == "none":
        return _owners_driver(nvidia, flavour, low, high, notes)
    if nvidia.get("runfile"):
        notes.refuse(
            "runfile",
            f"A driver of NVIDIA's own installer (.run) is here, version {nvidia.get('module_version') or 'unknown'}, "
            "and it does not meet this plan.",
            "Packages and the installer overwrite each other's files, and apt cannot remove what it did not bring.",
            "Remove it with `sudo nvidia-uninstall` and run the deployment again, or keep it current yourself with "
            "ai_driver_source=none.",
        )
        return Driver()
    branch = _branch(wish, gpus, low, high, notes)
    return _from_packages(facts, str(source), branch, flavour, low, notes)


def say_reboot(settings: Settings, notes: Notes, *, local: bool) -> None:
    """Warn where the reboot that the driver needs will not be made by us."""
    wish = settings.get("ai_reboot", "auto")
    if wish == "allowed" or (wish == "auto" and not local):
        return
    notes.warn(
        "reboot_by_hand",
        "The driver needs a reboot, and it will not be made.",
        "ai_reboot=never." if wish == "never" else "The host is the machine that this command runs on.",
        "Reboot when the run stops and says so, then run the same command again; or set ai_reboot=allowed.",
    )


def say_fabric(driver: Driver, notes: Notes) -> None:
    """Warn of what a board with NVSwitches needs beside the driver."""
    notes.warn(
        "nvswitch",
        "The cards of this host are joined by NVSwitches, and this version does not install their fabric manager.",
        "Without it CUDA does not start on them (error 802, system not yet initialized).",
        f"Install nvidia-fabricmanager of the driver's very version (branch {driver.branch}) and enable "
        "nvidia-fabricmanager.service.",
    )


def _flavour(gpus: Sequence[Gpu], notes: Notes) -> Flavour | None:
    for flavour in ("open", "proprietary"):
        if all(flavour in gpu.card.flavours for gpu in gpus):
            return "open" if flavour == "open" else "proprietary"
    old = [gpu for gpu in gpus if "open" not in gpu.card.flavours]
    new = [gpu for gpu in gpus if "proprietary" not in gpu.card.flavours]
    notes.refuse(
        "mixed_modules",
        f"No one kernel module drives both the {old[0].card.name} and the {new[0].card.name}.",
        f"{old[0].card.architecture} needs NVIDIA's proprietary module, {new[0].card.architecture} its open one, and "
        "only one can be loaded.",
        f"Take one of them out, or bind it to vfio-pci: {old[0].address} or {new[0].address}.",
    )
    return None


def _bounds(gpus: Sequence[Gpu], notes: Notes) -> tuple[int, int | None]:
    low = max([gpu.card.first_branch or 0 for gpu in gpus] + [_ollama_needs(gpus)])
    last = [gpu.card.last_branch for gpu in gpus if gpu.card.last_branch is not None]
    high = min(last) if last else None
    if high is not None and low > high:
        notes.refuse(
            "mixed_branches",
            "No one driver branch drives all cards of this host.",
            f"One card needs at least {low}, another ends with {high}.",
            "Take one of them out, or bind it to vfio-pci.",
        )
    return low, high


def _ollama_needs(gpus: Sequence[Gpu]) -> int:
    rules = table()["ollama"]
    first, last = (parse_capability(text) for text in rules["old_cards"])
    old = any(gpu.card.capability is not None and first <= gpu.card.capability <= last for gpu in gpus)
    return int(rules["old_cards_driver"] if old else rules["driver"])


def _working(facts: Facts, gpus: Sequence[Gpu], bounds: tuple[int, int | None], wish: int | None) -> int | None:
    """Return the branch of a driver that works as it is and meets the plan."""
    nvidia = facts.get("nvidia") or {}
    version = numbers(nvidia.get("module_version"))
    if not nvidia.get("module_loaded") or not version or nvidia.get("userspace_version") != nvidia["module_version"]:
        return None
    # The open module is no use to an old card, the proprietary one none to a new card; either may do in between.
    loaded = nvidia.get("module_flavour")
    if loaded is not None and not all(loaded in gpu.card.flavours for gpu in gpus):
        return None
    low, high = bounds
    fits = version[0] >= low and (high is None or version[0] <= high) and wish in (None, version[0])
    return version[0] if fits else None


def _owners_driver(nvidia: Any, flavour: Flavour, low: int, high: int | None, notes: Notes) -> Driver:
    span = f"between {low} and {high}" if high else f"{low} or newer"
    seen = (
        f"module {nvidia.get('module_version') or 'not loaded'} ({nvidia.get('module_flavour') or 'no flavour'}), "
        f"libraries {nvidia.get('userspace_version') or 'not there'}"
    )
    notes.refuse(
        "owner_driver_missing",
        f"ai_driver_source=none leaves the driver to you, and none that works is here: {seen}.",
        f"The cards of this host need the {flavour} kernel module of a branch {span}, loaded, with libraries of the "
        "same version.",
        "Install it (and reboot), or let the deployment do it with ai_driver_source=auto, or set ai_accelerator=cpu.",
    )
    return Driver()


def _branch(wish: str, gpus: Sequence[Gpu], low: int, high: int | None, notes: Notes) -> int:
    best = max([low, *(default_branch(gpu.card) for gpu in gpus)])
    best = best if high is None else min(best, high)
    if wish == "auto":
        return best
    wanted = int(wish)
    names = ", ".join(sorted({gpu.card.name for gpu in gpus}))
    if high is not None and wanted > high:
        notes.refuse(
            "branch_too_new", f"ai_driver_branch={wanted} does not drive {names}.",
            f"Branch {high} is the last one for {_architectures(gpus)}.", f"Set ai_driver_branch={best} (or auto).",
        )  # fmt: skip
        return best
    if wanted < low:
        notes.refuse(
            "branch_too_old", f"ai_driver_branch={wanted} is too old for {names}.",
            f"Card and Ollama need branch {low} or newer.", f"Set ai_driver_branch={best} (or auto).",
        )  # fmt: skip
        return best
    if wanted not in table()["branches"]["known"]:
        notes.warn(
            "branch_unknown", f"ai_driver_branch={wanted} is not a branch that this version knows.",
            "Whether its packages exist is seen only when they are installed.", f"ai_driver_branch={best} is tried.",
        )  # fmt: skip
    return wanted


def _architectures(gpus: Sequence[Gpu]) -> str:
    return ", ".join(sorted({gpu.card.architecture for gpu in gpus if gpu.card.last_branch is not None}))


def _from_packages(
    facts: Facts, source: str, branch: int, flavour: Flavour, low: int, notes: Notes
) -> Driver:  # fmt: skip
    repository = repository_of(facts)
    if repository is None:
        return Driver()
    ubuntu = repository.startswith("ubuntu")
    signed = bool(facts.get("secure_boot")) and ubuntu
    packaged = packaged_branch(repository) or 0
    if facts.get("secure_boot") and not (signed and source in ("auto", "distribution")):
        notes.refuse(
            "secure_boot",
            "Secure Boot is on, and the driver's module would be built on the host.",
            'The kernel rejects a module without a signature that the firmware knows ("Key was rejected by service").',
            ("Set ai_driver_source=distribution: Ubuntu's archive has signed modules. Or " if ubuntu else "")
            + "switch Secure Boot off in the firmware (of a virtual machine: in its settings), or sign the driver "
            "yourself and set ai_driver_source=none.",
        )
        return Driver()
    if facts.get("arch") not in (None, "x86_64"):
        notes.refuse(
            "driver_arch", f"A driver for {facts['arch']} is not installed by this version.",
            "Its packages differ from board to board.",
            "Install the board maker's driver and set ai_driver_source=none, or set ai_accelerator=cpu.",
        )  # fmt: skip
        return Driver()
    if source == "distribution" or signed:
        if packaged < low:
            notes.refuse(
                "distribution_driver_too_old",
                f"ai_driver_source=distribution: {repository} has branch {packaged or 'none'}.",
                f"These cards with Ollama need branch {low} or newer.",
                "Set ai_driver_source=nvidia (NVIDIA's own repository).",
            )
            return Driver()
        branch = packaged
    reboot = _reboot(facts)
    if source == "distribution" or signed:
        packages = _distribution_packages(repository, branch, flavour, str(facts.get("kernel") or ""), signed=signed)
        return Driver(True, False, branch, "distribution", flavour, repository, None, packages, reboot)
    return Driver(
        True, False, branch, "nvidia", flavour, repository, f"nvidia-driver-pinning-{branch}",
        _nvidia_packages(repository, branch, flavour), reboot,
    )  # fmt: skip


def _nvidia_packages(repository: str, branch: int, flavour: Flavour) -> tuple[str, ...]:
    """Return the compute-only packages of NVIDIA's repository (its driver installation guide, "Compute-only")."""
    if repository.startswith("debian"):
        return ("nvidia-driver-cuda", "nvidia-kernel-open-dkms" if flavour == "open" else "nvidia-kernel-dkms")
    number = f"-{branch}" if branch <= _LAST_SUFFIXED else ""
    module = f"nvidia-dkms{number}{'-open' if flavour == 'open' else ''}"
    # From 590 on nvidia-smi comes with libnvidia-compute.
    return (f"libnvidia-compute{number}", module, *([f"nvidia-utils{number}"] if number else []))


def _distribution_packages(
    repository: str, branch: int, flavour: Flavour, kernel: str, *, signed: bool
) -> tuple[str, ...]:
    if repository.startswith("debian"):
        return ("nvidia-kernel-open-dkms" if flavour == "open" else "nvidia-kernel-dkms", "nvidia-smi", "libcuda1")
    suffix = "-open" if flavour == "open" else ""
    if signed:
        # Built and signed by Canonical for exactly this kernel.
        return (
            f"linux-modules-nvidia-{branch}-server{suffix}-{kernel}",
            f"nvidia-headless-no-dkms-{branch}-server{suffix}",
            f"nvidia-utils-{branch}-server",
        )
    return (f"nvidia-headless-{branch}-server{suffix}", f"nvidia-utils-{branch}-server")


def _reboot(facts: Facts) -> Reboot:
    nvidia = facts.get("nvidia") or {}
    if nvidia.get("nouveau_loaded") or nvidia.get("module_loaded"):
        # Neither nouveau on a console nor a module in use can be taken out of a running kernel for certain.
        return "needed"
    return "maybe"


def loaded_flavour(facts: Facts) -> Flavour | None:
    """Return the flavour of the module in the kernel."""
    flavour = (facts.get("nvidia") or {}).get("module_flavour")
    return flavour if flavour in ("open", "proprietary") else None


def mismatch(facts: Facts) -> Note | None:
    """Return what is to say when the loaded module and the libraries are of two versions."""
    nvidia = facts.get("nvidia") or {}
    module, libraries = nvidia.get("module_version"), nvidia.get("userspace_version")
    if not nvidia.get("module_loaded") or not module or not libraries or module == libraries:
        return None
    return Note(
        "module_mismatch",
        f"The loaded NVIDIA module is {module}, the libraries are {libraries}.",
        "An upgrade replaced the libraries under a running module: the next container that is created gets no GPU.",
        "The deployment reboots the host for it where it may.",
    )
