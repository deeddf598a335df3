"""The whole of a node, and the table of paths that it answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from terraform.proxmox.access import MODULE_PRIVILEGES, ROOT, Account, Doors
from terraform.proxmox.faults import Faults
from terraform.proxmox.machines import Machines
from terraform.proxmox.mappings import Device, Mappings
from terraform.proxmox.refusals import Refused, not_implemented
from terraform.proxmox.storage import Storage, Storages
from terraform.proxmox.tasks import Tasks

GPU: Final = {
    "0000:01:00.0": Device("10de:2684", "1043:88e2", 12),
    "0000:01:00.1": Device("10de:22ba", "1043:88e2", 12),
}
VERSION: Final = {"version": "9.2.11", "release": "9.2", "repoid": "14a22df3"}


@dataclass
class Request:
    """What a handler sees of a request: who asks, the parts of the path, the parameters, an uploaded file."""

    account: Account
    parts: dict[str, str]
    given: dict[str, Any]
    filename: str = ""
    data: bytes = b""


Handler = Callable[["Node", Request], Any]


@dataclass
class Node:
    """One Proxmox VE node with its state. Every request that was handled is in `seen`, as `METHOD path`."""

    name: str
    doors: Doors
    tasks: Tasks
    storages: Storages
    mappings: Mappings
    machines: Machines
    faults: Faults = field(default_factory=Faults)
    seen: list[str] = field(default_factory=list)

    def handle(self, method: str, path: str, request: Request) -> Any:
        """The answer's data. Refuses with 501 what it has not, and with 500 a node that is not there."""
        for wanted, pattern, handler in ROUTES:
            if wanted == method and (match := pattern.fullmatch(path)):
                request.parts = match.groupdict()
                if request.parts.get("node", self.name) != self.name:
                    lost = request.parts["node"]
                    reason = f"failed to get address info for: {lost}: Name or service not known"
                    raise Refused(f"hostname lookup '{lost}' failed - {reason}")
                return handler(self, request)
        raise not_implemented(method, path)


def node(name: str = "pve", *, token: str = "ai@pve!terraform", secret: str = "", takes_s: float = 0.05) -> Node:
    """A node with storages `local` (files) and `local-lvm` (disks), a bridge, a GPU, and one token for our module."""
    tasks = Tasks(name, takes_s)
    storages = Storages(
        {
            "local": Storage("local", "dir", {"iso", "vztmpl", "backup", "import"}, path="/var/lib/vz"),
            "local-lvm": Storage("local-lvm", "lvmthin", {"images", "rootdir"}),
        },
        tasks,
    )
    mappings = Mappings(name, dict(GPU))
    accounts = [Account(ROOT, "root's password"), Account(token, secret or "s", {"/": MODULE_PRIVILEGES})]
    doors = Doors({account.name: account for account in accounts})
    return Node(name, doors, tasks, storages, mappings, Machines(name, storages, mappings, tasks))


def _version(there: Node, request: Request) -> Any:
    return VERSION


def _resources(there: Node, request: Request) -> Any:
    return there.machines.listing(request.account)


def _next_id(there: Node, request: Request) -> Any:
    wanted = request.given.get("vmid")
    return there.machines.next_id(int(wanted) if wanted else None)


def _mapping(act: str) -> Handler:
    def handler(there: Node, request: Request) -> Any:
        name, given, account = request.parts.get("id", ""), dict(request.given), request.account
        if "map" in given and isinstance(given["map"], str):
            given["map"] = [given["map"]]
        acts: dict[str, Callable[[], Any]] = {
            "list": lambda: there.mappings.listing(account),
            "get": lambda: there.mappings.get(name, account),
            "create": lambda: there.mappings.create(account, given),
            "update": lambda: there.mappings.update(name, account, given),
            "delete": lambda: there.mappings.delete(name, account),
        }
        return acts[act]()

    return handler


def _pools(there: Node, request: Request) -> Any:
    """There are none; who may see a pool is not asked for an empty list."""
    return []


def _task(act: str) -> Handler:
    return lambda there, request: getattr(there.tasks, act)(request.parts["upid"], request.account)


