"""A real DNS server on a free port: Debian's knot with one zone that takes signed updates."""

from __future__ import annotations

import base64
import contextlib
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.exception
import dns.message
import dns.query

ZONE = "lab.test"


@dataclass(frozen=True)
class Knot:
    """Where it listens, and the key for updates (base64)."""

    port: int
    key: str

    def look_up(self, name: str, kind: str) -> list[str]:
        """The records of `name`, as text, sorted."""
        answer = dns.query.udp(dns.message.make_query(name, kind), "127.0.0.1", port=self.port, timeout=5)
        return sorted(str(item) for rrset in answer.answer for item in rrset)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Knot]:
    """Start knot with an empty zone lab.test; end it afterwards."""
    program = shutil.which("knotd", path="/usr/sbin:/usr/bin:/bin")
    assert program
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / f"{ZONE}.zone").write_text(
        f"@ 60 SOA ns1.{ZONE}. admin.{ZONE}. 1 60 60 3600 60\n@ 60 NS ns1\nns1 60 A 127.0.0.1\n"
    )
    (folder / "knot.conf").write_text(
        f"server:\n    listen: 127.0.0.1@{port}\n    rundir: {folder}\n    pidfile: {folder}/knot.pid\n"
        f"    udp-workers: 1\n    tcp-workers: 1\n    background-workers: 1\n"
        f"database:\n    storage: {folder}\ncontrol:\n    listen: {folder}/knot.sock\n"
        f"log:\n  - target: {folder}/knot.log\n    any: info\n"
        f"key:\n  - id: lab\n    algorithm: hmac-sha256\n    secret: {key}\n"
        f"acl:\n  - id: update\n    key: lab\n    action: update\n"
        f"zone:\n  - domain: {ZONE}\n    storage: {folder}\n    file: {ZONE}.zone\n    acl: update\n"
        "    zonefile-sync: -1\n"
    )
    process = subprocess.Popen([program, "-c", str(folder / "knot.conf")])
    try:
        server = Knot(port, key)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(dns.exception.Timeout, OSError):
                if server.look_up(f"ns1.{ZONE}", "A"):
                    break
            assert process.poll() is None, (folder / "knot.log").read_text()
            assert time.monotonic() < deadline, "knot did not answer"
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(10)
