"""A session on a host, with a real sshd on a free port: commands, files, and what may go wrong."""

from __future__ import annotations

import contextlib
import io
import os
import pwd
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from support.ssh_server import Server, either, known, remote, server

from ai_services.exits import OperatorError
from ai_services.host import remote as remote_module
from ai_services.host.remote import CommandError, LateError, LostError, Remote

USER = pwd.getpwuid(os.geteuid()).pw_name

__all__ = ["either", "known", "remote", "server"]
pytestmark = pytest.mark.xdist_group("sshd")


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
        with pytest.raises(LateError, match=r"did not end within 1 s and was ended: echo"):
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
        lines.close()  # type: ignore[attr-defined]  # a generator, said to be an iterator
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


def wait_for_end(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).wait(timeout=60)
