"""Guests of the Proxmox stand-in that a real `ssh` cannot reach: what cloud-init and SSH would make of a seed image.

A started machine reads the NoCloud seed from its CD, as cloud-init would, and shows the key in it. `write_ssh` makes an
`ssh` for the front of PATH that speaks with such a guest: it refuses like the real one where the pinned key is not the
one shown, lets the seed's public key in, and does the one thing that the operator's first contact asks for: take
another host key. The real one's part is tested in tests/host/test_terraform.py, onto a whole machine.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from terraform.proxmox import properties
from terraform.proxmox.machines import Machine
from terraform.proxmox.storage import Storages

_SSH: Final = '''#!{python}
"""A stand-in of ssh: see tests/terraform/guests.py."""
import pathlib, subprocess, sys

given = sys.argv[1:]
options, rest, address = {{}}, [], None
words = iter(given)
user = key_file = None
for word in words:
    if address is not None:
        rest.append(word)
    elif word == "-o":
        name, _, value = next(words).partition("=")
        options[name] = value
    elif word == "-l":
        user = next(words)
    elif word == "-i":
        key_file = next(words)
    elif word == "--":
        address = next(words)
    elif not word.startswith("-"):
        address = word
guest = pathlib.Path({guests!r}, address.rpartition("@")[2])
if not guest.is_dir():
    print(f"ssh: connect to host {{address}} port 22: Connection refused", file=sys.stderr)
    sys.exit(255)
pinned = pathlib.Path(options["UserKnownHostsFile"]).read_text().split(" ", 1)[1].strip()
if pinned.split()[:2] != (guest / "host_key.pub").read_text().split()[:2]:
    print("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\\nHost key verification failed.", file=sys.stderr)
    sys.exit(255)
public = pathlib.Path(key_file + ".pub").read_text().split()[:2] if key_file else None
allowed = (guest / "user").read_text(), (guest / "authorized").read_text().split()[:2]
if (user or address.partition("@")[0], public) != allowed:
    print(f"{{user}}@{{address}}: Permission denied (publickey).", file=sys.stderr)
    sys.exit(255)
if rest != ["true"]:
    key = guest / "taken"
    key.write_bytes(sys.stdin.buffer.read())
    key.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], check=True, capture_output=True, text=True).stdout
    (guest / "host_key.pub").write_text(public)
'''


@dataclass
class Guests:
    """The guests by their address, each a folder: who may log in, and the key that it shows."""

    folder: Path
    storages: Storages

    def boot(self, machine: Machine) -> None:
        """What a started machine does: a second start finds the work of cloud-init done."""
        files = seed(self.storages, machine)
        network = yaml.safe_load(files["network-config"])
        address = network["ethernets"]["primary"]["addresses"][0].partition("/")[0]
        # Another machine has another disk, on which nothing was done yet.
        disk = f"{machine.config['smbios1']} {yaml.safe_load(files['meta-data'])['instance-id']}"
        self.first_boot(address, disk, files["user-data"])

    def first_boot(self, address: str, instance: str, text: str) -> None:
        """What cloud-init makes of user data, once for each disk and instance."""
        guest = self.folder / address
        if guest.is_dir() and (guest / "instance").read_text() == instance:
            return
        guest.mkdir(parents=True, exist_ok=True)
        user_data = yaml.safe_load(text)
        (guest / "instance").write_text(instance)
        (guest / "user").write_text(user_data["users"][0]["name"])
        (guest / "authorized").write_text(user_data["users"][0]["ssh_authorized_keys"][0])
        (guest / "host_key.pub").write_text(user_data["ssh_keys"]["ed25519_public"])

    def key(self, address: str) -> str:
        """The public key that a guest shows now."""
        return (self.folder / address / "host_key.pub").read_text().strip()

    def write_ssh(self, place: Path) -> None:
        """Write the `ssh` that speaks with these guests into a folder for PATH."""
        self.folder.mkdir(parents=True, exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
        command = place / "ssh"
        command.write_text(_SSH.format(python=sys.executable, guests=str(self.folder)))
        command.chmod(0o755)


def seed(storages: Storages, machine: Machine) -> dict[str, str]:
    """The files in the seed image on a machine's CD, by their names in its Joliet tree."""
    for value in machine.config.values():
        if "media=cdrom" in str(value):
            volume = storages.volume(properties.parse(str(value), "file")["file"])
            assert volume is not None, value
            return files_of(volume.data)
    raise AssertionError(f"VM {machine.vmid} has no CD")


def files_of(image: bytes, sector: int = 2048) -> dict[str, str]:
    """The files at the top of an ISO 9660 image, by Joliet names (the descriptor with `%/E`)."""
    descriptor = next(
        image[place : place + sector]
        for place in range(16 * sector, 32 * sector, sector)
        if image[place] == 2 and image[place + 88 : place + 91] == b"%/E"
    )
    files: dict[str, Any] = {}
    start, size = _extent(descriptor[156:190])
    listing = image[start * sector : start * sector + size]
    while listing and listing[0]:
        record, listing = listing[: listing[0]], listing[listing[0] :]
        name = record[33 : 33 + record[32]]
        if len(name) > 1:
            place, length = _extent(record)
            text = name.decode("utf-16-be").partition(";")[0]
            files[text] = image[place * sector : place * sector + length].decode()
    return files


def _extent(record: bytes) -> tuple[int, int]:
    return int.from_bytes(record[2:6], "little"), int.from_bytes(record[10:14], "little")