def _storage(act: str) -> Handler:
    def handler(there: Node, request: Request) -> Any:
        storages, account, given = there.storages, request.account, request.given
        storage_id, name = request.parts.get("storage", ""), request.parts.get("volume", "")
        if act == "status":
            account.need_any(f"/storage/{storage_id}", "Datastore.Audit", "Datastore.AllocateSpace")
        acts: dict[str, Callable[[], Any]] = {
            "status": lambda: storages.status(storage_id),
            "listing": lambda: storages.listing(storage_id, account, given.get("content")),
            "info": lambda: storages.info(storage_id, name, account),
            "delete": lambda: storages.delete(storage_id, name, account),
            "upload": lambda: storages.upload(storage_id, account, given, request.filename, request.data),
            "download": lambda: storages.download(there.name, storage_id, account, given),
            "metadata": lambda: storages.metadata(there.name, given["url"], account),
        }
        return acts[act]()

    return handler


def _machine(act: str) -> Handler:
    def handler(there: Node, request: Request) -> Any:
        machines, account, given = there.machines, request.account, dict(request.given)
        vmid = int(request.parts.get("vmid", 0))
        force = given.get("forceStop") in {"1", 1}
        acts: dict[str, Callable[[], Any]] = {
            "create": lambda: machines.create(account, given),
            "config": lambda: machines.config(vmid, account, given.get("current") == "1"),
            "update": lambda: machines.update(vmid, account, given),
            "resize": lambda: machines.resize(vmid, account, given),
            "status": lambda: machines.status(vmid, account),
            "start": lambda: machines.start(vmid, account),
            "stop": lambda: machines.stop(vmid, account, gently=False),
            "shutdown": lambda: machines.stop(vmid, account, gently=True, force=force),
            "destroy": lambda: machines.destroy(vmid, account),
        }
        return acts[act]()

    return handler


def _route(method: str, path: str, handler: Handler) -> tuple[str, re.Pattern[str], Handler]:
    """A line of the table; `{name}` is one part of the path, `{name+}` the rest of it."""
    pattern = re.sub(r"\{(\w+)\+\}", r"(?P<\1>.+)", path)
    return method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)), handler


_PCI, _CONTENT, _QEMU = "/cluster/mapping/pci", "/nodes/{node}/storage/{storage}/content", "/nodes/{node}/qemu"
ROUTES: Final = [
    _route("GET", "/version", _version),
    _route("GET", "/cluster/resources", _resources),
    _route("GET", "/cluster/nextid", _next_id),
    _route("GET", _PCI, _mapping("list")),
    _route("POST", _PCI, _mapping("create")),
    _route("GET", f"{_PCI}/{{id}}", _mapping("get")),
    _route("PUT", f"{_PCI}/{{id}}", _mapping("update")),
    _route("DELETE", f"{_PCI}/{{id}}", _mapping("delete")),
    _route("GET", "/nodes/{node}/tasks/{upid}/status", _task("status")),
    _route("GET", "/nodes/{node}/tasks/{upid}/log", _task("log")),
    _route("DELETE", "/nodes/{node}/tasks/{upid}", _task("stop")),
    _route("GET", "/pools", _pools),
    _route("GET", "/nodes/{node}/query-url-metadata", _storage("metadata")),
    _route("GET", "/nodes/{node}/storage/{storage}/status", _storage("status")),
    _route("GET", _CONTENT, _storage("listing")),
    _route("GET", f"{_CONTENT}/{{volume+}}", _storage("info")),
    _route("DELETE", f"{_CONTENT}/{{volume+}}", _storage("delete")),
    _route("POST", "/nodes/{node}/storage/{storage}/upload", _storage("upload")),
    _route("POST", "/nodes/{node}/storage/{storage}/download-url", _storage("download")),
    _route("POST", _QEMU, _machine("create")),
    _route("DELETE", f"{_QEMU}/{{vmid}}", _machine("destroy")),
    _route("GET", f"{_QEMU}/{{vmid}}/config", _machine("config")),
    _route("PUT", f"{_QEMU}/{{vmid}}/config", _machine("update")),
    _route("PUT", f"{_QEMU}/{{vmid}}/resize", _machine("resize")),
    _route("GET", f"{_QEMU}/{{vmid}}/status/current", _machine("status")),
    _route("POST", f"{_QEMU}/{{vmid}}/status/start", _machine("start")),
    _route("POST", f"{_QEMU}/{{vmid}}/status/stop", _machine("stop")),
    _route("POST", f"{_QEMU}/{{vmid}}/status/shutdown", _machine("shutdown")),
]
