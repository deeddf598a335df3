"""Who listens where, and which addresses are ours; read from /proc, so that no tool is needed."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
import socket
import struct
from pathlib import Path
from typing import Any

from ai_services.doctor.bounded import Unseen, as_object, read, read_or, run

_LISTEN = "0A"
_UNCONNECTED = "07"
# A machine under attack has millions of sockets; the listening ones come first in none of the tables.
_TABLE_LIMIT_BYTES = 16 * 2**20


def ports(root: Path = Path("/")) -> list[dict[str, Any]]:
    """Return listening sockets: `port`, `proto` (tcp, udp), `address`, `process` and `pid`.

    The last two are None for processes of others when this does not run as root, and for the kernel's own sockets.
    """
    sockets = []
    seen_any = False
    for name, proto, state in (
        ("tcp", "tcp", _LISTEN),
        ("tcp6", "tcp", _LISTEN),
        ("udp", "udp", _UNCONNECTED),
        ("udp6", "udp", _UNCONNECTED),
    ):
        try:
            lines = read(root / "proc/net" / name, _TABLE_LIMIT_BYTES).splitlines()
        except Unseen:
            continue
        seen_any = True
        for line in lines[1:]:
            fields = line.split()
            if len(fields) > 9 and fields[3] == state and ":" in fields[1]:
                where, _, number = fields[1].rpartition(":")
                sockets.append((int(number, 16), proto, _address(where), fields[9]))
    if not seen_any:
        raise Unseen("/proc/net/tcp is not readable")
    owners = _owners({inode for *_, inode in sockets}, root)
    found: dict[tuple[int, str, str], dict[str, Any]] = {}
    for port, proto, address, inode in sockets:
        pid = owners.get(inode)
        process = read_or(root / "proc" / str(pid) / "comm") or None if pid else None
        # Workers share the sockets of their master: one line per place, the lowest pid of those that hold it.
        found[port, proto, address] = {
            "port": port,
            "proto": proto,
            "address": address,
            "process": process,
            "pid": pid,
        }
    return [found[key] for key in sorted(found)]


def _address(text: str) -> str:
    # The kernel prints 32-bit words in the machine's own byte order.
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = b"".join(struct.pack("=I", word) for word in words)
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _owners(inodes: set[str], root: Path) -> dict[str, int]:
    owners: dict[str, int] = {}
    pids = sorted(int(entry) for entry in os.listdir(root / "proc") if entry.isdigit())  # noqa: PTH208  # numbers are wanted
    for pid in pids:
        with contextlib.suppress(OSError):
            directory = f"{root}/proc/{pid}/fd"
            for descriptor in os.listdir(directory):  # noqa: PTH208  # thousands, as texts
                with contextlib.suppress(OSError):
                    target = os.readlink(f"{directory}/{descriptor}")  # noqa: PTH115  # a text, not a path that must be there
                    if target.startswith("socket:[") and target[8:-1] in inodes:
                        owners.setdefault(target[8:-1], pid)
    return owners


# Bridges of container engines and hypervisors: nobody outside reaches us there.
_INNER = re.compile(r"docker\d|br-[0-9a-f]{12}|veth|virbr|podman|cni")


def addresses() -> list[str]:
    """Return the addresses by which others may reach us: no loopback, link-local or container bridge.

    Raises:
        Unseen: the tool `ip` is missing or says nothing of use.
    """
    text = run(["ip", "-json", "address", "show"], 5).out
    parsed = as_object(f'{{"links": {text.strip() or "[]"}}}', "ip -json address")["links"]
    found = []
    for link in parsed if isinstance(parsed, list) else []:
        if _INNER.match(str(link.get("ifname", ""))):
            continue
        for entry in link.get("addr_info", []):
            address = ipaddress.ip_address(str(entry.get("local", "0.0.0.0")))  # noqa: S104  # a default for garbage
            if not (address.is_loopback or address.is_link_local or address.is_unspecified):
                found.append(str(address))
    return found


def resolve(domain: str) -> list[str]:
    """Return the addresses a name has, as this machine's resolver sees it; empty if it has none.

    Raises:
        Unseen: the resolver itself gives no answer.
    """
    try:
        answers = socket.getaddrinfo(domain, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
            return []
        raise Unseen(f"the resolver answers: {error.strerror}") from None
    return sorted({re.sub(r"%.*", "", str(answer[4][0])) for answer in answers})
