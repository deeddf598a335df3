"""Hosts: containers that are machines as far as anyone inside or over SSH can tell."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from host.lab import base_images, disks, engine, gpu, internet, names
from host.lab.place import FIRST_HOST_NUMBER, INTERNET, INTERNET_NUMBER, MACHINE, Lab, LabError, address

USER = "deployer"
START_TIMEOUT_S = 90
LABEL = "ai-services.lab.host"
SETTLED = ("running", "degraded")
# Where a host may have a disk of its own.
DISKS = ("/var/lib/docker", "/opt")


def start(
    lab: Lab,
    name: str,
    *,
    suite: str,
    gpus: tuple[str, ...] = (),
    number: int | None = None,
    image: str | None = None,
    disks_mib: Mapping[str, int] | None = None,
) -> str:
    """Start the host `name` and wait until its systemd has come up; answers its address.

    `gpus` are names or PCI ids (`10de:13f1`) of cards that its PCI bus shall show, `image` is one of `keep` instead of
    a bare Debian. `disks_mib` gives paths (/var/lib/docker, /opt) a disk of their own, of so many MiB, that can run
    full (`disks.fill`). An existing host of that name is left as it is.

    Raises:
        LabError: it does not come up, or no address is free.
    """
    network = internet.network_of(lab)
    container = lab.container(name)
    if engine.inspect("container", container) is None:
        base_images.ensure(suite)
        with _list_of(lab):  # the address is free until somebody has it
            chosen = address(network, number) if number is not None else _free(lab, network)
            engine.call(
                "run", "--detach", "--name", container, "--hostname", name, "--network", lab.network, "--ip", chosen,
                "--label", f"{LABEL}={lab.name}", "--env", f"LAB_DNS={address(network, INTERNET_NUMBER)}",
                *internet.MACHINE_OPTIONS, *_volumes(container, disks_mib or {}),
                "--restart", "always", image or base_images.host_image(suite),
            )  # fmt: skip
        wait(lab, name)
        if gpus:
            gpu.plug(container, *gpus)
    wait(lab, name)
    _let_in(lab, name)
    own = address_of(lab, name)
    names.point(lab, address(network, INTERNET_NUMBER), name, own)
    write_lists(lab)
    return own


def wait(lab: Lab, name: str) -> None:
    """Until the host's systemd has started everything, and sshd answers.

    Raises:
        LabError: it does not within START_TIMEOUT_S.
    """
    until = time.monotonic() + START_TIMEOUT_S
    state = ""
    while time.monotonic() < until:
        state = engine.run_in(lab.container(name), ["systemctl", "is-system-running"], check=False).strip()
        if state in SETTLED and engine.run_in(
            lab.container(name), ["systemctl", "is-active", "ssh"], check=False
        ).startswith("active"):
            return
        time.sleep(0.3)
    raise LabError(f"host {name} did not come up within {START_TIMEOUT_S} s; systemd says: {state or 'nothing'}")


def booted_at(lab: Lab, name: str) -> str:
    """When the host's container last started, as Docker writes it; another value means another boot."""
    found = _existing(lab, name)
    return str(found["State"]["StartedAt"])


def reboot(lab: Lab, name: str) -> None:
    """Reboot from inside, as a person would, and wait until the host is back."""
    before = booted_at(lab, name)
    engine.run_in(lab.container(name), ["systemctl", "reboot"], check=False)
    until = time.monotonic() + START_TIMEOUT_S
    while booted_at(lab, name) == before:
        if time.monotonic() > until:
            raise LabError(f"host {name} did not go down within {START_TIMEOUT_S} s of `systemctl reboot`")
        time.sleep(0.2)
    wait(lab, name)


def remove(lab: Lab, name: str) -> None:
    """Take one host away, disk and name included."""
    found = engine.inspect("container", lab.container(name))
    engine.call("rm", "-f", lab.container(name), check=False)
    engine.call("volume", "rm", lab.container(name), check=False)
    for path in DISKS:
        disks.remove(_disk(lab.container(name), path))
    if found is not None:
        names.point(lab, address(internet.network_of(lab), INTERNET_NUMBER), name, None)
        write_lists(lab)


def keep(lab: Lab, name: str, image: str) -> None:
    """Keep the disk of a host as `image`, to start others from; the host itself is of no use afterwards.

    What makes it this host is left out, and so is /var/lib/docker.
    """
    own = "rm -f /lab-first-start /etc/ssh/ssh_host_* /var/lib/dbus/machine-id && : >/etc/machine-id && sync"
    engine.run_in(lab.container(name), ["sh", "-c", own])
    engine.call("commit", lab.container(name), image)


