"""Storages and what lies in them: images, ISO images, images to import. Uploads and downloads are tasks."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

from terraform.proxmox.access import Account
from terraform.proxmox.refusals import Refused, not_permitted, wrong_parameter
from terraform.proxmox.tasks import Log, Tasks

UPLOADS: Final = ("iso", "vztmpl", "import")
_EXTENSIONS: Final = {
    "iso": r"[^/]+\.(iso|img)",
    "vztmpl": r"[^/]+\.(tar|tar\.gz|tar\.xz|tar\.zst|tar\.bz2)",
    "import": r"[a-zA-Z0-9\-.+=_]+\.(ova|qcow2|raw|vmdk)",
}
_HASHES: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


@dataclass
class Volume:
    """A file or a disk. `data` is kept where somebody uploaded or downloaded it."""

    id: str
    content: str
    format: str
    size_bytes: int
    vmid: int | None = None
    data: bytes = b""
    created_s: int = field(default_factory=lambda: int(time.time()))
    hidden_listings: int = 0


@dataclass
class Storage:
    """`content` is what may lie in it; one without a `path` holds disks only."""

    id: str
    type: str
    content: set[str]
    path: str | None = None
    volumes: dict[str, Volume] = field(default_factory=dict)
    size_bytes: int = 1 << 40
    # how many listings a new volume is missing in, as in storages that span machines
    hides_new_for: int = 0

    def put(self, volume: Volume) -> Volume:
        """Add a volume, in place of one of the same name."""
        volume.hidden_listings = self.hides_new_for
        self.volumes[volume.id] = volume
        return volume


@dataclass
class Storages:
    """All storages of the node. `internet` is what the node can download, by address."""

    all: dict[str, Storage]
    tasks: Tasks
    internet: dict[str, bytes] = field(default_factory=dict)

    def get(self, storage_id: str) -> Storage:
        """A storage by its id. Refuses an unknown one with 500."""
        if (found := self.all.get(storage_id)) is None:
            raise Refused(f"storage '{storage_id}' does not exist")
        return found

    def volume(self, volume_id: str) -> Volume | None:
        """A volume by its whole id, as `local:iso/a.iso`."""
        storage = self.all.get(volume_id.partition(":")[0])
        return storage.volumes.get(volume_id) if storage else None

    def status(self, storage_id: str) -> dict[str, Any]:
        """`GET …/storage/ID/status`."""
        storage = self.get(storage_id)
        used = sum(volume.size_bytes for volume in storage.volumes.values())
        return {
            "type": storage.type, "content": ",".join(sorted(storage.content)), "active": 1, "enabled": 1, "shared": 0,
            "total": storage.size_bytes, "used": used, "avail": storage.size_bytes - used,
        }  # fmt: skip

    def listing(self, storage_id: str, account: Account, content: str | None) -> list[dict[str, Any]]:
        """`GET …/storage/ID/content`."""
        account.need_any(f"/storage/{storage_id}", "Datastore.Audit", "Datastore.AllocateSpace")
        shown = []
        for volume in self.get(storage_id).volumes.values():
            if volume.hidden_listings:
                volume.hidden_listings -= 1
            elif content in {None, volume.content}:
                shown.append(
                    {"volid": volume.id, "content": volume.content, "format": volume.format, "ctime": volume.created_s}
                    | {"size": volume.size_bytes}
                    | ({"vmid": volume.vmid} if volume.vmid is not None else {})
                )
        return shown

    def info(self, storage_id: str, name: str, account: Account) -> dict[str, Any]:
        """`GET …/storage/ID/content/VOLUME`."""
        storage, volume = self.get(storage_id), self.volume(whole(storage_id, name))
        self.may_use(account, None, whole(storage_id, name))
        if volume is None:
            raise Refused(f"volume_size_info on '{whole(storage_id, name)}' failed - no format")
        return {"path": f"{storage.path or '/dev/pve'}/{volume.id.partition(':')[2]}", "format": volume.format} | {
            "size": volume.size_bytes,
            "used": volume.size_bytes,
        }

    def delete(self, storage_id: str, name: str, account: Account) -> str:
        """`DELETE …/storage/ID/content/VOLUME`: a task."""
        volume_id = whole(storage_id, name)
        account.need(f"/storage/{storage_id}", "Datastore.Allocate")
        self.get(storage_id)

        def work(log: Log) -> None:
            self.free(volume_id)
            log.append(f"Removed volume '{volume_id}'")

        return self.tasks.start("imgdel", storage_id, account, work)

    def free(self, volume_id: str) -> None:
        """Remove a volume that is there, or nothing."""
        if storage := self.all.get(volume_id.partition(":")[0]):
            storage.volumes.pop(volume_id, None)

    def upload(self, storage_id: str, account: Account, fields: dict[str, str], filename: str, data: bytes) -> str:
        """`POST …/storage/ID/upload`: a task that puts the file where it belongs, over an older one."""
        account.need(f"/storage/{storage_id}", "Datastore.AllocateTemplate")
        storage, content = self.get(storage_id), fields.get("content", "")
        if storage.path is None:
            raise Refused(f"can't upload to storage type '{storage.type}'")
        name = checked_name(content, filename, "upload content type '{}' not allowed")
        if content not in storage.content:
            raise Refused(f"storage '{storage_id}' does not support '{content}' content")

        def work(log: Log) -> None:
            log.append(f"starting file import from: /var/tmp/pveupload-{len(data)}")
            log.append(f"target file: {storage.path}/{folder(content)}/{name}")
            storage.put(Volume(f"{storage_id}:{content}/{name}", content, suffix(name), len(data), data=data))
            log.append("finished file import successfully")

        return self.tasks.start("imgcopy", "", account, work)

    def download(self, node: str, storage_id: str, account: Account, given: dict[str, str]) -> str:
        """`POST …/storage/ID/download-url`: a task; a wrong checksum or address is its failure, not the request's."""
        account.need(f"/storage/{storage_id}", "Datastore.AllocateTemplate")
        need_network(account, node)
        storage, content, url = self.get(storage_id), given["content"], given["url"]
        if storage.path is None:
            raise Refused(f"can't upload to storage type '{storage.type}', not a file based storage!")
        if content not in storage.content:
            raise Refused(f"storage '{storage_id}' is not configured for content-type '{content}'")
        name = checked_name(content, given["filename"], "upload content-type '{}' is not allowed")
        algorithm, wanted = given.get("checksum-algorithm"), given.get("checksum", "").lower()
        if bool(algorithm) != bool(wanted):
            raise wrong_parameter({"checksum": "missing property - 'checksum-algorithm' requires this property"})

        def work(log: Log) -> None:
            path = f"{storage.path}/{folder(content)}/{name}"
            old = storage.volumes.get(f"{storage_id}:{content}/{name}")
            if old is not None and not algorithm:
                raise Refused(f"refusing to override existing file '{path}'")
            if old is not None and algorithm:
                if (got := digest(algorithm, old.data)) != wanted:
                    raise Refused(f"mismatch (file '{path}' has '{got}' != expect '{wanted}'), aborting")
                log.append("OK, got correct file already, no need to download")
                return
            log.append(f"downloading {url} to {path}")
            if (data := self.internet.get(url)) is None:
                raise Refused("download failed: 404 Not Found")
            if algorithm and (got := digest(algorithm, data)) != wanted:
                raise Refused(f"checksum mismatch: got '{got}' != expect '{wanted}'")
            storage.put(Volume(f"{storage_id}:{content}/{name}", content, suffix(name), len(data), data=data))
            log.append(f"download of '{url}' to '{path}' finished")

        return self.tasks.start("download", name, account, work)

    def metadata(self, node: str, url: str, account: Account) -> dict[str, Any]:
        """`GET …/query-url-metadata`."""
        need_network(account, node)
        if (data := self.internet.get(url)) is None:
            raise Refused("invalid server response: '404 Not Found'")
        return {"filename": url.rpartition("/")[2], "size": len(data), "mimetype": "application/octet-stream"}

    def may_use(self, account: Account, vmid: int | None, volume_id: str) -> None:
        """Refuse with 403 or 500 unless the account may read a volume for a machine."""
        if ":" not in volume_id:
            if account.name != "root@pam":
                raise Refused("Only root can pass arbitrary filesystem paths.")
            return
        storage_id, volume = volume_id.partition(":")[0], self.volume(volume_id)
        if account.has(f"/storage/{storage_id}", "Datastore.Allocate"):
            return
        if volume_id.partition(":")[2].partition("/")[0] in UPLOADS:
            account.need_any(f"/storage/{storage_id}", "Datastore.AllocateSpace", "Datastore.Audit")
        elif volume is None or volume.vmid is None or volume.vmid != vmid:
            raise Refused(f"missing privileges to access {volume_id}")


