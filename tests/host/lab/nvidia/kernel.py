#!/usr/bin/python3
"""The kernel's side of an NVIDIA card, on a lab host: a PCI bus, a module that loads or is refused, kernel log lines.

Installed as /usr/local/sbin/lab-gpu, and as modprobe and modinfo before the real ones, which get everything that is
not nvidia's. State that a reboot keeps is in /var/lib/lab-gpu; what is "in the kernel" is mounted and gone with it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn

Card = dict[str, Any]
STATE = Path("/var/lib/lab-gpu")
CARDS = STATE / "cards.json"
PROC = Path("/proc/driver/nvidia")
ON_DISK = Path(f"/lib/modules/{os.uname().release}/updates/dkms/nvidia.ko")
EFI_VARIABLE = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
BLACKLIST = ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d")


def run(*words: str, text: str | None = None) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, input=text)


def mounted(place: str | Path) -> bool:
    return any(line.split()[1] == str(place) for line in Path("/proc/mounts").read_text().splitlines())


def cover(place: str) -> None:
    """Mount an empty tmpfs over a place, once."""
    if not mounted(place):
        run("mount", "-t", "tmpfs", "-o", "mode=755", "lab-gpu", str(place))


def log(*lines: str) -> None:
    """Write into the kernel's part of the journal, as kmsg would be read."""
    text = "".join(f"{line}\n" for line in lines)
    try:
        with Path("/dev/kmsg").open("w") as kernel:
            kernel.writelines(f"<4>{line}\n" for line in lines)
    except OSError:
        pass
    # This machine's /dev/kmsg is not the container's to read: the journal takes the lines under the name `kernel`.
    run("systemd-cat", "--identifier=kernel", "--priority=warning", text=text)


def cards() -> list[Card]:
    found: list[Card] = json.loads(CARDS.read_text()) if CARDS.exists() else []
    return found


def boot() -> None:
    """What the firmware and udev do: show the bus, then load the module if it is there and not held back."""
    bus = STATE / "bus"
    if cards() and not mounted("/sys/bus/pci/devices"):
        run("mount", "--bind", str(bus), "/sys/bus/pci/devices")
    if (STATE / "secure_boot").exists():
        cover("/sys/firmware")
        variable = Path("/sys/firmware/efi/efivars") / EFI_VARIABLE
        variable.parent.mkdir(parents=True, exist_ok=True)
        variable.write_bytes(b"\x06\x00\x00\x00\x01")
    nouveau = (STATE / "nouveau").exists() and not blacklisted("nouveau")
    show_nouveau(nouveau)
    if cards() and ON_DISK.exists() and not nouveau:
        load(quiet=True)


def blacklisted(module: str) -> bool:
    for folder in BLACKLIST:
        for file in Path(folder).glob("*.conf") if Path(folder).is_dir() else []:
            if any(line.split()[:2] == ["blacklist", module] for line in file.read_text().splitlines()):
                return True
    return False


def show_nouveau(there: bool) -> None:
    if there and not mounted("/sys/module"):
        names = sorted(entry.name for entry in Path("/sys/module").iterdir())
        cover("/sys/module")
        for name in [*names, "nouveau"]:
            (Path("/sys/module") / name).mkdir(exist_ok=True)
            (Path("/sys/module") / name / "initstate").write_text("live\n")
    for card in cards():
        bind(card, "nouveau" if there else "")


def bind(card: Card, driver: str) -> None:
    link = STATE / "bus" / card["address"] / "driver"
    link.unlink(missing_ok=True)
    if driver:
        link.symlink_to(f"../../../bus/pci/drivers/{driver}")


def load(quiet: bool = False) -> int:
    """Load the module from disk as the kernel would; returns modprobe's exit status."""
    if PROC.exists():
        return 0
    if not ON_DISK.exists():
        return fail(f"modprobe: FATAL: Module nvidia not found in directory /lib/modules/{os.uname().release}", quiet)
    module = json.loads(ON_DISK.read_text())
    if (STATE / "secure_boot").exists():
        log("Loading of module with unavailable key is rejected")
        return fail("modprobe: ERROR: could not insert 'nvidia': Key was rejected by service", quiet)
    if Path("/sys/module/nouveau").exists():
        log(
            "NVRM: The NVIDIA probe routine was not called for 1 device(s).",
            "NVRM: This can occur when another driver was loaded and ",
            "NVRM: obtained ownership of the NVIDIA device(s).",
            "NVRM: No NVIDIA devices probed.",
        )
        return fail("modprobe: ERROR: could not insert 'nvidia': No such device", quiet)
    driven = [card for card in cards() if module["flavour"] in card["flavours"] and below(card, module)]
    for card in cards():
        if card not in driven:
            log(*refusal(card, module))
    if not driven:
        log("NVRM: No NVIDIA devices probed." if cards() else "NVRM: No NVIDIA GPU found.")
        return fail("modprobe: ERROR: could not insert 'nvidia': No such device", quiet)
    cover("/proc/driver")
    PROC.mkdir()
    (PROC / "version").write_text(version_text(module))
    for number, card in enumerate(driven):
        place = PROC / "gpus" / card["address"]
        place.mkdir(parents=True)
        place.joinpath("information").write_text(
            f"Model: \t\t {card['name']}\nIRQ:   \t\t 16\nBus Type: \t PCIe\nBus Location: \t {card['address']}\n"
            f"Device Minor: \t {number}\n"
        )
        bind(card, "nvidia")
    for name in ["nvidiactl", *(f"nvidia{number}" for number in range(len(driven))), "nvidia-uvm"]:
        Path("/dev", name).touch()
    log(f"NVRM: loading NVIDIA UNIX {'Open ' if module['flavour'] == 'open' else ''}x86_64 Kernel Module  "
        f"{module['version']}")  # fmt: skip
    return 0


