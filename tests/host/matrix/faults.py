"""What may happen in the middle of a change, done for real to a host of the lab and to the world around it."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

from host.lab import disks, engine, hosts
from host.lab.configuration import GITHUB_USER
from host.lab.deployment import Operator
from host.lab.place import INTERNET, LabError

# Paths of the host that have a disk of their own, and may run full.
DISKS_MIB = {"/var/lib/docker": 24_000, "/opt": 96}
_PEBBLE_PORT = 14000
_ENDS_WITHIN_S = 20
_ANSWERS_WITHIN_S = 240


@dataclass
class Scene:
    """A host in the middle of a change: who changes it, by which process, and since when nobody could serve.

    `answers` asks the host as its users do; a machine that has lost its power is off until that is true again.
    """

    operator: Operator
    answers: Callable[[], bool]
    run: subprocess.Popen[bytes] | None = None
    init: int = 0
    # (from, to) in seconds since the epoch: the machine was off, so that nobody could have answered
    off: list[tuple[float, float]] = field(default_factory=list)

    @property
    def container(self) -> str:
        """The host, for engine.run_in."""
        return self.operator.lab.container(self.operator.host)

    @property
    def internet(self) -> str:
        """The container that plays the world outside."""
        return self.operator.lab.container(INTERNET)

    def journal(self) -> list[dict[str, str]]:
        """The lines of the host's journal; empty while it has none, or is off. It is read many times a second."""
        try:
            raw = Path(f"/proc/{self._first_process()}/root/opt/ai/journal.jsonl").read_bytes()
        except OSError:
            return []
        lines = []
        for line in raw.splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(line))
        return lines

    def _first_process(self) -> int:
        """The host's process 1, by its number on this machine; asks Docker only when the one that it knew is gone."""
        if not self.init or not Path(f"/proc/{self.init}/root/opt").is_dir():
            state = (engine.inspect("container", self.container) or {}).get("State", {})
            self.init = int(state.get("Pid") or 0)
        return self.init

    def until_it_answers(self) -> None:
        """Wait for the host's services. AssertionError when they do not come."""
        until = time.monotonic() + _ANSWERS_WITHIN_S
        while not self.answers():
            assert time.monotonic() < until, f"nobody serves: no answer within {_ANSWERS_WITHIN_S} s"
            time.sleep(0.5)


Act = Callable[[Scene], None]


@dataclass(frozen=True)
class Fault:
    """One kind of trouble: `strike` brings it about at once, `mend` takes it away.

    That is before the next run at the latest; and when the run has come to another step, or after `lasts_s`.
    """

    name: str
    words: str
    strike: Act
    mend: Act = lambda _: None
    lasts_s: float = math.inf


def _kill_operator(scene: Scene) -> None:
    if scene.run is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(scene.run.pid, signal.SIGKILL)
        scene.run.wait(_ENDS_WITHIN_S)


def _in_network_of(container: str, *iptables: str, check: bool = True) -> None:
    found = engine.inspect("container", container) or {}
    words = ["nsenter", "--net", "--target", str(found["State"]["Pid"]), "iptables", "--wait", *iptables]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise LabError(f"`{' '.join(words)}`: {done.stderr.strip()}")


# Connections that are there end with it, new ones are refused: as when a router in between forgets them.
_NO_SSH = ("INPUT", "--protocol", "tcp", "--dport", "22", "--jump", "REJECT", "--reject-with", "tcp-reset")
_NO_ACME = (
    "INPUT",
    "--protocol",
    "tcp",
    "--dport",
    str(_PEBBLE_PORT),
    "--jump",
    "REJECT",
    "--reject-with",
    "tcp-reset",
)


def _lose_ssh(scene: Scene) -> None:
    _in_network_of(scene.container, "--insert", *_NO_SSH)


def _find_ssh(scene: Scene) -> None:
    _in_network_of(scene.container, "--delete", *_NO_SSH, check=False)


def _power_loss(scene: Scene) -> None:
    begun = time.time()
    engine.call("kill", "--signal", "KILL", scene.container)
    engine.call("start", scene.container)
    scene.init = 0
    hosts.wait(scene.operator.lab, scene.operator.host)
    scene.until_it_answers()
    scene.off.append((begun, time.time()))


def _fill_disks(scene: Scene) -> None:
    for path in DISKS_MIB:
        disks.fill(scene.container, path)


def _empty_disks(scene: Scene) -> None:
    for path in DISKS_MIB:
        disks.empty(scene.container, path)


_STORES = ("lab-registry@ghcr", "lab-registry@open", "lab-hub")


def _stop_registries(scene: Scene) -> None:
    engine.run_in(scene.internet, ["systemctl", "stop", *_STORES])


def _start_registries(scene: Scene) -> None:
    engine.run_in(scene.internet, ["systemctl", "start", *_STORES])


def _stop_acme(scene: Scene) -> None:
    # Not the process: it would come back with another root certificate, which no real one does.
    _in_network_of(scene.internet, "--insert", *_NO_ACME)


def _start_acme(scene: Scene) -> None:
    _in_network_of(scene.internet, "--delete", *_NO_ACME, check=False)


def _revoke_tokens(scene: Scene) -> None:
    _accept(scene, cloudflare="revoked-" + "0" * 32, ghcr="revoked-" + "0" * 32)


def _give_tokens_back(scene: Scene) -> None:
    secrets = scene.operator.lab.secrets
    cloudflare, ghcr = ((secrets / name).read_text().strip() for name in ("cloudflare_token", "ghcr_token"))
    _accept(scene, cloudflare=cloudflare, ghcr=ghcr)


def _accept(scene: Scene, *, cloudflare: str, ghcr: str) -> None:
    """Let the world accept these tokens and no others."""
    folder = scene.operator.lab.folder / "internet"
    account = json.loads((folder / "cloudflare.json").read_text())
    (folder / "cloudflare.json").write_text(json.dumps(account | {"token": cloudflare}))
    hashed = bcrypt.hashpw(ghcr.encode(), bcrypt.gensalt(rounds=5)).decode()
    (folder / "htpasswd").write_text(f"{GITHUB_USER}:{hashed}\n")
    engine.run_in(scene.internet, ["systemctl", "restart", "lab-cloudflare", "lab-registry@ghcr"])


FAULTS = (
    Fault("operator-killed", "kill -9 of the operator's process", _kill_operator),
    Fault("ssh-lost", "the SSH connection breaks, and no new one is let in", _lose_ssh, _find_ssh, 60.0),
    Fault("power-loss", "the host loses its power and boots", _power_loss),
    Fault("disk-full", "the disks of Docker and /opt are full", _fill_disks, _empty_disks),
    Fault("registry-gone", "image registries and model hubs are gone", _stop_registries, _start_registries),
    Fault("acme-gone", "the certificate authority fails", _stop_acme, _start_acme),
    Fault("tokens-revoked", "the tokens of Cloudflare and GHCR are refused", _revoke_tokens, _give_tokens_back),
)
