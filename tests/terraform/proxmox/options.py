"""The options of a virtual machine: which there are, what they take, what privilege changing them needs.

Source: `confdesc` of qemu-server's QemuServer.pm and the permission tables of its API2/Qemu.pm, for the options that
our module and its provider send.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from terraform.proxmox import properties
from terraform.proxmox.access import ROOT, Account
from terraform.proxmox.refusals import Refused, wrong_parameter

CPU, MEMORY, HARDWARE, OPTIONS, DISK, NETWORK = (
    "VM.Config.CPU", "VM.Config.Memory", "VM.Config.HWType", "VM.Config.Options", "VM.Config.Disk", "VM.Config.Network",
)  # fmt: skip


@dataclass(frozen=True)
class Option:
    """What an option takes; `hot` is whether a running machine takes it on at once."""

    privilege: str
    type: str = "string"
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""
    hot: bool = False


_SYSTEMS = ("other", "wxp", "w2k", "w2k3", "w2k8", "wvista", "win7", "win8", "win10", "win11", "l24", "l26", "solaris")
_CONTROLLERS = ("lsi", "lsi53c810", "virtio-scsi-pci", "virtio-scsi-single", "megasas", "pvscsi")
_DNS_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_OPTIONS: Final[dict[str, Option]] = {
    "acpi": Option(HARDWARE, "boolean"),
    "agent": Option(OPTIONS),
    "affinity": Option("root"),
    "args": Option("root"),
    "balloon": Option(MEMORY, "integer", least=0),
    "bios": Option(OPTIONS, choices=("seabios", "ovmf")),
    "boot": Option(DISK),
    "cores": Option(CPU, "integer", least=1),
    "cpu": Option(CPU),
    "cpulimit": Option(CPU, "number", least=0, most=128, hot=True),
    "cpuunits": Option(CPU, "integer", least=1, most=262144, hot=True),
    "description": Option(OPTIONS, most=8192, hot=True),
    "hotplug": Option(HARDWARE, hot=True),
    "hookscript": Option("root"),
    "keyboard": Option(OPTIONS),
    "machine": Option(HARDWARE),
    "memory": Option(MEMORY, pattern=r"\d+"),
    "name": Option(OPTIONS, pattern=rf"({_DNS_LABEL}\.)*{_DNS_LABEL}", hot=True),
    "numa": Option(CPU, "boolean"),
    "onboot": Option(OPTIONS, "boolean", hot=True),
    "ostype": Option(OPTIONS, choices=_SYSTEMS),
    "protection": Option(OPTIONS, "boolean", hot=True),
    "scsihw": Option(HARDWARE, choices=_CONTROLLERS),
    "smbios1": Option(HARDWARE, most=512),
    "sockets": Option(CPU, "integer", least=1),
    "startup": Option(OPTIONS, hot=True),
    "tablet": Option(HARDWARE, "boolean"),
    "tags": Option(OPTIONS, hot=True),
    "template": Option(OPTIONS, "boolean"),
    "vga": Option(HARDWARE),
    # What the provider only ever asks to remove: it names every option that a block does not set.
    "audio0": Option(HARDWARE),
    "hugepages": Option("root", choices=("any", "2", "1024")),
    "ivshmem": Option("root"),
    "keephugepages": Option("root", "boolean"),
    "rng0": Option(HARDWARE),
    "shares": Option(MEMORY, "integer", least=0, most=50000, hot=True),
    "vcpus": Option(CPU, "integer", least=1),
    "watchdog": Option(HARDWARE),
}  # fmt: skip
DRIVE: Final = re.compile(r"ide[0-3]|sata[0-5]|scsi(?:[12]?[0-9]|30)|virtio(?:[0-9]|1[0-5])|efidisk0|tpmstate0")
_NET, _PCI, _SERIAL = (
    re.compile(r"net(?:[12]?[0-9]|3[01])"),
    re.compile(r"hostpci(?:[0-9]|1[0-5])"),
    re.compile(r"serial[0-3]"),
)
_BOOLEANS: Final = {"1": 1, "on": 1, "yes": 1, "true": 1, "0": 0, "off": 0, "no": 0, "false": 0}


def option(name: str) -> Option | None:
    """What there is to know of an option, or None where there is no such."""
    if DRIVE.fullmatch(name):
        return Option(DISK, hot=name.startswith(("scsi", "virtio")))
    if _NET.fullmatch(name):
        return Option(NETWORK, hot=True)
    if _PCI.fullmatch(name) or _SERIAL.fullmatch(name):
        return Option(HARDWARE)
    return _OPTIONS.get(name)


def checked(given: dict[str, str]) -> dict[str, Any]:
    """The options with values of their types. Refuses unknown ones and wrong values with 400, each by name."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, text in given.items():
        known = option(name)
        if known is None:
            errors[name] = "property is not defined in schema and the schema does not allow additional properties"
            continue
        values[name] = _value(known, text)
        if problem := _problem(known, text, values[name]):
            errors[name] = problem
    if errors:
        raise wrong_parameter(errors)
    return values


