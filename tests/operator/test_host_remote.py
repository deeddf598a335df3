"""A session on a host, with a real sshd on a free port: its key, our keys, commands, files, and what may go wrong."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
from support.sshd import sshd

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import remote as remote_module
from ai_services.host.known_hosts import KnownHosts
from ai_services.host.remote import CommandError, LateError, LostError, Remote
from ai_services.host.ssh_errors import UnknownHostKeyError
from ai_services.host.target import Target
from ai_services.local.ports import free_port

USER = pwd.getpwuid(os.geteuid()).pw_name

pytestmark = pytest.mark.xdist_group("sshd")


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
            session.kill()


def _make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", path], check=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sshd")
    folder.chmod(0o700)
    for kind in ("ed25519", "rsa"):
        _make_key(folder / f"host_{kind}", kind)
    for name in ("client", "stranger"):
        _make_key(folder / name)
    _make_key(folder / "locked", passphrase="secret")
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
        _make_key(tmp_path / "another")
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
        _make_key(tmp_path / "authority")
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


@pytest.fixture(params=["there", "here"])
def either(request: pytest.FixtureRequest) -> Iterator[Remote]:
    """A session over SSH, and one on this very machine: they behave alike."""
    if request.param == "there":
        yield request.getfixturevalue("remote")
    else:
        with Remote.open(Target("localhost")) as opened:
            yield opened


class TestCommands:
    def test_status_and_both_streams(self, either: Remote) -> None:
        done = either.run("cat; echo trouble >&2; exit 7", stdin=b"\x00\xff" * 300_000)
        assert (done.status, done.out == b"\x00\xff" * 300_000, done.reason) == (7, True, "trouble")

    def test_much_of_everything_at_once(self, either: Remote) -> None:
        """Nobody waits for the other: stdin unread, stdout and stderr full."""
        done = either.run(
            "head -c 5000000 /dev/zero; head -c 5000000 /dev/zero >&2; cat | wc -c", stdin=b"x" * 4_000_000
        )
        assert done.out[5_000_000:].strip() == b"4000000"
        assert len(done.err) >= 1_000_000

    def test_a_command_that_does_not_read(self, either: Remote) -> None:
        assert either.run("exit 4", stdin=b"x" * 4_000_000).status == 4

    def test_too_much_is_cut(self, either: Remote) -> None:
        done = either.run("head -c 3000000 /dev/zero", limit_bytes=1000)
        assert (done.status, len(done.out), done.is_cut) == (0, 1000, True)

    def test_one_that_hangs_is_ended_there_too(
        self, either: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(remote_module, "_GRACE_S", 0)
        begun = tmp_path / "pid"
        os.mkfifo(begun)
        pids: list[int] = []
        reader = threading.Thread(target=lambda: pids.append(int(begun.read_text())))
        reader.start()
        with pytest.raises(LateError, match=r"did not end within 1 s .*sleep 3600"):
            either.run(f"echo $$ > {begun}; exec sleep 3600", timeout_s=0.8)
        reader.join()
        wait_for_end(pids[0])
        assert either.run("echo still").text == "still\n"

    def test_several_at_once(self, either: Remote) -> None:
        said: dict[int, str] = {}
        threads = [
            threading.Thread(target=lambda n=n: said.update({n: either.run(f"cat; echo {n}", stdin=b"n").text}))
            for n in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == {n: f"n{n}\n" for n in range(6)}

    def test_lines_come_as_they_are_written(self, either: Remote, tmp_path: Path) -> None:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        lines = either.lines(f"echo one; cat {gate}; printf three; exit 5")
        assert next(lines) == "one"
        gate.write_text("two\n")
        assert next(lines) == "two"
        assert next(lines) == "three"
        with pytest.raises(CommandError) as caught:
            next(lines)
        assert caught.value.done.status == 5

    def test_a_stream_that_is_left_ends_its_command(self, either: Remote) -> None:
        lines = either.lines("echo $$; yes")
        pid = int(next(lines))
        lines.close()  # type: ignore[attr-defined]
        wait_for_end(pid)

    def test_any_login_shell_and_any_quote(self, either: Remote) -> None:
        assert either.run('echo "it\'s" \'$HOME\' `echo b` \\\\ ; [ -n "$0" ]').text == "it's $HOME b \\\n"


class TestFiles:
    def test_there_and_back(self, either: Remote, tmp_path: Path) -> None:
        content = os.urandom(3_000_000)
        path = tmp_path / "a b'c"
        either.put(content, str(path), 0o640)
        assert (path.read_bytes() == content, path.stat().st_mode & 0o777) == (True, 0o640)
        assert b"".join(either.get(str(path))) == content
        assert [one.name for one in tmp_path.iterdir() if one.is_file()] == ["a b'c"]

    def test_where_no_file_can_be(self, either: Remote, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=r"write .*/no/file"):
            either.put(b"x", str(tmp_path / "no" / "file"))
        with pytest.raises(CommandError, match="No such file"):
            b"".join(either.get(str(tmp_path / "nothing")))

    def test_streams(self, either: Remote) -> None:
        out = io.BytesIO()
        assert either.pipe_out("head -c 2000000 /dev/zero; exit 2", out).status == 2
        assert len(out.getvalue()) == 2_000_000
        assert either.pipe_in("wc -c", io.BytesIO(bytes(2_000_000))).text.strip() == "2000000"


class TestRoot:
    """`root=True`: by sudo where we are not root, without a password or not at all."""

    @pytest.fixture
    def somebody(self, server: Server) -> Iterator[Callable[[str], None]]:
        """The host's commands see another user than root, and this `sudo`."""

        def become(sudo: str) -> None:
            for name, text in (("id", "echo 1000"), ("sudo", sudo)):
                (server.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
                (server.folder / "bin" / name).chmod(0o755)

        yield become
        for file in (server.folder / "bin").iterdir():
            file.unlink()

    def test_without_a_password(self, remote: Remote, somebody: Callable[[str], None]) -> None:
        somebody('[ "$1 $2" = "-n --" ] || exit 9; shift 2; BY=sudo exec "$@"')
        assert remote.run("echo by $BY").text == "by\n"
        assert remote.run("echo by $BY; cat", root=True, stdin=b"'in'").text == "by sudo\n'in'"

    def test_with_a_password(self, remote: Remote, somebody: Callable[[str], None]) -> None:
        somebody("echo 'sudo: a password is required' >&2; exit 1")
        with pytest.raises(OperatorError, match="asks for a password") as caught:
            remote.run("true", root=True)
        assert "NOPASSWD" in caught.value.hint

    @pytest.mark.skipif(os.geteuid() != 0, reason="this account is not root")
    def test_root_needs_no_sudo(self, either: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
        assert either.run("id -u", root=True).text == "0\n"


class TestLost:
    def test_in_the_middle_of_a_command(self, remote: Remote, server: Server) -> None:
        lines = remote.lines("echo begun; exec sleep 3600")
        assert next(lines) == "begun"
        server.hang_up()
        with pytest.raises(LostError, match="was lost"):
            next(lines)
        with pytest.raises(LostError):
            remote.run("true")

    def test_a_file_that_came_half_is_no_file(self, remote: Remote, server: Server, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_text("before")
        gate = tmp_path / "gate"
        os.mkfifo(gate)

        class Slow(io.BytesIO):
            def read(self, _: int | None = -1) -> bytes:
                if self.tell():
                    gate.read_text()
                    server.hang_up()
                    return b""
                return super().read(10)

        # What `put` does, with an input that stops: the command finds too little.
        with pytest.raises(LostError):
            remote.pipe_in(
                f'echo > {gate}; t={path}.new; cat > "$t" && [ "$(wc -c < "$t")" -eq 20 ] && mv "$t" {path}; sleep 99',
                Slow(b"x" * 20),
            )
        assert path.read_text() == "before"
