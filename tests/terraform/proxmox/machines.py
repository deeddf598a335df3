"""Virtual machines of the node: made, changed, started, stopped, destroyed; each by a task, under a lock."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from terraform.proxmox import options, properties
from terraform.proxmox.access import Account
from terraform.proxmox.drives import Drives
from terraform.proxmox.mappings import Mappings
from terraform.proxmox.refusals import Refused, not_permitted, wrong_parameter
from terraform.proxmox.storage import Storages
from terraform.proxmox.tasks import Log, Tasks


@dataclass
class Machine:
    """One virtual machine. `pending` waits for its next start: a value, or None for an option that is to go."""

    vmid: int
    config: dict[str, Any] = field(default_factory=dict)
    pending: dict[str, Any] = field(default_factory=dict)
    running: bool = False
    started_s: float = 0.0
    # whether the guest obeys the power button; one that does not is only stopped by force
    obeys: bool = True

    def shown(self) -> dict[str, Any]:
        """The configuration with what is pending already in it, as the API shows it unless asked otherwise."""
        shown = {**self.config, **self.pending}
        return {name: value for name, value in shown.items() if value is not None}

    def take_on_pending(self) -> None:
        """Make what was pending the configuration."""
        self.config, self.pending = self.shown(), {}

    def refuse_locked(self) -> None:
        """Refuse while somebody works on it."""
        if lock := self.config.get("lock"):
            raise Refused(f"VM is locked ({lock})")


@dataclass
class Machines:
    """The machines of one node. `on_start` is called with each that was started, within its task."""

    node: str
    storages: Storages
    mappings: Mappings
    tasks: Tasks
    bridges: set[str] = field(default_factory=lambda: {"vmbr0"})
    all: dict[int, Machine] = field(default_factory=dict)
    on_start: Callable[[Machine], None] | None = None
    on_stop: Callable[[Machine], None] | None = None

    def get(self, vmid: int) -> Machine:
        """A machine by its number. Refuses an unknown one with 500, as a missing file."""
        if (found := self.all.get(vmid)) is None:
            raise Refused(f"Configuration file 'nodes/{self.node}/qemu-server/{vmid}.conf' does not exist")
        return found

    def next_id(self, wanted: int | None) -> int:
        """`GET /cluster/nextid`: the lowest free number, or the wanted one if it is free."""
        if wanted is not None and wanted in self.all:
            raise wrong_parameter({"vmid": f"VM {wanted} already exists"})
        return wanted or next(number for number in range(100, 1_000_000) if number not in self.all)

    def listing(self, account: Account) -> list[dict[str, Any]]:
        """`GET /cluster/resources?type=vm`."""
        return [
            {
                "id": f"qemu/{machine.vmid}", "type": "qemu", "vmid": machine.vmid, "node": self.node, "template": 0,
                "status": "running" if machine.running else "stopped",
                "name": machine.config.get("name", f"VM {machine.vmid}"),
            }
            for machine in self.all.values()
            if account.has(f"/vms/{machine.vmid}", "VM.Audit")
        ]  # fmt: skip

    def config(self, vmid: int, account: Account, current: bool) -> dict[str, Any]:
        """`GET …/qemu/ID/config`."""
        account.need(f"/vms/{vmid}", "VM.Audit")
        machine = self.get(vmid)
        shown = dict(machine.config) if current else machine.shown()
        return {**shown, "digest": digest(machine)}

    def status(self, vmid: int, account: Account) -> dict[str, Any]:
        """`GET …/qemu/ID/status/current`."""
        account.need(f"/vms/{vmid}", "VM.Audit")
        machine = self.get(vmid)
        config, state = machine.config, "running" if machine.running else "stopped"
        return {
            "vmid": vmid, "name": config.get("name", f"VM {vmid}"), "status": state, "qmpstatus": state,
            "cpus": config.get("cores", 1), "maxmem": int(config.get("memory", 512)) << 20, "ha": {"managed": 0},
            "uptime": int(time.monotonic() - machine.started_s) if machine.running else 0,
        } | ({"lock": config["lock"]} if "lock" in config else {})  # fmt: skip

    def create(self, account: Account, given: dict[str, str]) -> str:
        """`POST …/qemu`: checked at once, made by a task; the machine is locked until that ends."""
        vmid_text = given.pop("vmid", "")
        if not vmid_text.isdecimal() or int(vmid_text) < 100:
            raise wrong_parameter({"vmid": f"invalid format - value does not look like a valid VM ID: '{vmid_text}'"})
        vmid = int(vmid_text)
        values = options.checked(given)
        if not account.has(f"/vms/{vmid}", "VM.Allocate"):
            raise not_permitted("")
        options.need(account, vmid, values, values)
        drives = Drives(self.storages, vmid)
        drives.check(account, values)
        problem = f"unable to create VM {vmid} -"
        if vmid in self.all:
            raise Refused(f"{problem} VM {vmid} already exists on node '{self.node}'")
        machine = self.all[vmid] = Machine(vmid, {"lock": "create"})

        def work(log: Log) -> None:
            try:
                made = drives.make(values)
            except Refused as no:
                del self.all[vmid]
                raise Refused(f"{problem} {no.message}") from None
            config = {**values, **made, "smbios1": values.get("smbios1", f"uuid={uuid()}"), "vmgenid": uuid()}
            machine.config = {name: with_address(name, value) for name, value in config.items()}
            machine.config["meta"] = f"creation-qemu=10.0.2,ctime={int(time.time())}"
            log.append(f"{vmid}: created")

        return self.tasks.start("qmcreate", str(vmid), account, work)

    def update(self, vmid: int, account: Account, given: dict[str, str]) -> None:
        """`PUT …/qemu/ID/config`: a running machine takes what it cannot take at once as pending."""
        wanted_digest = given.pop("digest", None)
        deleted = [name for name in given.pop("delete", "").split(",") if name]
        given.pop("skiplock", None)
        machine = self.get(vmid)
        if not given and not deleted:
            raise Refused("no options specified")
        for name in deleted:
            if options.option(name) is None:
                raise wrong_parameter({"delete": f"unknown option '{name}'"})
        values = options.checked(given)
        options.need(account, vmid, [*values, *deleted], values)
        drives = Drives(self.storages, vmid)
        drives.check(account, values)
        if wanted_digest and wanted_digest != digest(machine):
            raise Refused("checksum mismatch (file change by other user?)")
        machine.refuse_locked()
        memory = int(values.get("memory", machine.shown().get("memory", 512)))
        if values.get("balloon", 0) > memory:
            raise Refused("balloon value too large (must be smaller than assigned memory)")
        made = values | drives.make(values)
        changes: dict[str, Any] = {name: with_address(name, value) for name, value in made.items()}
        for name, value in {**changes, **dict.fromkeys(deleted)}.items():
            known = options.option(name)
            if machine.running and known is not None and not known.hot and machine.config.get(name) != value:
                machine.pending[name] = value
            else:
                machine.pending.pop(name, None)
                machine.config[name] = value
        machine.config = {name: value for name, value in machine.config.items() if value is not None}

    def resize(self, vmid: int, account: Account, given: dict[str, str]) -> str:
        """`PUT …/qemu/ID/resize`: a task; a disk never shrinks."""
        account.need(f"/vms/{vmid}", "VM.Config.Disk")
        disk, size = given.get("disk", ""), given.get("size", "")

        def work(log: Log) -> None:
            machine = self.get(vmid)
            machine.refuse_locked()
            if disk not in machine.config:
                raise Refused(f"disk '{disk}' does not exist")
            parts = properties.parse(str(machine.config[disk]), "file")
            if parts.get("media") == "cdrom":
                raise Refused("you can't resize a cdrom")
            if (volume := self.storages.volume(parts["file"])) is None:
                raise Refused(f"volume {parts['file']} does not exist")
            account.need(f"/storage/{volume.id.partition(':')[0]}", "Datastore.AllocateSpace")
            new = properties.size_bytes(size.removeprefix("+")) + (volume.size_bytes if size.startswith("+") else 0)
            if new < volume.size_bytes:
                raise Refused("shrinking disks is not supported")
            volume.size_bytes = new
            parts["size"] = properties.size_text(new)
            machine.config[disk] = properties.joined(parts, "file")
            log.append(f"resized {disk} to {size}")

        return self.tasks.start("resize", str(vmid), account, work)

    def start(self, vmid: int, account: Account) -> str:
        """`POST …/qemu/ID/status/start`: a task."""
        account.need(f"/vms/{vmid}", "VM.PowerMgmt")

        def work(log: Log) -> None:
            machine = self.get(vmid)
            machine.refuse_locked()
            if machine.running:
                raise Refused(f"VM {vmid} already running")
            machine.take_on_pending()
            self._check_start(machine)
            machine.running, machine.started_s = True, time.monotonic()
            log.append(f"started VM {vmid}")
            if self.on_start is not None:
                self.on_start(machine)

        return self.tasks.start("qmstart", str(vmid), account, work)

    def stop(self, vmid: int, account: Account, *, gently: bool, force: bool = False) -> str:
        """`POST …/qemu/ID/status/stop` or `shutdown`: a task; a stopped machine is stopped already."""
        account.need(f"/vms/{vmid}", "VM.PowerMgmt")

        def work(log: Log) -> None:
            machine = self.get(vmid)
            machine.refuse_locked()
            if gently and machine.running and not machine.obeys and not force:
                raise Refused("VM quit/powerdown failed - got timeout")
            if machine.running and self.on_stop is not None:
                self.on_stop(machine)
            machine.running = False
            machine.take_on_pending()
            log.append(f"stopped VM {vmid}")

        return self.tasks.start("qmshutdown" if gently else "qmstop", str(vmid), account, work)

    def destroy(self, vmid: int, account: Account) -> str:
        """`DELETE …/qemu/ID`: refused at once for a protected or running one; a task removes it with its disks."""
        account.need(f"/vms/{vmid}", "VM.Allocate")

        def early() -> Machine:
            machine = self.get(vmid)
            if machine.config.get("protection"):
                raise Refused(f"can't remove VM {vmid} - protection mode enabled")
            if machine.running:
                raise Refused(f"VM {vmid} is running - destroy failed")
            return machine

        early()

        def work(log: Log) -> None:
            early().refuse_locked()
            for storage in self.storages.all.values():
                for volume in [volume for volume in storage.volumes.values() if volume.vmid == vmid]:
                    self.storages.free(volume.id)
            del self.all[vmid]
            log.append(f"purging VM {vmid} from related configurations..")

        return self.tasks.start("qmdestroy", str(vmid), account, work)

    def _check_start(self, machine: Machine) -> None:
        for name, value in machine.config.items():
            if name.startswith("net"):
                bridge = properties.parse(str(value), "model").get("bridge", "")
                if bridge not in self.bridges:
                    raise Refused(f"bridge '{bridge}' does not exist")
            elif name.startswith("hostpci"):
                parts = properties.parse(str(value), "host")
                if parts.get("pcie") == "1" and "q35" not in str(machine.config.get("machine", "")):
                    raise Refused("q35 machine model is not enabled")
                if (mapping := parts.get("mapping")) is not None:
                    self.mappings.check_start(mapping)
                    self._refuse_shared(machine, mapping)

    def _refuse_shared(self, machine: Machine, mapping: str) -> None:
        for other in self.all.values():
            uses = any(
                f"mapping={mapping}" in str(value) for name, value in other.config.items() if name.startswith("hostpci")
            )
            if other.running and uses and other is not machine:
                raise Refused(f"PCI device '{mapping}' already in use by running VMID '{other.vmid}'")


def digest(machine: Machine) -> str:
    """What a caller shows to prove that nobody changed the machine in between."""
    return hashlib.sha1(json.dumps([machine.config, machine.pending], sort_keys=True).encode()).hexdigest()


def with_address(name: str, value: Any) -> Any:
    """A network device gets a hardware address of Proxmox' own range where it was given none."""
    if not name.startswith("net"):
        return value
    parts = properties.parse(str(value), "model")
    if "model" in parts and parts["model"] in {"virtio", "e1000", "e1000e", "rtl8139", "vmxnet3"}:
        octets = ":".join(f"{byte:02X}" for byte in secrets.token_bytes(3))
        parts = {parts.pop("model"): parts.pop("macaddr", f"BC:24:11:{octets}"), **parts}
    return ",".join(f"{key}={part}" for key, part in parts.items())


def uuid() -> str:
    """A random identifier of 36 characters."""
    text = secrets.token_hex(16)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
