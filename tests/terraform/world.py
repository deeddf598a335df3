"""What our root works upon in tests: a Proxmox node with guests, an account at Cloudflare, keys and tokens.

`secrets_in` names every secret, so that a test can look for them all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trustme
from host.lab.cloudflare import Cloudflare, Handler, Server
from typing_extensions import override

from terraform import mirror
from terraform.digitalocean_provider import account as digitalocean
from terraform.guests import Guests
from terraform.proxmox.node import Node, node
from terraform.proxmox.server import serving
from terraform.workshop import Workshop

PROXMOX_SECRET: Final = "ca9a7e00-0000-4000-8000-ca9a7e000000"
CLOUDFLARE_TOKEN: Final = "canary-cloudflare-" + "c" * 40
DIGITALOCEAN_TOKEN: Final = "dop_v1_" + "ca9a7e" * 10
GHCR_TOKEN: Final = "ghp_canary" + "0" * 30
ZONE: Final = "example.test"
ZONE_ID: Final = "023e105f4ecef8ad9ca31a8372d0c353"
IMAGE: Final = b"QFI\xfb" + bytes(20) + (3 << 30).to_bytes(8, "big") + bytes(64)
IMAGE_URL: Final = "https://images.example.test/debian-13-genericcloud-amd64-20250814-2204.qcow2"


class Published:
    """In place of a DNS server: what was published, by name and type."""

    def __init__(self) -> None:
        self.names: dict[tuple[str, str], list[str]] = {}

    def publish(self, zone: str, name: str, kind: str, records: Iterable[dict[str, Any]]) -> None:
        """Make these the only records of a name and type."""
        found = [str(record["content"]) for record in records]
        self.names[name, kind] = found
        if not found:
            del self.names[name, kind]


class _Silent(Handler):
    """What was asked is in `seen`."""

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


class Account(Server):
    """The Cloudflare stand-in of the certificates' tests; `refuse` may answer a request otherwise."""

    def __init__(self) -> None:
        super().__init__({
            "zones": {ZONE: ZONE_ID}, "token": CLOUDFLARE_TOKEN, "dns_server": "-",
            "tsig": {"name": "-", "algorithm": "hmac-sha256", "secret": ""},
        })  # fmt: skip
        self.RequestHandlerClass = _Silent
        self.published = Published()
        self.cloudflare = _Refusing(self.cloudflare, self.published)

    @property
    def url(self) -> str:
        """What the provider takes as its base URL."""
        return f"http://127.0.0.1:{self.server_address[1]}/client/v4"

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """The zone's records by id."""
        return self.cloudflare.zones[ZONE_ID].records


Refuse = Callable[[str, str], tuple[int, dict[str, Any]] | None]


class _Refusing(Cloudflare):
    """The account with a place to put refusals before it."""

    def __init__(self, real: Cloudflare, published: Published) -> None:
        self.__dict__ = real.__dict__ | {"dns": published, "refuse": None, "seen": []}

    refuse: Refuse | None
    seen: list[str]

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], dict[str, Any]]:
        """The account's answer, unless `refuse` has another one."""
        self.seen.append(f"{method} {target}")
        other = self.refuse(method, target) if self.refuse is not None else None
        if other is not None:
            return other[0], {}, other[1]
        return super().answer(method, target, headers, body)


@dataclass
class World:
    """All of it; `workshop` is set up with both kinds."""

    pve: Node
    guests: Guests
    account: Account
    cloud: digitalocean.Account
    workshop: Workshop

    @property
    def cloudflare(self) -> _Refusing:
        """The account's answers."""
        found = self.account.cloudflare
        assert isinstance(found, _Refusing)
        return found


