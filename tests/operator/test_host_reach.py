"""The way to a host: how it is named, what SSH says in words, and whose key it is."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai_services.cli import app
from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.host import known_hosts
from ai_services.host.known_hosts import HostKey, KnownHosts
from ai_services.host.ssh_errors import UnknownHostKeyError, explain
from ai_services.host.target import Target


class TestTarget:
    @pytest.mark.parametrize(
        ("words", "parts"),
        [
            ("gpu-1", ("gpu-1", None, None)),
            ("192.168.20.30", ("192.168.20.30", None, None)),
            ("deployer@gpu-1.example.com:2222", ("gpu-1.example.com", "deployer", 2222)),
            ("[2001:db8::1]:22", ("2001:db8::1", None, 22)),
            ("2001:db8::1", ("2001:db8::1", None, None)),
            ("root@[fe80::1]", ("fe80::1", "root", None)),
        ],
    )
    def test_as_people_name_it(self, words: str, parts: tuple[str, str | None, int | None], clean: Path) -> None:
        target = Target.parse(words)
        assert (target.host, target.user, target.port) == parts
        assert not target.is_local

    @pytest.mark.parametrize("words", ["", "a b", "-oProxyCommand=x", "a@b@c", "host:0", "host:99999", "h;rm", "user@"])
    def test_what_is_none(self, words: str, clean: Path) -> None:
        with pytest.raises(OperatorError) as caught:
            Target.parse(words)
        assert caught.value.exit_code == USAGE

    def test_the_seeds_environment(self, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (clean / "key").touch()
        monkeypatch.setenv("SSH_USER", "deployer")
        monkeypatch.setenv("SSH_KEY", "key")
        target = Target.parse("gpu-1")
        assert (target.user, target.key) == ("deployer", clean / "key")
        with pytest.raises(OperatorError, match="Two users"):
            Target.parse("root@gpu-1", user="deployer")

    def test_a_key_that_is_not_there(self, clean: Path) -> None:
        done = CliRunner().invoke(app, ["deploy", "gpu-1", "--key", "nowhere"])
        assert (done.exit_code, "nowhere is not there" in done.stderr) == (USAGE, True)


class TestWhatSshSays:
    """Each in one sentence with the next step."""

    @pytest.mark.parametrize(
        ("said", "message", "hint"),
        [
            ("Host key verification failed.", "is not known", "--host-key"),
            ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "has another SSH key", "ssh-keygen -R gpu-1"),
            ("deployer@gpu-1: Permission denied (publickey).", "does not let deployer in", "ssh-copy-id"),
            ("ssh: Could not resolve hostname gpu-1: Name or service not known", "leads to no address", "Correct"),
            ("ssh: connect to host gpu-1 port 22: Connection refused", "no SSH server listens", "HOST:PORT"),
            ("ssh: connect to host gpu-1 port 22: Connection timed out", "nothing answers", "ping gpu-1"),
            ("WARNING: UNPROTECTED PRIVATE KEY FILE!\nPermission denied", "others can read it", "chmod 600"),
            ("kex_exchange_identification: Connection closed by remote host", "ended the SSH connection", "journalctl"),
            ("something new", "it said: something new", "ssh deployer@gpu-1 true"),
        ],
    )
    def test_one_sentence(self, said: str, message: str, hint: str) -> None:
        error = explain(said, Target("gpu-1", "deployer"))
        assert message in error.message
        assert hint in error.hint
        assert error.exit_code == BLOCKED

    def test_nobody_listens(self, clean: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        done = CliRunner().invoke(app, ["deploy", f"127.0.0.1:{port}"])
        assert done.exit_code == BLOCKED
        assert f"no SSH server listens there on port {port}" in done.stderr

    def test_something_else_listens(self, clean: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:

            def greet() -> None:
                taken, _ = listener.accept()
                taken.sendall(b"220 mail.example.com ESMTP\r\n")
                taken.close()

            threading.Thread(target=greet, daemon=True).start()
            done = CliRunner().invoke(app, ["deploy", f"127.0.0.1:{listener.getsockname()[1]}"])
        assert done.exit_code == BLOCKED
        assert len(done.stderr.strip().splitlines()) == 2, "one sentence and the next step"

    @pytest.mark.parametrize(
        ("answers", "said"),
        [
            ("no-python user=x", "has no python3"),
            ("no-sudo user=x", "has no sudo, and x is not root"),
            ("sudo-asks user=x", "asks x for a password"),
            ("", "does not answer as a POSIX shell"),
        ],
    )
    def test_what_a_host_may_lack(self, answers: str, said: str, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program = clean / "bin" / "ssh"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\nprintf '%s\\n' {answers}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        done = CliRunner().invoke(app, ["deploy", "gpu-1"])
        assert done.exit_code == BLOCKED
        assert said in done.stderr


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
class TestHostKeys:
    """Never blind trust: a key is pinned, or a person agrees to its fingerprint."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> HostKey:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "hostkey"], check=True)
        kind, blob = (tmp_path / "hostkey.pub").read_text().split()[:2]
        return HostKey(kind, blob)

    @pytest.fixture
    def offered(self, key: HostKey, monkeypatch: pytest.MonkeyPatch) -> HostKey:
        monkeypatch.setattr(known_hosts, "scan", lambda *_: [key])
        return key

    def test_the_fingerprint_is_ssh_keygens(self, key: HostKey, tmp_path: Path) -> None:
        said = subprocess.run(
            ["ssh-keygen", "-lf", tmp_path / "hostkey.pub"], capture_output=True, text=True, check=True
        )
        assert key.fingerprint in said.stdout

    @pytest.mark.parametrize("whole", [False, True])
    def test_the_pinned_one_is_remembered(self, offered: HostKey, tmp_path: Path, whole: bool) -> None:
        known = KnownHosts(tmp_path / "home" / "known_hosts")
        pinned = f"{offered.kind} {offered.blob} root@gpu-1" if whole else offered.fingerprint
        known_hosts.accept(known, "gpu-1", 2222, pinned=pinned, ask=None)
        known_hosts.accept(known, "gpu-1", 2222, pinned=pinned, ask=None)
        assert known.file.read_text() == f"[gpu-1]:2222 {offered.kind} {offered.blob}\n"
        assert stat.S_IMODE(known.file.stat().st_mode) == 0o600

    def test_another_than_the_pinned_one(self, offered: HostKey, tmp_path: Path) -> None:
        known = KnownHosts(tmp_path / "known_hosts")
        with pytest.raises(OperatorError, match="has another key than the one given by --host-key"):
            known_hosts.accept(known, "gpu-1", None, pinned="SHA256:" + "A" * 43, ask=None)
        assert not known.file.exists()

    def test_a_person_is_asked(self, offered: HostKey, tmp_path: Path) -> None:
        known = KnownHosts(tmp_path / "known_hosts")
        asked: list[HostKey] = []

        def refuse(key: HostKey) -> bool:
            asked.append(key)
            return False

        with pytest.raises(OperatorError, match=f"{offered.kind} SHA256:"):
            known_hosts.accept(known, "gpu-1", None, pinned=None, ask=refuse)
        assert asked == [offered]
        assert not known.file.exists()
        known_hosts.accept(known, "gpu-1", None, pinned=None, ask=lambda _: True)
        assert known.file.read_text().startswith("gpu-1 ssh-ed25519 ")

    def test_nobody_is_there_to_agree(self, offered: HostKey, tmp_path: Path) -> None:
        with pytest.raises(OperatorError) as caught:
            known_hosts.accept(KnownHosts(tmp_path / "k"), "gpu-1", None, pinned=None, ask=None)
        assert f"pin it: --host-key {offered.fingerprint}" in caught.value.hint

    def test_no_fingerprint_at_all(self, offered: HostKey, tmp_path: Path) -> None:
        with pytest.raises(OperatorError) as caught:
            known_hosts.accept(KnownHosts(tmp_path / "k"), "gpu-1", None, pinned="yes", ask=None)
        assert caught.value.exit_code == USAGE

    def test_an_unknown_key_is_no_other_error(self) -> None:
        assert isinstance(explain("Host key verification failed.", Target("h")), UnknownHostKeyError)
