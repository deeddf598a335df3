"""The first contact with a new machine, over a real sshd: only the key that was made for it is believed."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from support.sshd import Sshd, sshd

from .copies import TOP

pytestmark = pytest.mark.long

MODULE = TOP / "terraform" / "modules" / "host_key"
# An address of this machine that nobody else serves SSH on.
# Port 22 of an address for each process of the tests: two of them run side by side.
ADDRESS = f"127.98.{os.getpid() // 250 % 250 + 1}.{os.getpid() % 250 + 1}"
KEYS = 'module.proxmox_vm["gpu-1"].module.host_key.terraform_data.keys'
USER_DATA = "#cloud-config\nssh_keys:\n  # here\n  # @FIRST_CONTACT_KEY@\n"
META_DATA = 'instance-id: "@INSTANCE_ID@"\n'


def make_keys(folder: Path, network: str = "version: 2\n") -> None:
    """Do what terraform_data.keys does."""
    environment = os.environ | {
        "AI_FOLDER": str(folder), "AI_SEED": str(MODULE / "seed.py"), "AI_USER_DATA": USER_DATA,
        "AI_META_DATA": META_DATA, "AI_NETWORK_CONFIG": network, "AI_PYTHON": sys.executable,
    }  # fmt: skip
    subprocess.run(["sh", MODULE / "keys.sh"], env=environment, check=True, capture_output=True, timeout=60)


@dataclass
class Machine:
    """A machine that has booted: its sshd, the folder that is its /etc/ssh, and what logs in."""

    etc: Path
    key: Path
    sshd: Sshd
    process: subprocess.Popen[bytes] | None = None

    def start(self, host_key: Path) -> None:
        """Show this key, from a private half in a file."""
        shutil.copy(host_key, self.etc / "ssh_host_ed25519_key")
        (self.etc / "ssh_host_ed25519_key").chmod(0o600)
        tools = self.etc / "tools"
        tools.mkdir()
        # The machine's own /etc/ssh is this folder, its sudo needs no password, and a reload is a new start of it.
        scripts = {
            "sudo": 'shift; exec "$@"',
            "systemctl": f"kill -HUP $(cat {self.etc}/pid)",
            "cloud-init": "exit 0",
            "session": f'eval "$(printf %s "$SSH_ORIGINAL_COMMAND" | sed "s|/etc/ssh|{self.etc}|g")"',
        }
        for name, text in scripts.items():
            (tools / name).write_text(f"#!/bin/sh\nPATH={tools}:$PATH\n{text}\n")
            (tools / name).chmod(0o755)
        shutil.copy(self.key.with_suffix(".pub"), self.etc / "authorized")
        (self.etc / "config").write_text(
            f"ListenAddress {ADDRESS}\nPort 22\nHostKey {self.etc}/ssh_host_ed25519_key\nPidFile {self.etc}/pid\n"
            f"AuthorizedKeysFile {self.etc}/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            f"PasswordAuthentication no\nForceCommand {tools}/session\n"
        )
        self.process = subprocess.Popen(
            [self.sshd.program, "-D", "-e", "-f", self.etc / "config"],
            env=os.environ | self.sshd.environment,
            stderr=(self.etc / "log").open("wb"),
        )

    def await_start(self) -> None:
        """Until it answers."""
        for _ in range(600):
            with socket.socket() as tried:
                if tried.connect_ex((ADDRESS, 22)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError((self.etc / "log").read_text())

    def shown(self) -> str:
        """The public half of the key that it has."""
        said = subprocess.run(
            ["ssh-keygen", "-y", "-f", self.etc / "ssh_host_ed25519_key"], capture_output=True, text=True, check=True
        )
        return said.stdout.strip()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if os.geteuid() != 0:
        pytest.skip("only root may serve SSH on port 22 of a loopback address")
    etc = tmp_path / "etc-ssh"
    etc.mkdir()
    key = tmp_path / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, timeout=60)
    made = Machine(etc, key, sshd(etc))
    yield made
    if made.process:
        made.process.terminate()
        made.process.wait(30)


def contact(folder: Path, key: Path, wait_s: int = 60) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "AI_FOLDER": str(folder), "AI_ADDRESS": ADDRESS, "AI_USER": "root", "AI_KEY_FILE": str(key),
        "AI_WAIT_S": str(wait_s), "AI_KEYS": KEYS,
    }  # fmt: skip
    return subprocess.run(
        ["sh", MODULE / "contact.sh"], env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def public(folder: Path, name: str) -> str:
    return (folder / f"{name}.pub").read_text().strip()


def test_the_machine_gets_its_lasting_key_over_its_first_one(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "gpu-1"
    make_keys(folder)
    first = (folder / "first").read_text()
    lasting = (folder / "lasting").read_text()
    machine.start(folder / "first")
    done = contact(folder, machine.key)
    assert done.returncode == 0, done.stderr + (machine.etc / "log").read_text()
    assert machine.shown() == public(folder, "lasting")
    assert "it gets its lasting one" in done.stdout
    # Nothing that is worth anything stays with the operator, and nothing was said.
    left = {path.name for path in folder.iterdir()}
    assert left == {"first.pub", "lasting.pub"}
    assert first.split("\n")[2] not in done.stdout + done.stderr
    assert lasting.split("\n")[2] not in done.stdout + done.stderr
    # A second run finds it done, from any operator's machine that has the public half.
    again = contact(folder, machine.key)
    assert again.returncode == 0, again.stderr
    assert "it gets its lasting one" not in again.stdout


def test_another_machine_is_not_believed_and_gets_nothing(machine: Machine, tmp_path: Path) -> None:
    folder, other = tmp_path / "hosts" / "gpu-1", tmp_path / "other"
    make_keys(folder)
    make_keys(other)
    machine.start(other / "first")
    done = contact(folder, machine.key, wait_s=3)
    assert done.returncode == 1
    assert "shows another key than the machine that was just made" in done.stderr
    assert machine.shown() == public(other, "first")
    assert (folder / "lasting").is_file(), "a later run must be able to go on"
    # It was refused before anybody logged in.
    assert "Accepted publickey" not in (machine.etc / "log").read_text()


def test_a_machine_made_anew_with_keys_that_were_used_up_is_told_at_once(machine: Machine, tmp_path: Path) -> None:
    folder, other = tmp_path / "hosts" / "gpu-1", tmp_path / "other"
    make_keys(folder)
    make_keys(other)
    (folder / "lasting").unlink()
    machine.start(other / "first")
    machine.await_start()
    done = contact(folder, machine.key, wait_s=3600)
    assert done.returncode == 1
    assert "it was made anew, and its keys were used up" in done.stderr
    assert f"terraform apply -replace='{KEYS}'" in done.stderr


def test_a_machine_that_does_not_let_the_user_in(machine: Machine, tmp_path: Path) -> None:
    folder, stranger = tmp_path / "hosts" / "gpu-1", tmp_path / "stranger"
    make_keys(folder)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger], check=True, timeout=60)
    machine.start(folder / "first")
    done = contact(folder, stranger, wait_s=3)
    assert done.returncode == 1
    assert "does not let root in" in done.stderr
    assert "ai_ssh_key_file" in done.stderr


def test_a_machine_that_never_answers(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "gpu-1"
    make_keys(folder)
    done = contact(folder, tmp_path / "operator", wait_s=0)
    assert done.returncode == 1
    assert f"{ADDRESS} did not answer on SSH within 0 s" in done.stderr
    assert "ai_ssh_wait_s" in done.stderr


def test_keys_that_were_made_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "gpu-1"
    folder.mkdir(parents=True)
    done = contact(folder, tmp_path / "operator", wait_s=0)
    assert done.returncode == 1
    assert "they were made elsewhere" in done.stderr
    assert f"-replace='{KEYS}'" in done.stderr


def test_the_files_of_the_first_boot_are_for_this_user_only_and_hold_the_first_key_alone(tmp_path: Path) -> None:
    folder = tmp_path / "hosts" / "gpu-1"
    make_keys(folder)
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir() if path.stat().st_mode & 0o077} == set()
    user_data = yaml.safe_load((folder / "user-data").read_text())
    assert user_data["ssh_keys"]["ed25519_private"] == (folder / "first").read_text()
    assert user_data["ssh_keys"]["ed25519_public"] == public(folder, "first")
    image = (folder / "seed.iso").read_bytes()
    assert (folder / "first").read_bytes().split(b"\n")[2] in image
    assert (folder / "lasting").read_bytes().split(b"\n")[2] not in image
    blob = base64.b64decode(public(folder, "lasting").split()[1])
    assert blob not in image


def test_every_machine_has_keys_and_an_instance_of_its_own(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        make_keys(folder)
    assert public(one, "first") != public(two, "first") != public(two, "lasting")
    before = (one / "seed.iso").read_bytes()
    make_keys(one)
    assert (one / "seed.iso").read_bytes() != before


def test_without_a_network_of_our_own_there_is_no_image(tmp_path: Path) -> None:
    folder = tmp_path / "cloud"
    make_keys(folder, network="")
    assert not (folder / "seed.iso").exists()
    assert (folder / "user-data").is_file()
