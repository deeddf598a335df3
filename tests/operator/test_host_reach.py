"""The way to a host: how it is named, what SSH says in words, and whose key it is."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai_services.cli import app
from ai_services.console import Screen
from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.host import connect, known_hosts
from ai_services.host.known_hosts import HostKey, KnownHosts
from ai_services.host.ssh_errors import NotYetError, UnknownHostKeyError, explain
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

    def test_a_whole_key_is_enough_where_nobody_can_be_asked(
        self, key: HostKey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Behind a jump host: ssh itself compares."""
        monkeypatch.setattr(known_hosts, "scan", lambda *_: [])
        known = KnownHosts(tmp_path / "known_hosts")
        known_hosts.accept(known, "gpu-1", None, pinned=f"{key.kind} {key.blob}", ask=None)
        assert known.file.read_text() == f"gpu-1 {key.kind} {key.blob}\n"
        with pytest.raises(NotYetError, match="does not show its SSH key"):
            known_hosts.accept(known, "gpu-1", None, pinned=key.fingerprint, ask=None)

    def test_keys_learned_side_by_side_are_all_kept(self, key: HostKey, tmp_path: Path) -> None:
        """As when Terraform deploys several hosts at once."""
        known = KnownHosts(tmp_path / "known_hosts")
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: known.replace(f"gpu-{number}", key), range(40)))
        assert len(known.file.read_text().splitlines()) == 40


class TestWaiting:
    """`--wait-s`: a machine that is still starting is tried again; who shows another key is not."""

    # What ssh says at the 1st, 2nd, … try; then the host lets us in.
    SSH = """#!/bin/sh
case $* in *-G*) exit 0 ;; esac
tries=$(($(cat {folder}/tries 2>/dev/null || echo 0) + 1))
echo $tries >{folder}/tries
said=$(sed -n "${{tries}}p" {folder}/said)
[ -z "$said" ] || {{ echo "$said" >&2; exit 255; }}
echo user=deployer
"""
    REFUSED = "ssh: connect to host gpu-1 port 22: Connection refused"
    DENIED = "deployer@gpu-1: Permission denied (publickey)."
    CHANGED = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @"

    @pytest.fixture
    def reach(self, clean: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Target]:
        def reach(*said: str, wait_s: float) -> Target:
            program = clean / "bin" / "ssh"
            program.parent.mkdir()
            program.write_text(self.SSH.format(folder=clean))
            program.chmod(0o755)
            (clean / "said").write_text("".join(f"{line}\n" for line in said))
            monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
            monkeypatch.setattr(connect, "_PAUSE_S", 0.01)
            return connect.reach(Target("gpu-1", "deployer"), Screen(), host_key=None, wait_s=wait_s)

        return reach

    def test_until_it_lets_us_in(
        self, reach: Callable[..., Target], clean: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        reach(self.REFUSED, self.REFUSED, self.DENIED, wait_s=600)
        assert (clean / "tries").read_text() == "4\n"
        said = capsys.readouterr().out
        assert said.count("no SSH server listens") == 1, "the same reason is not said at every try"
        assert "does not let deployer in" in said
        assert "✔ deployer@gpu-1 answers, after" in said

    def test_without_it_nothing_is_tried_again(self, reach: Callable[..., Target], clean: Path) -> None:
        with pytest.raises(NotYetError):
            reach(self.REFUSED, wait_s=0)
        assert (clean / "tries").read_text() == "1\n"

    def test_another_key_is_refused_at_once(self, reach: Callable[..., Target], clean: Path) -> None:
        with pytest.raises(OperatorError, match="another SSH key"):
            reach(self.REFUSED, self.CHANGED, wait_s=600)
        assert (clean / "tries").read_text() == "2\n"

    def test_in_the_end_it_is_said_what_kept_it_away(self, reach: Callable[..., Target]) -> None:
        with pytest.raises(
            OperatorError, match=r"did not let us in within 0\.[0-9] s\. .* no SSH server listens"
        ) as caught:
            reach(*[self.REFUSED] * 1000, wait_s=0.2)
        assert caught.value.exit_code == BLOCKED
        assert "systemctl enable --now ssh" in caught.value.hint