@contextlib.contextmanager
def made(folder: Path, *kinds: str, tasks_take_s: float = 0.0) -> Iterator[World]:
    """A world of its own in a folder, with a working copy of the root."""
    pve = node(secret=PROXMOX_SECRET, takes_s=tasks_take_s)
    pve.storages.internet[IMAGE_URL] = IMAGE
    pve.mappings.all["gpu"] = {
        "id": "gpu", "map": ["node=pve,path=0000:01:00,id=10de:2684,subsystem-id=1043:88e2,iommugroup=12"],
    }  # fmt: skip
    guests = Guests(folder / "guests", pve.storages)
    pve.machines.on_start = guests.boot
    guests.write_ssh(folder / "bin")
    account, cloud = Account(), digitalocean.Server(digitalocean.Account(DIGITALOCEAN_TOKEN))
    cloud.account.on_active = lambda droplet, user_data: guests.first_boot(
        droplet["networks"]["v4"][0]["ip_address"], str(droplet["id"]), user_data
    )
    for server in (account, cloud):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "trusted.pem"))
    try:
        with serving(pve, folder / "server.pem", folder / "server.pem") as endpoint:
            workshop = Workshop(folder / "work", mirror.make(folder))
            workshop.environment = {
                "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
                "SSL_CERT_FILE": str(folder / "trusted.pem"),
                "SSL_CERT_DIR": "/-",
                "CLOUDFLARE_BASE_URL": account.url,
                "DIGITALOCEAN_API_URL": cloud.url,
            }
            workshop.values = values(folder, endpoint)
            workshop.set_up(*kinds)
            yield World(pve, guests, account, cloud.account, workshop)
    finally:
        for server in (account, cloud):
            server.shutdown()
            server.server_close()


def values(folder: Path, endpoint: str) -> dict[str, Any]:
    """The variables of one host at a node, and the files that they name."""
    secrets = folder / "secrets"
    secrets.mkdir(mode=0o700)
    files = {
        "proxmox": f"ai@pve!terraform={PROXMOX_SECRET}",
        "cloudflare": CLOUDFLARE_TOKEN,
        "digitalocean": DIGITALOCEAN_TOKEN,
    }
    for name, content in files.items():
        (secrets / name).write_text(f"{content}\n")
        (secrets / name).chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(secrets / "key")], check=True)
    return {
        "ai_domain": f"ai.{ZONE}",
        "ai_address": "192.0.2.30",
        "ai_gateway_address": "192.0.2.1",
        "ai_github_owner": "octo-org",
        "ai_ssh_key_file": str(secrets / "key"),
        "ai_ssh_wait_s": 20,
        "ai_proxmox_endpoint": endpoint,
        "ai_proxmox_token_file": str(secrets / "proxmox"),
        "ai_proxmox_pci_mapping": "gpu",
        "ai_image_url": IMAGE_URL,
        "ai_image_checksum": hashlib.sha512(IMAGE).hexdigest(),
        "ai_cloudflare_zone": ZONE,
        "ai_cloudflare_token_file": str(secrets / "cloudflare"),
        "ai_digitalocean_token_file": str(secrets / "digitalocean"),
        "ai_ghcr_token": GHCR_TOKEN,
    }


def refusal(status: int, code: int, message: str) -> tuple[int, dict[str, Any]]:
    """A refusal of Cloudflare's."""
    errors = [{"code": code, "message": message}]
    return status, {"result": None, "success": False, "errors": errors, "messages": []}


def secrets_in(folder: Path) -> dict[str, str]:
    """Every secret that exists, by what it is: the tokens, and the private keys that lie in a folder now."""
    found = {"Proxmox token": PROXMOX_SECRET, "Cloudflare token": CLOUDFLARE_TOKEN, "GHCR token": GHCR_TOKEN}
    found["DigitalOcean token"] = DIGITALOCEAN_TOKEN
    for path in folder.rglob("*"):
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()[:60]:
            # a line of the key's own: the first is the same in all of them
            found[str(path.relative_to(folder))] = path.read_text().splitlines()[3]
    return found


def shown_plan(workshop: Workshop, path: Path) -> str:
    """A saved plan as JSON, and the names of what is in it."""
    said = workshop.run("show", "-json", str(path))
    assert said.status == 0, said.text
    return json.dumps(json.loads(said.text[said.text.index("{") :]))
