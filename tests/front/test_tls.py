"""Handshakes with the front door, compared with Mozilla's guideline 6.0 "intermediate" (mozilla-6.0.json, with source).

Every offer is made alone by `openssl s_client`, so that what is accepted is known, not what is preferred. Debian's
OpenSSL does not offer TLS 1.1 and older by itself: security level 0 lets it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from front import door as doors
from front import render
from front.door import DOMAIN, Door
from front.upstream import Upstream

OPENSSL = shutil.which("openssl") or ""
pytestmark = [
    pytest.mark.skipif(not (doors.NGINX and OPENSSL), reason=f"{doors.NO_NGINX}; or no openssl"),
    pytest.mark.xdist_group("front-tls"),
    pytest.mark.long,
]
PROFILE: dict[str, Any] = json.loads((Path(__file__).parent / "mozilla-6.0.json").read_text())["configurations"][
    "intermediate"
]


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    upstream = Upstream().start()
    with doors.running(tmp_path_factory.mktemp("tls"), upstream.port) as up:
        yield up
    upstream.stop()


def handshake(door: Door, *offer: str) -> bool:
    """Whether a handshake succeeds with this offer alone."""
    command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{door.https_port}", "-servername", DOMAIN, *offer]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
    assert "Error with command" not in done.stderr, done.stderr
    assert "Call to SSL_CONF_cmd" not in done.stderr, done.stderr
    return "Cipher is (NONE)" not in done.stdout and "New, " in done.stdout


def ciphers(spec: str) -> list[str]:
    """All cipher suites of TLS 1.2 and older that this OpenSSL has."""
    listed = subprocess.run([OPENSSL, "ciphers", "-tls1_2", "-s", spec], capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.strip().split(":") if not name.startswith("TLS_")]


def test_versions(door: Door) -> None:
    offers = {"TLSv1": "-tls1", "TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2", "TLSv1.3": "-tls1_3"}
    accepted = [name for name, flag in offers.items() if handshake(door, flag, "-cipher", "DEFAULT:@SECLEVEL=0")]
    assert accepted == PROFILE["tls_versions"]


def test_cipher_suites_of_tls_1_2(door: Door) -> None:
    """Of all that OpenSSL can offer only the guideline's are taken; those for ECDSA, as the certificate is."""
    offered = ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    assert len(offered) > 40
    accepted = [name for name in offered if handshake(door, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0")]
    assert sorted(accepted) == sorted(name for name in PROFILE["ciphers"]["openssl"] if "ECDSA" in name)


def test_cipher_suites_of_tls_1_3(door: Door) -> None:
    offered = [*PROFILE["ciphersuites"], "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]
    accepted = [name for name in offered if handshake(door, "-tls1_3", "-ciphersuites", name)]
    assert accepted == PROFILE["ciphersuites"]


def test_groups(door: Door) -> None:
    """X25519MLKEM768 where both sides have it (OpenSSL 3.5), the guideline's others everywhere, and no more."""
    wanted = list(PROFILE["tls_curves"])
    if not render.filters().nginx_features(render.version_text(doors.NGINX))["mlkem"]:
        wanted.remove("X25519MLKEM768")
    offered = [*wanted, "secp521r1", "X448", "ffdhe2048"]
    assert [name for name in offered if handshake(door, "-tls1_3", "-groups", name)] == wanted


def test_the_client_chooses(door: Door) -> None:
    def chosen(*order: str) -> str:
        command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{door.https_port}", "-servername", DOMAIN, "-tls1_2",
                   "-cipher", ":".join(order)]  # fmt: skip
        told = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
        )
        return next(line.split()[-1] for line in told.stdout.splitlines() if "Cipher is" in line)

    both = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256")
    assert not PROFILE["server_preferred_order"]
    assert chosen(*both) == both[0]
    assert chosen(*reversed(both)) == both[1]


def test_hsts_is_long_enough(door: Door) -> None:
    told = door.ask("GET", "/health").headers["strict-transport-security"]
    assert int(told.removeprefix("max-age=")) >= PROFILE["hsts_min_age"]


def test_the_chain_is_sent_and_no_ticket(door: Door) -> None:
    command = [OPENSSL, "s_client", "-connect", f"127.0.0.1:{door.https_port}", "-servername", DOMAIN, "-tls1_2",
               "-showcerts"]  # fmt: skip
    told = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False
    ).stdout
    assert told.count("BEGIN CERTIFICATE") == 2
    assert "session ticket:" not in told.lower()
