"""A real sshd on a free port, and a session on it, for the tests of sessions on hosts."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from ai_services.host.known_hosts import KnownHosts
from ai_services.host.remote import Remote
from ai_services.host.target import Target
from ai_services.local.ports import free_port
from support.sshd import sshd

USER = pwd.getpwuid(os.geteuid()).pw_name


@dataclass
class Server:
    """A running sshd: where it listens, and whose keys it knows."""

    folder: Path
    port: int
    process: psutil.Popen

    def public_key(self, kind: str = "ed25519") -> str:
        return " ".join((self.folder / f"host_{kind}.pub").read_text().split()[:2])

    def target(self, known: Path, key: str = "client") -> Target:
        return Target("127.0.0.1", USER, self.port, self.folder / key, KnownHosts(known))

    def hang_up(self) -> None:
        """End every session, and nothing else."""
        for session in self.process.children(recursive=True):
            # The end of one is the end of others.
            with contextlib.suppress(psutil.NoSuchProcess):
                session.kill()


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    for kind in ("ed25519", "rsa"):
        make_key(folder / f"host_{kind}", kind)
    for name in ("client", "stranger"):
        make_key(folder / name)
    make_key(folder / "locked", passphrase="secret")
    keys = [(folder / f"{name}.pub").read_text() for name in ("client", "locked")]
    (folder / "authorized").write_text("".join(keys))
    (folder / "bin").mkdir()
    port = free_port()
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_ed25519\nHostKey {folder}/host_rsa\n"
        f"AuthorizedKeysFile {folder}/authorized\nPidFile none\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nPermitRootLogin yes\nLogLevel VERBOSE\n"
        f"SetEnv PATH={folder}/bin:/usr/local/bin:/usr/bin:/bin\n"
    )
    real = sshd(folder)
    process = psutil.Popen(
        [real.program, "-D", "-e", "-f", str(folder / "config")], env=os.environ | real.environment,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr
    said = ""
    while "Server listening" not in said:
        line = process.stderr.readline()
        assert line, f"sshd ended: {said}"
        said += line
    threading.Thread(target=process.stderr.read, daemon=True).start()
    yield Server(folder, port, process)
    for one in [*process.children(recursive=True), process]:
        one.kill()
    process.wait()


@pytest.fixture
def known(server: Server, tmp_path: Path) -> Path:
    """A list of known hosts that has the server's key."""
    file = tmp_path / "home" / "known_hosts"
    file.parent.mkdir()
    file.write_text(f"[127.0.0.1]:{server.port} {server.public_key()}\n")
    return file


@pytest.fixture
def remote(server: Server, known: Path) -> Iterator[Remote]:
    with Remote.open(server.target(known)) as opened:
        yield opened


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Give ssh a configuration of this test's own in place of ~/.ssh/config, which it finds whatever HOME says."""
    real = shutil.which("ssh")

    def configure(text: str) -> None:
        config, shim = tmp_path / "ssh_config", tmp_path / "shim" / "ssh"
        shim.parent.mkdir()
        config.write_text(text)
        shim.write_text(f'#!/bin/sh\nexec {real} -F {config} "$@"\n')
        shim.chmod(0o755)
        monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")

    return configure


@pytest.fixture(params=["there", "here"])
def either(request: pytest.FixtureRequest) -> Iterator[Remote]:
    """A session over SSH, and one on this very machine: they behave alike."""
    if request.param == "there":
        yield request.getfixturevalue("remote")
    else:
        with Remote.open(Target("localhost")) as opened:
            yield opened