def all_of(lab: Lab) -> list[str]:
    """The names of the lab's hosts."""
    shown = engine.call("ps", "--all", "--filter", f"label={LABEL}={lab.name}", "--format", "{{.Names}}").stdout
    return sorted(line.removeprefix(lab.container("")) for line in shown.split())


def address_of(lab: Lab, name: str) -> str:
    """The host's address in the lab's network."""
    return str(_existing(lab, name)["NetworkSettings"]["Networks"][lab.network]["IPAddress"])


def write_lists(lab: Lab) -> None:
    """Write known_hosts, ssh_config and the Ansible inventory anew.

    The keys come from the hosts' disks, by a way that no impostor on the network can take.
    """
    with _list_of(lab):
        _write_lists(lab)


def _list_of(lab: Lab) -> FileLock:
    """Who holds it is alone with the list of the lab's hosts: several may start at a time."""
    return FileLock(MACHINE / f"{lab.name}.hosts.lock")


def _write_lists(lab: Lab) -> None:
    known: list[str] = []
    entries: dict[str, Any] = {}
    settings = [
        "Host *", f"  User {USER}", f"  IdentityFile {lab.ssh_key}", "  IdentitiesOnly yes",
        f"  UserKnownHostsFile {lab.known_hosts}", "  GlobalKnownHostsFile /dev/null", "  StrictHostKeyChecking yes",
    ]  # fmt: skip
    for name in all_of(lab):
        shown = engine.run_in(lab.container(name), ["sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub"], check=False)
        own = address_of(lab, name)
        known += [f"{lab.fqdn(name)},{own} {' '.join(line.split()[:2])}" for line in shown.splitlines() if line]
        entries[lab.fqdn(name)] = {
            "ansible_user": USER,
            "ansible_ssh_private_key_file": str(lab.ssh_key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.known_hosts} -o GlobalKnownHostsFile=/dev/null "
            "-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        settings += [f"Host {own} {name}", f"  HostName {own}"]
    lab.known_hosts.write_text("".join(f"{line}\n" for line in known))
    lab.ssh_config.write_text("".join(f"{line}\n" for line in settings))
    lab.inventory.write_text(yaml.safe_dump({"all": {"hosts": entries}}, sort_keys=True))


def _let_in(lab: Lab, name: str) -> None:
    if not lab.ssh_key.exists():
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"lab {lab.name}", "-f", str(lab.ssh_key)],
            check=True,
        )  # fmt: skip
    public = Path(f"{lab.ssh_key}.pub").read_text()
    home = f"/home/{USER}/.ssh"
    script = f"install -d -m 700 -o {USER} -g {USER} {home} && cat >{home}/authorized_keys && chown {USER}: {home}/*"
    engine.run_in(lab.container(name), ["sh", "-c", script], stdin=public)


def _volumes(container: str, disks_mib: Mapping[str, int]) -> list[str]:
    volumes = {"/var/lib/docker": container}
    volumes |= {path: disks.make(_disk(container, path), mib) for path, mib in disks_mib.items()}
    return [word for path, volume in volumes.items() for word in ("-v", f"{volume}:{path}")]


def _disk(container: str, path: str) -> str:
    return f"{container}{path.replace('/', '-')}"


def _existing(lab: Lab, name: str) -> dict[str, Any]:
    found = engine.inspect("container", lab.container(name))
    if found is None:
        raise LabError(f"the lab {lab.name} has no host {name}; it has: {', '.join(all_of(lab)) or 'none'}")
    return found


def _free(lab: Lab, network: ipaddress.IPv4Network) -> str:
    found = json.loads(engine.call("network", "inspect", lab.network).stdout)[0]
    taken = {str(ipaddress.ip_interface(one["IPv4Address"]).ip) for one in found["Containers"].values()}
    for number in range(FIRST_HOST_NUMBER, network.num_addresses - 1):
        if (chosen := address(network, number)) not in taken:
            return chosen
    raise LabError(f"no address is free in {network} of lab {lab.name}")


__all__ = [
    "INTERNET", "USER", "address_of", "all_of", "booted_at", "keep", "reboot", "remove", "start", "wait", "write_lists",
]  # fmt: skip
