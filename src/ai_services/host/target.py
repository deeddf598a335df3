"""The host that a command is about: how it is named, and what its SSH says, in words."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.host.known_hosts import KnownHosts
from ai_services.host.ssh_errors import NotYetError, explain

CONNECT_TIMEOUT_S: Final = 10
# What any step may take to answer once connected; a host that swaps is slow, not gone.
_ANSWER_TIMEOUT_S: Final = 60
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?"
_WORDS: Final = re.compile(
    rf"(?:(?P<user>[A-Za-z_][A-Za-z0-9._-]{{0,31}})@)?(?:(?P<host>{_NAME})|\[(?P<bracketed>[0-9A-Fa-f:.]+)\])(?::(?P<port>\d{{1,5}}))?"
)
_USAGE: Final = "Name the host as NAME, IP, USER@HOST, USER@HOST:PORT, [IPv6]:PORT or localhost."
# One round trip tells everything that Ansible will need.
_PROBE: Final = (
    "command -v python3 >/dev/null || echo no-python; "
    'if [ "$(id -u)" = 0 ]; then echo root; '
    "elif ! command -v sudo >/dev/null; then echo no-sudo; "
    "else sudo -n true 2>/dev/null || echo sudo-asks; fi; echo user=$(id -un)"
)


@dataclass(frozen=True)
class Target:
    """A host and the way to it. `user`, `port` and `key` are None where SSH's own configuration decides."""

    host: str
    user: str | None = None
    port: int | None = None
    key: Path | None = None
    known_hosts: KnownHosts | None = None
    is_root: bool = False

    @classmethod
    def parse(cls, words: str, *, user: str | None = None, key: str | None = None, home: Path | None = None) -> Target:
        """Read HOST as a person gives it; `user` and `key` come from options or SSH_USER and SSH_KEY.

        Raises:
            OperatorError: it is no host, says two users, or the key is not there.
        """
        text = words.strip()
        bare_v6 = re.fullmatch(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*", text)
        found = _WORDS.fullmatch(f"[{text}]" if bare_v6 else text)
        if found is None:
            raise OperatorError(f'"{words}" names no host.', hint=_USAGE, exit_code=USAGE)
        port = int(found["port"]) if found["port"] else None
        if port is not None and not 1 <= port <= 65535:
            raise OperatorError(f"{port} is no port ({words}).", hint=_USAGE, exit_code=USAGE)
        if found["user"] and user and user != found["user"]:
            raise OperatorError(
                f"Two users are named: {found['user']} in {words}, and {user}.",
                hint="Keep one of them.",
                exit_code=USAGE,
            )
        host = found["host"] or found["bracketed"]
        who = found["user"] or user or os.environ.get("SSH_USER") or None
        if host == "localhost" and not who and port is None:
            return cls(host, is_root=os.geteuid() == 0)
        known = KnownHosts(home / "known_hosts") if home else None
        return cls(host, who, port, _key(key or os.environ.get("SSH_KEY")), known)

    @property
    def is_local(self) -> bool:
        """Whether it is this very machine, reached without SSH."""
        return self.host == "localhost" and self.user is None and self.port is None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{f'{self.user}@' if self.user else ''}{host}{f':{self.port}' if self.port else ''}"

    @property
    def file_name(self) -> str:
        """Its name, fit for a file's."""
        return re.sub(r"[^A-Za-z0-9.-]", "_", self.host)

    def ssh_options(self) -> list[str]:
        """Return the options with which ssh is called, here and by Ansible. A host key is never taken on trust."""
        options = [
            "-o",
            "BatchMode=yes",
            "-o",
            f"ConnectTimeout={CONNECT_TIMEOUT_S}",
            "-o",
            "StrictHostKeyChecking=yes",
        ]
        if self.known_hosts:
            options += ["-o", f"UserKnownHostsFile={self.known_hosts.option()}", "-o", "UpdateHostKeys=no"]
        if self.key:
            options += ["-o", "IdentitiesOnly=yes", "-i", str(self.key)]
        return options

    def command(self, remote: str) -> list[str]:
        """Return the words that run the shell command `remote` on the host, as the user who logs in."""
        if self.is_local:
            return ["sh", "-c", remote]
        place = [*(["-p", str(self.port)] if self.port else []), *(["-l", self.user] if self.user else [])]
        return ["ssh", *self.ssh_options(), *place, "--", self.host, remote]

    def run(
        self, remote: str, *, stdin: str = "", timeout_s: float = _ANSWER_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command there and return what it said; its own exit status is the caller's to judge.

        Raises:
            OperatorError: the host could not be reached or did not let us in; what to do about it.
        """
        if not self.is_local and shutil.which("ssh") is None:
            raise OperatorError(
                "There is no ssh on this machine.",
                hint="Install it: sudo apt install openssh-client",
                exit_code=BLOCKED,
            )
        try:
            done = subprocess.run(
                self.command(remote), input=stdin, capture_output=True, text=True, timeout=timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotYetError(
                f"{self} did not answer within {timeout_s:.0f} s.",
                hint=f"See whether it is overloaded: ssh {self} uptime",
                exit_code=BLOCKED,
            ) from None
        if done.returncode == 255 and not self.is_local:
            raise explain(done.stderr, self)
        return done

    def as_root(self, remote: str) -> str:
        """Return the shell command that runs `remote` as root."""
        return remote if self.is_root else f"sudo -n sh -c {shlex.quote(remote)}"

    def probe(self) -> Target:
        """Log in once and see that python3 and sudo are there; return the target with what was learned.

        Raises:
            OperatorError: what is missing, and how to bring it.
        """
        said = self.run(_PROBE).stdout.split()
        who = next((word.removeprefix("user=") for word in said if word.startswith("user=")), "this user")
        if not any(word.startswith("user=") for word in said):
            raise OperatorError(
                f"{self} lets us in, but its shell does not answer as a POSIX shell.",
                hint=f"Look at what it says: ssh {self} id",
                exit_code=BLOCKED,
            )
        if "no-python" in said:
            raise OperatorError(
                f"{self} has no python3, which Ansible needs.",
                hint="Install it there: sudo apt-get install -y python3",
                exit_code=BLOCKED,
            )
        if "no-sudo" in said:
            raise OperatorError(
                f"{self} has no sudo, and {who} is not root.",
                hint=f"Install it there as root: apt-get install -y sudo && usermod -aG sudo {who}; or deploy as root.",
                exit_code=BLOCKED,
            )
        if "sudo-asks" in said:
            raise OperatorError(
                f"sudo on {self} asks {who} for a password, or does not let {who} at all.",
                hint=f"Let it, as root there: echo '{who} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-{who}",
                exit_code=BLOCKED,
            )
        return replace(self, is_root="root" in said)

    def inventory(self) -> dict[str, Any]:
        """Return the host as Ansible's inventory knows it."""
        # The system's own Python: apt's modules are for no other.
        facts: dict[str, Any] = {"ansible_python_interpreter": "/usr/bin/python3"}
        if self.is_root:
            facts["ansible_become"] = False
        if self.is_local:
            return {"all": {"hosts": {"localhost": {"ansible_connection": "local", **facts}}}}
        facts["ansible_ssh_common_args"] = shlex.join(self.ssh_options())
        wanted = {"ansible_user": self.user, "ansible_port": self.port}
        facts |= {name: value for name, value in wanted.items() if value is not None}
        return {"all": {"hosts": {self.host: facts}}}


def _key(words: str | None) -> Path | None:
    if not words:
        return None
    path = Path(words).expanduser().absolute()
    if not path.is_file():
        raise OperatorError(
            f"The SSH key {path} is not there.", hint="Correct --key (or SSH_KEY), or leave it out.", exit_code=USAGE
        )
    return path


def remote_hint(target: Target, words: Sequence[str]) -> str:
    """Return the command with which a person runs `words` on the host."""
    joined = " ".join(words)
    return (
        joined
        if target.is_local
        else f"ssh {'-p ' + str(target.port) + ' ' if target.port else ''}"
        + (
            f"{target.user}@{target.host} {shlex.quote(joined)}"
            if target.user
            else f"{target.host} {shlex.quote(joined)}"
        )
    )