def _value(known: Option, text: str) -> Any:
    if known.type == "boolean":
        return _BOOLEANS.get(text.lower())
    if known.type == "integer":
        return int(text) if re.fullmatch(r"[+-]?\d+", text) else None
    if known.type == "number":
        return float(text) if re.fullmatch(r"[+-]?\d+(\.\d+)?", text) else None
    return text


def _problem(known: Option, text: str, value: Any) -> str | None:
    if value is None:
        return f"type check ('{known.type}') failed - got '{text}'"
    if known.type == "string":
        if known.most is not None and len(text) > known.most:
            return f"value may only be {known.most} characters long"
        if known.choices and text not in known.choices:
            return f"value '{text}' does not have a value in the enumeration '{', '.join(known.choices)}'"
        if known.pattern and re.fullmatch(known.pattern, text) is None:
            return "invalid format - value does not look like a valid one"
        return None
    if known.least is not None and value < known.least:
        return f"value must have a minimum value of {known.least}"
    if known.most is not None and value > known.most:
        return f"value must have a maximum value of {known.most}"
    return None


def need(account: Account, vmid: int, names: Iterable[str], values: dict[str, Any]) -> None:
    """Refuse unless the account may set these options: 403 for a privilege, 500 for what only root may."""
    if account.name == ROOT:
        return
    path = f"/vms/{vmid}"
    for name in names:
        known = option(name)
        if known is None or known.privilege == "root":
            raise Refused(f"only root can set '{name}' config")
        if DRIVE.fullmatch(name) and "media=cdrom" in str(values.get(name, "")):
            account.need(path, "VM.Config.CDROM")
        elif _PCI.fullmatch(name):
            _need_pci(account, path, name, str(values.get(name, "")))
        elif _SERIAL.fullmatch(name):
            if values.get(name) not in {"socket", None}:
                raise Refused(f"only root can set '{name}' config for real devices")
            account.need(path, known.privilege)
        else:
            account.need(path, known.privilege)
        if name == "startup":
            account.need("/", "Sys.Modify")
        if _NET.fullmatch(name) and (bridge := properties.parse(str(values.get(name, "")), "model").get("bridge")):
            account.need(f"/sdn/zones/localnetwork/{bridge}", "SDN.Use")


def _need_pci(account: Account, path: str, name: str, text: str) -> None:
    parts = properties.parse(text, "host")
    if "host" in parts:
        raise Refused(f"only root can set '{name}' config for non-mapped devices")
    if text and "mapping" not in parts:
        raise Refused("either 'host' or 'mapping' must be set.")
    if text:
        account.need(f"/mapping/pci/{parts['mapping']}", "Mapping.Use")
    account.need(path, HARDWARE)
    if "romfile" in parts:
        raise wrong_parameter({name: "only root@pam can set 'romfile' option"})
