"""PCI mappings: a name for a device of a node, with the ids by which a changed machine is noticed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

from terraform.proxmox import properties
from terraform.proxmox.access import Account
from terraform.proxmox.refusals import Refused, wrong_parameter

_PATH = re.compile(r"(?:[a-f0-9]{4,}:[a-f0-9]{2}:[a-f0-9]{2}(?:\.[a-f0-9])?;?)+")
_ID = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")


@dataclass(frozen=True)
class Device:
    """A device of the node: ids are `vendor:device`, four hex digits each."""

    id: str
    subsystem_id: str
    iommu_group: int


@dataclass
class Mappings:
    """The mappings of the cluster, and the devices that the node really has, by path with function."""

    node: str
    devices: dict[str, Device] = field(default_factory=dict)
    all: dict[str, dict[str, Any]] = field(default_factory=dict)

    def listing(self, account: Account) -> list[dict[str, Any]]:
        """`GET /cluster/mapping/pci`."""
        return [self._shown(name) for name in sorted(self.all) if self._seen(account, name)]

    def get(self, name: str, account: Account) -> dict[str, Any]:
        """`GET /cluster/mapping/pci/ID`."""
        account.need_any(f"/mapping/pci/{name}", "Mapping.Use", "Mapping.Modify", "Mapping.Audit")
        if name not in self.all:
            raise Refused(f"mapping '{name}' not found")
        return self._shown(name)

    def create(self, account: Account, given: dict[str, Any]) -> None:
        """`POST /cluster/mapping/pci`."""
        account.need("/mapping/pci", "Mapping.Modify")
        checked(given)
        if given["id"] in self.all:
            raise Refused(f"create hardware mapping failed: pci ID '{given['id']}' already defined")
        self.all[given["id"]] = given

    def update(self, name: str, account: Account, given: dict[str, Any]) -> None:
        """`PUT /cluster/mapping/pci/ID`."""
        account.need(f"/mapping/pci/{name}", "Mapping.Modify")
        checked(given)
        if name not in self.all:
            raise Refused(f"update hardware mapping failed: pci ID '{name}' does not exist")
        for gone in filter(None, str(given.pop("delete", "")).split(",")):
            self.all[name].pop(gone, None)
        self.all[name] |= given

    def delete(self, name: str, account: Account) -> None:
        """`DELETE /cluster/mapping/pci/ID`: one that is not there is no error."""
        account.need("/mapping/pci", "Mapping.Modify")
        self.all.pop(name, None)

    def check_start(self, name: str) -> None:
        """Refuse to start a machine with a mapping that this node has not, or whose device is another one."""
        maps = [properties.parse(text, "id") for text in self.all.get(name, {}).get("map", [])]
        here = [entry for entry in maps if entry["node"] == self.node]
        if not here:
            raise Refused(f"PCI device mapping not found for '{name}'")
        for path in here[0]["path"].split(";"):
            full = path if "." in path else f"{path}.0"
            device = self.devices.get(full)
            invalid = f"PCI device mapping invalid (hardware probably changed): {{}} for '{name}'"
            if device is None:
                raise Refused(f"PCI device mapping invalid (hardware probably changed): pci device '{full}' not found")
            for key, real in (("id", device.id), ("subsystem-id", device.subsystem_id)):
                if key not in here[0]:
                    raise Refused(
                        "PCI device mapping invalid (hardware probably changed): "
                        f"missing expected property '{key}' for device '{full}'"
                    )
                if here[0][key].lower() != real.lower():
                    raise Refused(invalid.format(f"'{key}' does not match ({real} != {here[0][key]})"))

    def _seen(self, account: Account, name: str) -> bool:
        return any(account.has(f"/mapping/pci/{name}", f"Mapping.{what}") for what in ("Modify", "Use", "Audit"))

    def _shown(self, name: str) -> dict[str, Any]:
        text = json.dumps(self.all, sort_keys=True)
        return {**self.all[name], "id": name, "digest": hashlib.sha1(text.encode()).hexdigest()}


def checked(given: dict[str, Any]) -> None:
    """Refuse with 400 a mapping of the wrong form."""
    for text in given.get("map", []):
        entry = properties.parse(text, "id")
        for key in ("node", "path", "id"):
            if key not in entry:
                raise wrong_parameter(
                    {"map": f"invalid format - format error {key}: property is missing and it is not optional"}
                )
        if _ID.fullmatch(entry["id"]) is None or _PATH.fullmatch(entry["path"]) is None:
            raise wrong_parameter({"map": "invalid format - value does not match the regex pattern"})