def whole(storage_id: str, name: str) -> str:
    """A volume's whole id of either form that a path may bear."""
    return name if ":" in name else f"{storage_id}:{name}"


def need_network(account: Account, node: str) -> None:
    """Refuse with 403 who may not have the node ask the network for something."""
    if account.has(f"/nodes/{node}", "Sys.AccessNetwork"):
        return
    if not (account.has("/", "Sys.Audit") and account.has("/", "Sys.Modify")):
        raise not_permitted(f"/nodes/{node}", "Sys.AccessNetwork")


def checked_name(content: str, filename: str, not_allowed: str) -> str:
    """A file's name as it is stored. Refuses a wrong kind of content or a wrong extension with 400."""
    if content not in UPLOADS:
        raise wrong_parameter({"content": not_allowed.format(content)})
    name = re.sub(r"[^a-zA-Z0-9_.-]", "_", re.sub(r"^.*[/\\]", "", filename))
    if re.fullmatch(_EXTENSIONS[content], name, re.IGNORECASE) is None:
        words = "invalid filename or wrong extension" if content == "import" else "wrong file extension"
        raise wrong_parameter({"filename": words})
    return name


def folder(content: str) -> str:
    """Where a file storage keeps a kind of content."""
    return {"iso": "template/iso", "vztmpl": "template/cache"}.get(content, content)


def suffix(name: str) -> str:
    """A file's format, as the listing shows it."""
    return name.rpartition(".")[2].lower()


def digest(algorithm: str, data: bytes) -> str:
    """A checksum in hex. Refuses an algorithm that the API has not with 400."""
    if algorithm not in _HASHES:
        raise wrong_parameter({"checksum-algorithm": f"value '{algorithm}' does not have a value in the enumeration"})
    return hashlib.new(algorithm, data).hexdigest()