def below(card: Card, module: Card) -> bool:
    return card.get("last_branch") is None or int(module["version"].split(".")[0]) <= card["last_branch"]


def refusal(card: Card, module: Card) -> tuple[str, ...]:
    start = f"NVRM: The NVIDIA GPU {card['address']} (PCI ID: 10de:{card['device']})"
    if module["flavour"] == "open" and "open" not in card["flavours"]:
        return (
            f"{start} installed in this system",
            "NVRM: is not supported by open nvidia.ko because it does not include the",
            "NVRM: required GPU System Processor (GSP).",
        )
    if module["flavour"] == "proprietary" and "proprietary" not in card["flavours"]:
        return (f"{start}", "NVRM: installed in this system requires use of the NVIDIA open kernel modules.")
    return (
        f"{start}",
        f"NVRM: installed in this system is supported through the NVIDIA {card['last_branch']}.xx Legacy drivers.",
    )


def version_text(module: Card) -> str:
    stamp = "(dvs-builder@U22-I3-AE18-23-3)  Tue Sep 23 10:11:16 UTC 2025"
    first = (
        f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {module['version']}  Release Build  {stamp}"
        if module["flavour"] == "open"
        else f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {module['version']}  Tue Sep 23 10:01:03 UTC 2025"
    )
    return f"{first}\nGCC version:  gcc version 14.2.0 (Debian 14.2.0-19) \n"


def unload() -> int:
    if mounted("/proc/driver"):
        run("umount", "/proc/driver")
    for node in Path("/dev").glob("nvidia*"):
        node.unlink()
    for card in cards():
        bind(card, "")
    return 0


def fail(text: str, quiet: bool) -> int:
    if not quiet:
        print(text, file=sys.stderr)
    return 1


def real(words: list[str]) -> NoReturn:
    name = Path(sys.argv[0]).name
    os.execv(f"/usr/sbin/{name}", [name, *words])


def modprobe(words: list[str]) -> int:
    if not any(word.replace("-", "_").startswith("nvidia") for word in words):
        real(words)
    if "-r" in words or "--remove" in words:
        return unload()
    return load()


def modinfo(words: list[str]) -> int:
    if not any(word.startswith("nvidia") for word in words):
        real(words)
    if not ON_DISK.exists():
        return fail("modinfo: ERROR: Module nvidia not found.", quiet=False)
    module = json.loads(ON_DISK.read_text())
    fields = {"version": module["version"], "license": "Dual MIT/GPL" if module["flavour"] == "open" else "NVIDIA",
              "filename": str(ON_DISK)}  # fmt: skip
    if "-F" in words:
        print(fields.get(words[words.index("-F") + 1], ""))
    else:
        for name, value in fields.items():
            print(f"{name + ':':<16}{value}")
    return 0


def main() -> int:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    if name == "modprobe":
        return modprobe(words)
    if name == "modinfo":
        return modinfo(words)
    if words[:1] == ["boot"]:
        boot()
    elif words[:1] == ["load"]:
        return load()
    elif words[:1] == ["unload"]:
        return unload()
    elif words[:1] == ["nouveau"]:
        show_nouveau(words[1:] == ["on"])
    elif words[:1] == ["xid"]:
        card = cards()[0]
        log(f"NVRM: Xid (PCI:{card['address'].rsplit('.', 1)[0]}): {words[1]}, {' '.join(words[2:])}")
    elif words[:1] == ["log"]:
        log(*words[1:])
    else:
        return fail("lab-gpu boot | load | unload | nouveau on|off | xid NUMBER TEXT | log LINE…", quiet=False)
    return 0


sys.exit(main())
