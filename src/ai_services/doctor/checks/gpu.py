"""The GPU from the bus up to the container: each check looks one step further than the one before."""

from __future__ import annotations

from typing import Any

from ai_services.doctor.bounded import Unseen
from ai_services.doctor.observe_gpu import DISPLAY, NVIDIA
from ai_services.doctor.verdict import Seen, Verdict, check, failed, ok, skipped, warning
from ai_services.doctor.xid import explain

GROUP = "gpu"
DAY_S = 86_400
_NO_GPU = "this host is set up without a GPU"


def _wanted(seen: Seen) -> bool | None:
    """Whether the release was made for a GPU; None where nothing is deployed."""
    release = seen.get("release") or {}
    accelerator = release.get("accelerator") or release.get("settings", {}).get("ai_accelerator")
    return None if accelerator is None else accelerator == "nvidia"


def _cards(seen: Seen) -> list[dict[str, Any]]:
    return [row for row in seen["pci"] if row["vendor"] == NVIDIA and row["class"].startswith(DISPLAY)]


def _no_card(seen: Seen) -> bool:
    if _wanted(seen):
        return False
    try:
        return not _cards(seen)
    except Unseen:
        return not seen.get("nvidia", {}).get("module_loaded")


@check("gpu-bus", GROUP)
def gpu_bus(seen: Seen) -> Verdict:
    """Does the machine see the card at all, on its PCI bus?

    Failed when the release was deployed for a GPU and none is there. In a virtual machine the card must be passed
    through again; on hardware check seating and power (see also `xid`). A card on a host that was deployed without one
    is a warning: `./ai deploy` again would use it.
    """
    try:
        cards = _cards(seen)
    except Unseen as error:
        if not _wanted(seen):
            raise
        return failed(f"no GPU is to be seen: {error}", "Pass the card through to this machine, then reboot it.")
    names = ", ".join(f"{row['address']} ({row['vendor']}:{row['device']})" for row in cards)
    if cards:
        if _wanted(seen) is False:
            return warning(
                f"{names}, but the stack is deployed without it", "Use it: `./ai deploy HOST` (ai_accelerator=auto)"
            )
        return ok(names)
    if _wanted(seen):
        return failed(
            "no NVIDIA GPU is on the PCI bus any more, and the stack is deployed for one",
            "Virtual machine: is the card still passed through? Hardware: power off, check seating and power. "
            "To go on without it: `./ai deploy HOST --set ai_accelerator=cpu`",
        )
    return skipped(_NO_GPU)


@check("gpu-driver", GROUP)
def gpu_driver(seen: Seen) -> Verdict:
    """Is NVIDIA's kernel module loaded?

    What counts is the module in the running kernel, not the file on disk. Usual reasons for a missing one: a new kernel
    for which none was built (`dkms status`), nouveau sitting on the card, Secure Boot refusing an unsigned module
    (`mokutil --sb-state`, `journalctl -k | grep -i nvidia`).
    """
    if _no_card(seen):
        return skipped(_NO_GPU)
    found = seen["nvidia"]
    if found["module_loaded"]:
        flavour = f", {found['module_flavour']}" if found["module_flavour"] else ""
        return ok(f"module {found['module_version'] or 'of unknown version'}{flavour}")
    if found["nouveau_loaded"]:
        return failed(
            "nouveau has the card, NVIDIA's module is not loaded", "`./ai deploy HOST` blocks nouveau; reboot after it."
        )
    if seen.get("secure_boot"):
        return failed(
            "the module is not loaded, and Secure Boot is on: it refuses modules nobody signed",
            "Switch Secure Boot off in the firmware, or enrol the key that signed the module: `mokutil --import …`",
        )
    return failed(
        "the module is not loaded",
        "`modprobe nvidia`, `dkms status`, `journalctl -k | grep -i nvidia`; a reboot if the kernel is new",
    )


