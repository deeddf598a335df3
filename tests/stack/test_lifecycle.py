"""`./ai up`, `status`, `restart`, `down`: what a stack is from its first process to its last trace."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
import requests
from support.stack import AI, Stack, prepared, running, wait_until

from ai_services.local.home import Home
from ai_services.local.supervisor import socket_path

# Exit codes that `./ai --help` promises.
NOT_RUNNING, BLOCKED, INTERRUPTED = 3, 5, 130

# What an operator's script may rely on in each row of `components[]`.
ROW = {"name": str, "state": str, "pid": int, "port": int, "memory_mib": int, "since": str}


@pytest.fixture
def fresh() -> Iterator[Stack]:
    """A stack that has not been started."""
    with prepared() as stack:
        yield stack


def traces(stack: Stack) -> list[str]:
    """What a stack that is down must not have left: processes, sockets, temporary files, a listening port."""
    found = [f"process {process.pid}: {' '.join(process.cmdline())}" for process in stack.processes()]
    found += [f"socket {path}" for path in stack.home.rglob("*") if path.is_socket()]
    # With a long AI_HOME the socket has a directory of its own elsewhere; other tests' stacks have theirs beside it.
    elsewhere = Path(socket_path(Home(stack.home.resolve()))).parent
    if stack.home not in elsewhere.parents and elsewhere.exists():
        found.append(f"directory {elsewhere}")
    found += [str(path) for name in ("run", "tmp") for path in (stack.home / name).rglob("*")]
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", stack.port)) == 0:
            found.append(f"port {stack.port} answers")
    return found


class TestStatus:
    """The shape that scripts rely on."""

    def test_json(self, stack: Stack) -> None:
        told = stack.status()
        assert told["url"] == stack.url
        assert Path(told["api_key_file"]).is_file()
        rows = {row["name"]: row for row in told["components"]}
        assert {"gateway", "whisper-api", "llm"} <= rows.keys()
        for row in rows.values():
            assert {name: type(row[name]) for name in ROW} == ROW, row["name"]
            assert row["memory_mib"] > 0
            assert psutil.pid_exists(row["pid"])
            assert datetime.fromisoformat(row["since"]) < datetime.now(UTC)
        assert rows["whisper-api"]["model"]
        assert rows["llm"]["model"]
        assert rows["gateway"]["port"] == stack.port

    def test_for_people(self, stack: Stack) -> None:
        told = stack.ai("status").stdout
        assert stack.url in told
        for name in ("gateway", "whisper-api", "llm"):
            assert name in told

    def test_says_when_nothing_runs(self, fresh: Stack) -> None:
        assert fresh.ai("status", check=False).returncode == NOT_RUNNING
        assert fresh.status()["components"] == []

    def test_which_backend_and_why(self, either_stack: Stack) -> None:
        told = either_stack.status()["llm_backend"]
        assert told["kind"] == either_stack.backend
        assert told["reason"]


def test_up_when_it_is_up_changes_nothing(stack: Stack) -> None:
    def pids() -> dict[str, int]:
        return {row["name"]: row["pid"] for row in stack.status()["components"]}

    before, key = pids(), stack.key
    again = stack.up()
    assert again.returncode == 0
    assert "lready up" in again.stdout
    assert pids() == before
    assert Path(stack.status()["api_key_file"]).read_text().split() == [key]


def test_up_proves_itself_and_down_leaves_nothing(fresh: Stack) -> None:
    said = fresh.up().stdout
    for promised in (fresh.url, fresh.key, str(fresh.status()["api_key_file"]), "much faster than the old", "curl"):
        assert promised in said
    assert fresh.ready()
    key = fresh.key
    assert traces(fresh) != [], "a running stack has traces, so the search for them works"
    fresh.down()
    assert traces(fresh) == []
    assert fresh.ai("down").returncode == 0, "down when it is down is no error"
    # the key survives: what clients were given still opens the door after the next up
    fresh.up()
    assert Path(fresh.status()["api_key_file"]).read_text().split() == [key]


def test_what_up_prints_to_try_next_works(stack: Stack) -> None:
    """The commands are pasted as they stand into a shell."""
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    lines = [line.strip() for line in stack.up().stdout.splitlines()]
    commands = [line for line in lines if line.startswith("curl ")]
    assert len(commands) >= 2
    for command in commands:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        assert '"text"' in done.stdout or '"choices"' in done.stdout, done.stdout


def test_two_stacks_side_by_side(stack: Stack, fresh: Stack) -> None:
    fresh.up()
    assert fresh.key != stack.key
    for one, other in ((stack, fresh), (fresh, stack)):
        assert requests.get(f"{one.url}/v1/models", headers=one.auth, timeout=30).status_code == 200
        assert requests.get(f"{one.url}/v1/models", headers=other.auth, timeout=30).status_code == 401
    fresh.down()
    assert traces(fresh) == []
    assert stack.ready()


def test_a_taken_port_names_who_has_it(fresh: Stack) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", fresh.port))
        taken.listen()
        refused = fresh.up(check=False)
    words = refused.stdout + refused.stderr
    assert refused.returncode == BLOCKED
    assert str(os.getpid()) in words
    assert "--port" in words
    assert fresh.processes() == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_it_starts_leaves_nothing(fresh: Stack, sign: signal.Signals) -> None:
    with subprocess.Popen(
        [AI, "up", "--port", str(fresh.port), "--llm-backend", "llama.cpp"],
        env=dict(fresh.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as starting:
        wait_until(lambda: len(fresh.processes()) >= 3, "components are being started")
        assert starting.poll() is None
        os.killpg(starting.pid, sign)
        status = starting.wait(60)
    assert status == INTERRUPTED if sign == signal.SIGINT else status != 0
    assert traces(fresh) == []


@pytest.mark.long
def test_a_killed_supervisor_is_told_and_mended(fresh: Stack) -> None:
    """The one process that nothing watches: what it leaves behind is found, ended and started anew."""
    fresh.up()
    psutil.Process(fresh.status()["supervisor"]["pid"]).kill()
    wait_until(lambda: fresh.status()["supervisor"]["state"] == "lost", "the loss is told", 30)
    fresh.up()
    assert fresh.ready()
    assert fresh.status()["state"] == "ready"
    fresh.down()
    assert traces(fresh) == []


def test_a_home_with_spaces_and_a_long_name(fresh: Stack) -> None:
    """A socket's path may have 107 bytes; a user's path may have more, and blanks in it."""
    home = fresh.home / ("a long name with blanks " * 4).strip() / "ünï"
    environment = {**fresh.environment, "AI_HOME": str(home)}
    deep = Stack(home, fresh.port, fresh.backend, environment)
    try:
        deep.up()
        assert deep.ready()
    finally:
        deep.down()
    assert traces(deep) == []


def test_restart_replaces_one_component(fresh: Stack) -> None:
    fresh.up()
    before = {row["name"]: row["pid"] for row in fresh.status()["components"]}
    fresh.ai("restart", "whisper-api")
    wait_until(fresh.ready, "all is well again")
    after = {row["name"]: row["pid"] for row in fresh.status()["components"]}
    assert after.pop("whisper-api") != before.pop("whisper-api")
    assert after == before


def test_logs_are_json_and_hold_no_secret(stack: Stack) -> None:
    requests.get(f"{stack.url}/v1/models", headers=stack.auth, timeout=30)
    said = stack.ai("logs", "gateway").stdout
    assert "/v1/models" in said
    everything = "".join(
        path.read_text(errors="replace") for path in (stack.home / "logs").rglob("*") if path.is_file()
    )
    assert stack.key not in everything
    assert "much faster than the old one" not in everything, "a transcript stands in a log"


class TestOffline:
    """After the first install the network is needed for nothing."""

    DEAD = "http://127.0.0.1:9"

    def test_every_proxy_is_dead(self) -> None:
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        extra = {**dict.fromkeys(names, self.DEAD), "UV_OFFLINE": "1", "PIP_NO_INDEX": "1"}
        with running(extra=extra) as stack:
            assert stack.ready()

    def test_no_network_at_all(self, fresh: Stack) -> None:
        """In a network of its own that holds nothing but loopback."""
        if shutil.which("unshare") is None or os.geteuid() != 0:
            pytest.skip("a network of one's own needs root and `unshare`; the test with dead proxies stands in")
        if subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode != 0:
            pytest.skip("this machine does not let root make a network of its own (a container without CAP_SYS_ADMIN)")
        done = subprocess.run(
            ["unshare", "-n", sys.executable, "-c", IN_A_NETWORK_OF_ITS_OWN, str(AI), str(fresh.port)],
            env=dict(fresh.environment),
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert fresh.url in done.stdout
        assert traces(fresh) == []


# Loopback is down in a new network; 0x8914 is SIOCSIFFLAGS, 0x1 IFF_UP.
IN_A_NETWORK_OF_ITS_OWN = """
import fcntl, socket, struct, subprocess, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1))
try:
    socket.create_connection(("192.0.2.1", 80), 2)
except OSError as error:
    print("outside:", error)
else:
    sys.exit("there is a network")
ai, port = sys.argv[1:]
up = subprocess.run([ai, "up", "--port", port, "--llm-backend", "llama.cpp"]).returncode
sys.exit(up or subprocess.run([ai, "down"]).returncode)
"""
