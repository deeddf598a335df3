"""A session on a host, with a real sshd on a free port: its key, our keys, and the way there."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from support.ssh_server import Server, configure, known, make_key, remote, server

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.known_hosts import KnownHosts
from ai_services.host.remote import Remote
from ai_services.host.ssh_errors import UnknownHostKeyError
from ai_services.host.target import Target
from ai_services.local.ports import free_port

USER = pwd.getpwuid(os.geteuid()).pw_name

__all__ = ["configure", "known", "remote", "server"]
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("sshd")]


class TestWhoseKey:
    """The host's key is known, or nothing is said to it."""

    def test_by_paramiko_and_not_by_ssh(self, remote: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        assert remote.run("echo here").out == b"here\n"

    @pytest.mark.parametrize("kind", ["ed25519", "rsa"])
    def test_each_kind_of_key_that_is_known(self, server: Server, tmp_path: Path, kind: str) -> None:
        file = tmp_path / "known"
        file.write_text(f"[127.0.0.1]:{server.port} {server.public_key(kind)}\n")
        with Remote.open(server.target(file)) as opened:
            assert opened._client is not None, "it was paramiko's own doing"

    def test_hashed_names(self, server: Server, known: Path) -> None:
        subprocess.run(["ssh-keygen", "-q", "-H", "-f", known], check=True, capture_output=True)
        assert "127.0.0.1" not in known.read_text()
        with Remote.open(server.target(known)) as opened:
            assert opened._client is not None

    def test_an_unknown_one(self, server: Server, tmp_path: Path) -> None:
        with pytest.raises(UnknownHostKeyError, match="is not known"):
            Remote.open(server.target(tmp_path / "nothing"))

    def test_a_changed_one(self, server: Server, known: Path, tmp_path: Path) -> None:
        make_key(tmp_path / "another")
        blob = " ".join((tmp_path / "another.pub").read_text().split()[:2])
        known.write_text(f"[127.0.0.1]:{server.port} {blob}\n")
        with pytest.raises(OperatorError, match="another SSH key than before") as caught:
            Remote.open(server.target(known))
        assert caught.value.exit_code == BLOCKED

    def test_a_revoked_one(self, server: Server, known: Path) -> None:
        known.write_text(f"{known.read_text()}@revoked * {server.public_key()}\n")
        with pytest.raises(OperatorError):
            Remote.open(server.target(known))


class TestOurKeys:
    def test_a_key_that_does_not_fit(self, server: Server, known: Path) -> None:
        with pytest.raises(OperatorError, match=f"does not let {USER} in") as caught:
            Remote.open(server.target(known, "stranger"))
        assert "--key FILE" in caught.value.hint

    def test_a_locked_one_is_unlocked_by_the_agent(
        self, server: Server, known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        with pytest.raises(OperatorError):
            Remote.open(server.target(known, "locked"))
        ask = tmp_path / "ask"
        ask.write_text("#!/bin/sh\necho secret\n")
        ask.chmod(0o755)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", tmp_path / "agent"], stdout=subprocess.PIPE)
        try:
            assert agent.stdout
            agent.stdout.readline()
            environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
            subprocess.run(["ssh-add", "-q", server.folder / "locked"], env=environment, check=True)
            with Remote.open(server.target(known, "locked")) as opened:
                assert opened.run("echo in").text == "in\n"
            with Remote.open(replace(server.target(known), key=None)) as opened:
                assert opened._client is not None, "paramiko asked the agent"
                assert opened.run("echo in").text == "in\n"
        finally:
            agent.kill()
            agent.wait()


class TestTheWay:
    """What ~/.ssh/config says counts here as for ssh."""

    def test_an_alias(self, server: Server, known: Path, configure: Callable[[str], None]) -> None:
        configure(
            f"Host gpu\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n IdentityFile {server.folder}/client\n"
        )
        with Remote.open(Target("gpu", known_hosts=KnownHosts(known))) as opened:
            assert opened._client is not None
            assert opened.run("echo $SSH_CONNECTION").text.split()[3] == str(server.port)

    @pytest.mark.parametrize(
        "way", ["ProxyJump {user}@localhost:{port}", "ProxyCommand ssh -p {port} -W %h:%p {user}@localhost"]
    )
    def test_through_another_host(
        self, server: Server, known: Path, configure: Callable[[str], None], way: str
    ) -> None:
        common = f"IdentityFile {server.folder}/client\nIdentitiesOnly yes\nUserKnownHostsFile {known}\n"
        through = way.format(user=USER, port=server.port)
        configure(
            f"Host inner\n HostName 127.0.0.1\n Port {server.port}\n User {USER}\n HostKeyAlias behind\n {through}\n"
            f"Host *\n {common}"
        )
        names = f"[behind]:{server.port},[localhost]:{server.port}"
        known.write_text(f"{known.read_text()}{names} {server.public_key()}\n")
        with Remote.open(Target("inner", key=server.folder / "client", known_hosts=KnownHosts(known))) as opened:
            assert opened._client is not None
            assert opened.run("echo there").text == "there\n"

    def test_nobody_listens(self, server: Server, known: Path) -> None:
        with pytest.raises(OperatorError, match="no SSH server listens"):
            Remote.open(replace(server.target(known), port=free_port()))

    def test_a_name_of_nothing(self, known: Path) -> None:
        with pytest.raises(OperatorError, match="leads to no address"):
            Remote.open(Target("no-such-host.invalid", known_hosts=KnownHosts(known)))

    def test_what_paramiko_cannot_do_ssh_does(
        self, server: Server, known: Path, configure: Callable[[str], None], tmp_path: Path
    ) -> None:
        """A certificate authority vouches for the host's key: for paramiko the key is unknown."""
        make_key(tmp_path / "authority")
        public = server.folder / "host_ed25519.pub"
        subprocess.run(
            ["ssh-keygen", "-q", "-s", tmp_path / "authority", "-h", "-I", "host", "-n", "127.0.0.1", public],
            check=True,
        )
        certificate = server.folder / "host_ed25519-cert.pub"
        with (server.folder / "config").open("a") as config:
            config.write(f"HostCertificate {certificate}\n")
        server.process.send_signal(1)
        try:
            known.write_text(f"@cert-authority [127.0.0.1]:{server.port} {(tmp_path / 'authority.pub').read_text()}")
            wait_for_port(server)
            with Remote.open(server.target(known)) as opened:
                assert opened._client is None
                assert opened.run("cat; exit 3", stdin=b"x").status == 3
                assert b"".join(opened.get("/proc/version")) == Path("/proc/version").read_bytes()
        finally:
            text = (server.folder / "config").read_text()
            (server.folder / "config").write_text(text.replace(f"HostCertificate {certificate}\n", ""))
            server.process.send_signal(1)
            wait_for_port(server)


def wait_for_port(server: Server) -> None:
    """A keyscan answers only when sshd is there again after its SIGHUP."""
    subprocess.run(
        [
            "timeout",
            "20",
            "sh",
            "-c",
            f"until ssh-keyscan -p {server.port} 127.0.0.1 2>/dev/null | grep -q .; do :; done",
        ],
        check=True,
    )


def wait_for_end(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=60)
