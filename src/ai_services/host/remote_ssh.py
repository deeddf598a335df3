"""An SSH connection by paramiko on OpenSSH's own terms: the same configuration, the same keys, the same known hosts."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.ssh_errors import explain
from ai_services.host.target import CONNECT_TIMEOUT_S, Target

if TYPE_CHECKING:
    import paramiko

KEEPALIVE_S: Final = 15
# How long sent data may stay without an answer before the way is taken for dead.
_DEAD_AFTER_S: Final = 60


@dataclass(frozen=True)
class Way:
    """How OpenSSH would go to a host, as `ssh -G` tells it."""

    host: str
    port: int
    user: str
    name: str
    proxy: str = ""
    keys: tuple[Path, ...] = ()
    agent: bool = True
    known_hosts: tuple[Path, ...] = field(default_factory=tuple)

    @property
    def known_as(self) -> str:
        """The name under which known hosts have it."""
        return self.name if self.port == 22 else f"[{self.name}]:{self.port}"


class Unsuited(Exception):  # noqa: N818 -- no error: ssh itself may manage what paramiko cannot
    """Paramiko does not get in; the reason in words."""


def way_to(target: Target) -> Way:
    """Ask ssh how it would go to `target`: aliases, jump hosts, keys, whatever ~/.ssh/config says.

    Raises:
        OperatorError: there is no ssh here, or its configuration is broken.
    """
    if shutil.which("ssh") is None:
        raise OperatorError(
            "There is no ssh on this machine.", hint="Install it: sudo apt install openssh-client", exit_code=BLOCKED
        )
    place = [*(["-p", str(target.port)] if target.port else []), *(["-l", target.user] if target.user else [])]
    done = subprocess.run(
        ["ssh", "-G", *place, "--", target.host], capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise explain(done.stderr, target)
    said: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        word, _, value = line.partition(" ")
        said.setdefault(word.lower(), []).append(value)

    def one(word: str, default: str = "") -> str:
        value = said.get(word, [default])[0]
        return "" if value == "none" else value

    host, port, user = one("hostname", target.host), int(one("port", "22")), one("user")
    proxy = one("proxycommand")
    if not proxy and (jump := one("proxyjump")):
        # As ssh itself does it; the last of several jumps is reached through the others.
        *before, last = jump.split(",")
        through = f"-J {','.join(before)} " if before else ""
        proxy = f"ssh {through}-o BatchMode=yes -W [%h]:%p {_as_host(last)}"
    for letter, value in (("%h", host), ("%p", str(port)), ("%r", user), ("%n", target.host), ("%%", "%")):
        proxy = proxy.replace(letter, value)
    files = one("globalknownhostsfile").split()
    if target.known_hosts:
        own = [str(target.known_hosts.file), "~/.ssh/known_hosts", "~/.ssh/known_hosts2"]
    else:
        own = one("userknownhostsfile").split()
    keys = [target.key] if target.key else [_path(text) for text in said.get("identityfile", ())]
    return Way(
        host=host,
        port=port,
        user=user,
        name=one("hostkeyalias") or host,
        proxy=proxy,
        keys=tuple(key for key in keys if key and key.is_file()),
        agent=target.key is None and one("identitiesonly") != "yes",
        known_hosts=tuple(_path(text) for text in [*own, *files]),
    )


def _as_host(jump: str) -> str:
    """Return USER@HOST:PORT as words for ssh: `-p PORT USER@HOST`."""
    host, colon, port = jump.rpartition(":")
    return f"-p {port} {host}" if colon and port.isdigit() and not host.endswith(":") else jump


def _path(text: str) -> Path:
    # ssh takes the home directory from the password file, whatever HOME says.
    return Path(text.replace("~", pwd.getpwuid(os.geteuid()).pw_dir, 1) if text.startswith("~/") else text)


def known_keys(way: Way) -> list[tuple[str, str]]:
    """Return (kind, base64) of each key that is known for the host; hashed names and patterns as OpenSSH reads them.

    A revoked key is none.
    """
    keys: list[tuple[str, str]] = []
    revoked: set[str] = set()
    for file in way.known_hosts:
        if not file.is_file():
            continue
        done = subprocess.run(
            ["ssh-keygen", "-F", way.known_as, "-f", str(file)],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            words = line.split()
            if line.startswith("#") or len(words) < 3:
                continue
            if words[0].startswith("@"):
                if words[0] == "@revoked" and len(words) > 3:
                    revoked.add(words[3])
                continue
            keys.append((words[1], words[2]))
    return [key for key in keys if key[1] not in revoked]


def connect(target: Target) -> paramiko.SSHClient:
    """Log in. The host's key must be known; nothing is taken on trust.

    Raises:
        Unsuited: it is not for paramiko (a hardware key, a certificate authority, …): ssh itself may get in.
        OperatorError: the host cannot be reached, or has another key than is known.
    """
    import paramiko

    way = way_to(target)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    for kind, blob in known_keys(way):
        with contextlib.suppress(Exception):  # of a kind that paramiko does not know
            key = paramiko.PKey.from_type_string(kind, _decoded(blob))
            client.get_host_keys().add(way.known_as, kind, key)
    sock = _socket(way, target)
    try:
        client.connect(
            way.name, way.port, way.user, sock=sock,
            key_filename=[str(key) for key in way.keys],  # type: ignore[arg-type]  # a list is right, its stub is not
            allow_agent=way.agent, look_for_keys=False,
            timeout=CONNECT_TIMEOUT_S, banner_timeout=CONNECT_TIMEOUT_S, auth_timeout=3 * CONNECT_TIMEOUT_S,
        )  # fmt: skip
    except paramiko.BadHostKeyException:
        sock.close()
        raise explain("REMOTE HOST IDENTIFICATION HAS CHANGED", target) from None
    except (paramiko.SSHException, ValueError) as error:
        client.close()
        sock.close()
        raise Unsuited(f"{type(error).__name__}: {error}") from None
    except (OSError, EOFError) as error:
        client.close()
        sock.close()
        raise explain(f"Connection reset: {error}", target) from None
    except BaseException:
        client.close()
        sock.close()
        raise
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(KEEPALIVE_S)
    return client


def _decoded(blob: str) -> bytes:
    import base64

    return base64.b64decode(blob)


def _socket(way: Way, target: Target) -> socket.socket:
    if way.proxy:
        return _through(way.proxy)
    try:
        sock = socket.create_connection((way.host, way.port), timeout=CONNECT_TIMEOUT_S)
    except socket.gaierror:
        raise explain("Could not resolve hostname", target) from None
    except OSError as error:
        raise explain(str(error.strerror or error), target) from None
    for option, value in _liveness():
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
    return sock


def _liveness() -> Iterator[tuple[int, int]]:
    # Paramiko sends keepalives and never looks for their answers; the kernel does, where it can be told to.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        yield socket.TCP_USER_TIMEOUT, _DEAD_AFTER_S * 1000


def _through(command: str) -> socket.socket:
    """Start a ProxyCommand and return the socket that it speaks through."""
    ours, theirs = socket.socketpair()
    with theirs:
        # It is a shell's command by OpenSSH's own definition, and the person's own configuration has it.
        words = ["sh", "-c", f"exec {command}"]
        subprocess.Popen(
            words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.DEVNULL, start_new_session=True
        )
    return ours
