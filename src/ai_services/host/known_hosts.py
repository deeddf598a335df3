"""Host keys that a person has accepted: shown by fingerprint, asked for or pinned, never taken blindly."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock

from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.host.ssh_errors import NotYetError
from ai_services.local.home import write_atomically

_SCAN_TIMEOUT_S: Final = 10
# What a person is shown first, and what is asked for: the kinds that today's OpenSSH prefers.
_PREFERRED: Final = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "ssh-rsa")


@dataclass(frozen=True)
class HostKey:
    """One key as a server offers it: `kind` (ssh-ed25519, …) and `blob` (base64)."""

    kind: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """Return SHA256:… as `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class KnownHosts:
    """Our own list beside the user's: what was accepted for `ai` does not change what `ssh` trusts."""

    file: Path

    def option(self) -> str:
        """Return both lists as the value of ssh's UserKnownHostsFile."""
        return f'"{self.file}" ~/.ssh/known_hosts ~/.ssh/known_hosts2'

    def add(self, name: str, key: HostKey) -> None:
        """Remember that `name` (as ssh writes it: `host` or `[host]:port`) has `key`."""
        line = f"{name} {key.kind} {key.blob}"
        with self._alone():
            lines = self._lines()
            if line not in lines:
                self._write([*lines, line])

    def replace(self, name: str, key: HostKey) -> None:
        """Remember that `name` has `key` and no other."""
        with self._alone():
            others = [line for line in self._lines() if line.split(" ")[0] != name]
            self._write([*others, f"{name} {key.kind} {key.blob}"])

    def _alone(self) -> FileLock:
        # Several hosts are deployed side by side (terraform apply), and all of them learn a key.
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return FileLock(self.file.with_name(f".{self.file.name}.lock"), mode=0o600)

    def _lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def _write(self, lines: list[str]) -> None:
        write_atomically(self.file, "".join(f"{line}\n" for line in lines))


def scan(host: str, port: int | None) -> list[HostKey]:
    """Ask the server for its keys, the preferred one first; empty when it does not answer."""
    command = ["ssh-keyscan", "-T", str(_SCAN_TIMEOUT_S), *(["-p", str(port)] if port else []), "--", host]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=3 * _SCAN_TIMEOUT_S, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    keys = [HostKey(*line.split()[1:3]) for line in said.splitlines() if line and not line.startswith("#")]
    order = {kind: place for place, kind in enumerate(_PREFERRED)}
    return sorted(set(keys), key=lambda key: order.get(key.kind, len(order)))


def accept(
    known: KnownHosts, host: str, port: int | None, *, pinned: str | None, ask: Callable[[HostKey], bool] | None
) -> None:
    """Learn the key of a host that is not known yet: the one that is `pinned`, or the one that a person agrees to.

    `pinned` is a fingerprint (SHA256:…) or a whole key (`ssh-ed25519 AAAA…`). `ask` is None where nobody is there.

    Raises:
        OperatorError: nobody vouches for the key, or the host has another than the pinned one.
    """
    name = f"[{host}]:{port}" if port and port != 22 else host
    wanted = _pinned(pinned) if pinned else None
    offered = scan(host, port)
    if not offered and isinstance(wanted, HostKey):
        # Behind a jump host nobody can be asked directly; ssh itself compares with what is written down here.
        known.replace(name, wanted)
        return
    if not offered:
        raise NotYetError(
            f"{host} does not show its SSH key: it is off, still starting, or behind a jump host.",
            hint=f"Accept it once with ssh (ssh {host} true), or give the whole key: --host-key 'ssh-ed25519 AAAA…'",
            exit_code=BLOCKED,
        )
    if wanted:
        fingerprint = wanted.fingerprint if isinstance(wanted, HostKey) else wanted
        match = next((key for key in offered if key.fingerprint == fingerprint), None)
        if match is None:
            seen = ", ".join(f"{key.kind} {key.fingerprint}" for key in offered)
            raise OperatorError(
                f"{host} has another key than the one given by --host-key. It offers: {seen}.",
                hint="Do not go on before you know why: somebody may stand between you and the host.",
                exit_code=BLOCKED,
            )
        known.replace(name, match)
        return
    first = offered[0]
    if ask is None or not ask(first):
        raise OperatorError(
            f"The key of {host} is not known: {first.kind} {first.fingerprint}.",
            hint=f"If that is the host's (there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), "
            f"pin it: --host-key {first.fingerprint}",
            exit_code=BLOCKED,
        )
    known.add(name, first)


def _pinned(pinned: str) -> HostKey | str:
    """Return the key, or its fingerprint where only that was given."""
    text = pinned.strip()
    if re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}=?", text):
        return text.rstrip("=")
    if whole := re.fullmatch(r"(?:\S+ )?((?:ssh|ecdsa|sk)-[\w@.-]+) ([A-Za-z0-9+/]+={0,2})(?: .*)?", text):
        return HostKey(whole[1], whole[2])
    raise OperatorError(
        "--host-key is neither a fingerprint nor a key.",
        hint="Give SHA256:… as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the host.",
        exit_code=USAGE,
    )