@check("gpu-versions", GROUP)
def gpu_versions(seen: Seen) -> Verdict:
    """Do the loaded module and the driver's libraries have the same version?

    After an update of the packages they differ until a reboot. All looks healthy meanwhile, because running containers
    keep the old libraries; the next one that is created fails ("Driver/library version mismatch"). Mended by a reboot.
    """
    if _no_card(seen):
        return skipped(_NO_GPU)
    found = seen["nvidia"]
    module, library = found["module_version"], found["userspace_version"]
    if not module:
        return skipped("no module is loaded")
    if not library:
        return failed(f"module {module}, but its libraries are not installed", "`./ai deploy HOST` installs them")
    if module != library:
        return failed(
            f"the loaded module is {module}, the libraries are {library}: the next new container will find no GPU",
            "Reboot, so that the module of the same version is loaded",
        )
    disk = found["module_on_disk_version"]
    if disk and disk != module:
        return warning(
            f"module and libraries are {module}, the next boot loads {disk}",
            "Reboot when convenient, then `./ai doctor`",
        )
    return ok(f"module and libraries are both {module}")


@check("gpu-container", GROUP)
def gpu_container(seen: Seen) -> Verdict:
    """Does CUDA start inside the container that computes?

    `nvidia-smi` is no proof: it works where `cuInit` fails. So `cuInit` is called inside whisper-api.
    "Unknown Error" after `systemctl daemon-reload` means that the container lost its device files: recreate it.
    """
    if not _wanted(seen):
        return skipped(_NO_GPU)
    found = seen["cuda"]
    if found["code"] == 0 and found["devices"]:
        return ok(f"cuInit answers, {found['devices']} card{'s' if found['devices'] != 1 else ''} inside whisper-api")
    why = found["why"] or f"cuInit answers {found['code']}"
    return failed(
        f"no GPU inside whisper-api: {why}",
        "Create the containers anew: `cd /opt/ai && docker compose up -d --force-recreate`; then gpu-versions above",
    )


@check("residency", GROUP)
def residency(seen: Seen) -> Verdict:
    """Does everything that should be on the GPU lie there wholly?

    Ollama loads a model partly or wholly on the CPU when the GPU's memory is short, and says nothing: answers take many
    times as long. whisper-api falls back when CUDA does not start. A smaller model or quantisation, or
    `docker restart ollama` after something else has freed the memory, mends it.
    """
    if not _wanted(seen):
        return skipped(_NO_GPU)
    found = seen["residency"]
    bad = []
    for model in found["models"]:
        size, on_gpu = model["size"], model["size_vram"]
        if size and on_gpu < size:
            share = on_gpu * 100 // size
            where = f"only {share} % of it on the GPU" if on_gpu else "wholly on the CPU"
            bad.append(f"{model['name']} is {where}")
    if found["whisper_device"] not in (None, "cuda"):
        bad.append(f"whisper-api computes on the {found['whisper_device'].upper()}")
    if bad:
        return failed(
            "; ".join(bad),
            "See what has the memory: `nvidia-smi`; then a smaller model, or `docker restart ollama`",
        )
    loaded = ", ".join(model["name"] for model in found["models"]) or "no language model is loaded now"
    return ok(f"{loaded}; whisper-api on {found['whisper_device'] or 'nothing yet'}")


@check("xid", GROUP)
def xid(seen: Seen) -> Verdict:
    """Did the driver report errors of the GPU (Xid) since boot?

    The kernel log names them by number; the doctor says what the number means. Failed when one after which the GPU does
    not recover by itself was logged, or any in the last 24 hours; earlier ones are a warning.
    """
    errors = seen["kernel_log"]["xid"]
    if not errors:
        return skipped(_NO_GPU) if _no_card(seen) else ok("none since boot")
    # The grave ones first, of those the newest.
    worst = max(errors, key=lambda row: (explain(row["code"]).grave, -(row["age_s"] or 0)))
    known = explain(worst["code"])
    said = f"Xid {worst['code']}: {known.meaning}"
    others = sorted({row["code"] for row in errors} - {worst["code"]})
    if others:
        said += f" (also Xid {', '.join(map(str, others))})"
    recent = any(row["age_s"] is not None and row["age_s"] < DAY_S for row in errors)
    return failed(said, known.todo) if known.grave or recent else warning(said + ", more than 24 h ago", known.todo)
