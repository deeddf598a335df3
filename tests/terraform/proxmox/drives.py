"""What becomes of a drive option: disks are allocated or imported, ISO images looked up, sizes written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from terraform.proxmox import properties
from terraform.proxmox.access import Account
from terraform.proxmox.options import DRIVE
from terraform.proxmox.refusals import Refused, wrong_parameter
from terraform.proxmox.storage import Storages, Volume

_NEW: Final = re.compile(r"([^/:\s]+):(\d+(?:\.\d+)?)")
_EFI_BYTES: Final = {"4m": 4 << 20, "2m": 128 << 10}


@dataclass
class Drives:
    """The drives of one machine: `check` before a request is answered, `make` within its task."""

    storages: Storages
    vmid: int

    def check(self, account: Account, values: dict[str, Any]) -> None:
        """Refuse what the real one refuses at once: access, kinds of content, the form of an import."""
        for name, text in values.items():
            if not DRIVE.fullmatch(name):
                continue
            parts = properties.parse(str(text), "file")
            file, source = parts.get("file", ""), parts.get("import-from")
            if new := _NEW.fullmatch(file):
                storage = self.storages.get(new[1])
                account.need(f"/storage/{storage.id}", "Datastore.AllocateSpace")
                if "images" not in storage.content:
                    raise wrong_parameter({"storage": f"storage '{storage.id}' does not support vm images"})
            elif file not in {"none", "cdrom"}:
                self.storages.may_use(account, self.vmid, file)
                if ":iso/" in file and parts.get("media") != "cdrom":
                    raise wrong_parameter({name: "explicit 'media=cdrom' is required for iso images"})
            if source is None:
                continue
            if not (new and float(new[2]) == 0):
                raise wrong_parameter(
                    {name: "'import-from' requires special syntax - use <storage ID>:0,import-from=<source>"}
                )
            self.storages.get(source.partition(":")[0])
            self.storages.may_use(account, self.vmid, source)
            if ":import/" not in source and ":vm-" not in source:
                kind = source.partition(":")[2].partition("/")[0]
                raise wrong_parameter({name: f"{source} has wrong type '{kind}' - needs to be 'images' or 'import'"})

    def make(self, values: dict[str, Any]) -> dict[str, Any]:
        """The drive options as the configuration keeps them. On a refusal nothing of them is left behind."""
        made: list[str] = []
        kept: dict[str, Any] = {}
        try:
            for name in sorted(name for name in values if DRIVE.fullmatch(name)):
                parts = properties.parse(str(values[name]), "file")
                if new := _NEW.fullmatch(parts["file"]):
                    volume = self._new(name, new[1], float(new[2]), parts)
                    made.append(volume.id)
                    parts |= {"file": volume.id, "size": properties.size_text(volume.size_bytes)}
                elif parts["file"] not in {"none", "cdrom"}:
                    if (volume := self.storages.volume(parts["file"])) is None:  # type: ignore[assignment]  # another name for the same
                        raise Refused(f"volume {parts['file']} does not exist")
                    parts["size"] = properties.size_text(volume.size_bytes)
                kept[name] = properties.joined(parts, "file")
        except Refused:
            for volume_id in made:
                self.storages.free(volume_id)
            raise
        return kept

    def _new(self, name: str, storage_id: str, gib: float, parts: dict[str, str]) -> Volume:
        storage = self.storages.get(storage_id)
        source, wanted = parts.pop("import-from", None), parts.pop("format", None)
        size = int(gib * (1 << 30))
        if name == "efidisk0":
            size = _EFI_BYTES[parts.get("efitype", "2m")]
        if source is not None:
            if (image := self.storages.volume(source)) is None:
                raise Refused(f"cannot import from '{source}' - volume does not exist")
            size = virtual_bytes(image)
        taken = {volume.id for volume in storage.volumes.values()}
        for number in range(1000):
            stem = f"vm-{self.vmid}-disk-{number}"
            kind = wanted if wanted and storage.path else ("qcow2" if storage.path else "raw")
            volume_id = f"{storage_id}:{self.vmid}/{stem}.{kind}" if storage.path else f"{storage_id}:{stem}"
            if volume_id not in taken:
                return storage.put(Volume(volume_id, "images", kind, size, vmid=self.vmid))
        raise Refused(f"unable to allocate an image name for VM {self.vmid} in storage '{storage_id}'")


def virtual_bytes(image: Volume) -> int:
    """The size of the disk in an image: a qcow2's from its header, that of others as they lie there."""
    if image.format != "qcow2":
        return image.size_bytes
    if not image.data.startswith(b"QFI\xfb"):
        raise Refused(f"qemu-img: Could not open '{image.id}': Image is not in qcow2 format")
    return int.from_bytes(image.data[24:32], "big")
