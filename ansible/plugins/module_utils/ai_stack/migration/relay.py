"""A way from the gateway's container to an old service that listens on 127.0.0.1 only: systemd's own socket proxy.

It listens on the address that containers know as host.docker.internal, and only the containers' networks get in.
"""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
import time
from pathlib import Path

from ..durable import write_file
from ..engine import Engine
from .old import _do
from .state import MigrationError

NAME = "ai-old-service"
UNITS = Path("/etc/systemd/system")
_PROGRAMS = ("/usr/lib/systemd/systemd-socket-proxyd", "/lib/systemd/systemd-socket-proxyd")
_TABLE = "ai_migration_relay"
_SOCKET = """\
# Of ai-services, while the host is being migrated: the old speech service, for the gateway's container.
[Unit]
Description=The old speech service, for the containers of ai-services
After=docker.service

[Socket]
ListenStream={address}:{port}
FreeBind=true
NoDelay=true

[Install]
WantedBy=sockets.target
"""
_SERVICE = """\
# Of ai-services, while the host is being migrated.
[Unit]
Description=The old speech service, for the containers of ai-services
Requires={name}.socket
After={name}.socket

[Service]
ExecStart={program} --connections-max=4096 127.0.0.1:{target}
User=nobody
Group=nogroup
NoNewPrivileges=true
"""


def up(engine: Engine, port: int, target: int) -> str:
    """Let containers reach 127.0.0.1:`target` at `port` of the address returned, and nobody else.

    Raises:
        MigrationError: there is no such program, or systemd refuses.
    """
    program = next((one for one in _PROGRAMS if Path(one).exists()), None)
    if program is None:
        raise MigrationError("systemd-socket-proxyd is not on this host; it comes with the package systemd.")
    address = bridge(engine)
    # Another machine of the network could route packets to that address.
    rules = (
        f"table inet {_TABLE}\ndelete table inet {_TABLE}\ntable inet {_TABLE} {{\n"
        "chain guard {\ntype filter hook prerouting priority mangle; policy accept;\n"
        f'ip daddr {address} tcp dport {port} iifname != "lo" iifname != "docker0" iifname != "br-*" drop\n}}\n}}\n'
    )
    done = subprocess.run(["nft", "--file", "-"], input=rules, text=True, capture_output=True, check=False, timeout=60)
    if done.returncode != 0:
        raise MigrationError(f"The packet filter refuses the relay's guard: {done.stderr.strip()[-300:]}")
    texts = {
        f"{NAME}.socket": _SOCKET.format(address=address, port=port),
        f"{NAME}.service": _SERVICE.format(name=NAME, program=program, target=target),
    }
    if any(not (UNITS / name).is_file() or (UNITS / name).read_text() != text for name, text in texts.items()):
        for name, text in texts.items():
            write_file(UNITS / name, text.encode())
        _do(["systemctl", "daemon-reload"])
    _do(["systemctl", "enable", "--now", f"{NAME}.socket"])
    return address


def down() -> bool:
    """Take it away; returns whether it was there."""
    there = [name for name in (f"{NAME}.socket", f"{NAME}.service") if (UNITS / name).is_file()]
    if there:
        for name in there:
            subprocess.run(["systemctl", "disable", "--now", name], capture_output=True, check=False, timeout=60)
            (UNITS / name).unlink()
        _do(["systemctl", "daemon-reload"])
    if shutil.which("nft"):  # it may have come with us, and have gone with us
        subprocess.run(["nft", "delete", "table", "inet", _TABLE], capture_output=True, check=False, timeout=60)
    return bool(there)


def bridge(engine: Engine) -> str:
    """The address that containers know as host.docker.internal: Docker's own bridge.

    Raises:
        MigrationError: Docker has none.
    """
    ends_at = time.monotonic() + 30
    while True:
        found = engine.get("/networks/bridge") or {}
        for part in (found.get("IPAM") or {}).get("Config") or []:
            if "." not in str(part.get("Subnet")):
                continue
            # A bridge that had no container yet does not say its address; it is the first one then.
            return str(part.get("Gateway") or next(ipaddress.ip_network(part["Subnet"]).hosts()))
        if time.monotonic() >= ends_at:
            raise MigrationError("Docker has no bridge network, so no container can reach the old service.")
        time.sleep(0.5)
