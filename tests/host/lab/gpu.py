"""A graphics card on a running lab host: plugged in, driven by a module or not, torn apart, failing. For tests.

Every function takes the host's container. What the product reads (PCI bus, /proc/driver/nvidia, modprobe, modinfo,
kernel log) is put in the kernel's place, so that the product needs no hooks for tests. What a machine would keep over a
reboot is kept (cards, installed packages, Secure Boot), what it would not is gone.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

from ai_services.host import gpu_table
from host.lab import pci

KERNEL = Path(__file__).with_name("nvidia") / "kernel.py"
STATE = "/var/lib/lab-gpu"
_UNIT = """[Unit]
Description=Graphics cards of the lab
DefaultDependencies=no
After=local-fs.target systemd-journald.service
Before=basic.target docker.service nvidia-cdi-refresh.service

[Service]
Type=oneshot
ExecStart=/usr/local/sbin/lab-gpu boot

[Install]
WantedBy=basic.target
"""


def plug(container: str, *devices: str, secure_boot: bool = False, nouveau: bool = False) -> None:
    """Put cards (`10de:13f1`, or a name of `pci.CARDS`) into a host, from slot 01 on; none takes them all out.

    `nouveau`: the kernel has its own driver bound to them. `secure_boot`: the firmware refuses unsigned modules.
    """
    known = [(slot, pci.identify(device)) for slot, device in enumerate(devices, 1)]
    cards = [_described(f"{found[1]:04x}", slot) for slot, found in known if found[0] == pci.NVIDIA]
    execute(container, "umount -q /sys/bus/pci/devices; umount -q /proc/driver; umount -q /sys/module; "
                       "umount -q /sys/firmware; true")  # fmt: skip
    execute(container, f"rm -rf {STATE}; mkdir -p {STATE}/bus")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bus = pci.write(folder / "bus", devices)
        _send(container, {
            **{f"var/lib/lab-gpu/{path.relative_to(folder)}": (path.read_bytes(), 0o644)
               for path in sorted(bus.rglob("*")) if path.is_file()},
            "var/lib/lab-gpu/cards.json": (json.dumps(cards).encode(), 0o644),
            "usr/local/sbin/lab-gpu": (KERNEL.read_bytes(), 0o755),
            "etc/systemd/system/lab-gpu.service": (_UNIT.encode(), 0o644),
        })  # fmt: skip
    flags = [name for name, wanted in (("secure_boot", secure_boot), ("nouveau", nouveau)) if wanted]
    marks = "".join(f"touch {STATE}/{name}; " for name in flags)
    execute(
        container,
        f"{marks}ln -sf lab-gpu /usr/local/sbin/modprobe; ln -sf lab-gpu /usr/local/sbin/modinfo; "
        "systemctl daemon-reload; systemctl enable -q lab-gpu.service; lab-gpu boot",
    )


def load(container: str, *, version: str, flavour: str) -> None:
    """Have a module of this version in the kernel, whatever is on disk: a boot before an upgrade, another's work."""
    module = json.dumps({"version": version, "flavour": flavour})
    path = "/lib/modules/$(uname -r)/updates/dkms"
    execute(
        container,
        f"lab-gpu unload; mkdir -p {path}; cp {path}/nvidia.ko /tmp/nvidia.ko 2>/dev/null; "
        f"printf '%s' '{module}' > {path}/nvidia.ko; lab-gpu load; code=$?; "
        f"if [ -e /tmp/nvidia.ko ]; then mv /tmp/nvidia.ko {path}/nvidia.ko; else rm {path}/nvidia.ko; fi; exit $code",
    )


def unload(container: str) -> None:
    """Take the module out of the kernel, as `rmmod` would."""
    execute(container, "lab-gpu unload")


def xid(container: str, number: int, text: str) -> None:
    """Write an Xid message of the first card into the kernel log."""
    execute(container, f"lab-gpu xid {number} '{text}'")


def loaded(container: str) -> str:
    """Return /proc/driver/nvidia/version of the host, empty where no module is loaded."""
    return execute(container, "cat /proc/driver/nvidia/version 2>/dev/null || true")


def execute(container: str, script: str) -> str:
    """Run a shell script in the host as root; returns what it printed.

    Raises:
        RuntimeError: it failed; the message is what it said.
    """
    done = subprocess.run(
        ["/usr/bin/docker", "exec", "-i", container, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script}\nin {container}: {done.stdout}{done.stderr}")
    return done.stdout


def _described(device: str, slot: int) -> dict[str, object]:
    card = gpu_table.find(device)
    return {
        "address": f"0000:{slot:02x}:00.0",
        "device": card.device,
        "name": f"NVIDIA {card.name}" if card.kind == "GeForce" else card.name,
        "capability": card.capability_text,
        "memory_mib": card.memory_mib or 0,
        "flavours": list(card.flavours),
        "last_branch": card.last_branch,
    }


def _send(container: str, files: dict[str, tuple[bytes, int]]) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    subprocess.run(
        ["/usr/bin/docker", "exec", "-i", container, "tar", "-x", "-C", "/", "--no-same-owner"],
        input=archive.getvalue(), check=True, capture_output=True,
    )  # fmt: skip


__all__ = ("execute", "load", "loaded", "plug", "unload", "xid")
