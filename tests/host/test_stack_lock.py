"""One run at a time on a host; a dead owner keeps nobody out (B.3)."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from ai_stack.lock import Lock, LockedError
from support.stack import wait_until

from ai_services.host import presence

pytestmark = pytest.mark.promise("B.3")

ANNA = {"user": "anna", "host": "laptop", "pid": "1"}
BERT = {"user": "bert", "host": "desk", "pid": "2"}


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[Lock]:
    """A lock of its own; its holder is gone afterwards."""
    lock = Lock(tmp_path)
    yield lock
    if holder := lock.holder():
        lock.release(str(holder["token"]))


def test_the_second_run_is_told_who_is_at_work_since_when_and_why(lock: Lock) -> None:
    assert lock.acquire("a", ANNA, "deploy", 60)
    with pytest.raises(LockedError) as refused:
        lock.acquire("b", BERT, "upgrade", 60)
    assert "anna on laptop" in str(refused.value)
    assert "deploy" in str(refused.value)
    assert refused.value.holder["since"] in str(refused.value)


def test_the_same_run_may_ask_again(lock: Lock) -> None:
    assert lock.acquire("a", ANNA, "deploy", 60)
    assert not lock.acquire("a", ANNA, "deploy", 60)


def test_a_freed_lock_is_free_at_once(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 60)
    assert lock.release("a")
    assert lock.holder() is None
    assert lock.acquire("b", BERT, "upgrade", 60)


def test_nobody_frees_anothers_lock(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 60)
    assert not lock.release("b")
    assert (lock.holder() or {})["token"] == "a"


def test_who_only_looks_keeps_nobody_out(lock: Lock) -> None:
    assert lock.holder() is None
    looking = (lock.root / "lock").open()
    fcntl.flock(looking, fcntl.LOCK_SH)
    threading.Timer(0.3, looking.close).start()
    assert lock.acquire("a", ANNA, "deploy", 60)


def test_a_killed_holder_keeps_nobody_out(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 60)
    os.kill(int((lock.holder() or {})["holder_pid"]), signal.SIGKILL)
    wait_until(lambda: lock.holder() is None, "the kernel frees the lock", 5)
    assert lock.acquire("b", BERT, "upgrade", 60)


def test_without_a_sign_of_life_the_lease_ends(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 1)
    wait_until(lambda: lock.holder() is None, "the lease ends", 10)


@pytest.mark.long
def test_signs_of_life_prolong_the_lease(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 3)
    over = threading.Event()
    lost: list[bool] = []

    def live() -> None:
        while not over.wait(0.5):
            if not lock.refresh("a"):
                lost.append(True)
                return

    thread = threading.Thread(target=live)
    thread.start()
    # Three leases long: without the signs it would have been lost twice over.
    thread.join(9)
    over.set()
    thread.join()
    assert not lost
    assert lock.holder() is not None


@pytest.fixture
def run() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as somebody's run."""
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def test_the_lock_ends_with_the_run_and_leaves_nothing_behind(lock: Lock, run: subprocess.Popen[bytes]) -> None:
    assert lock.acquire("a", ANNA, "deploy", 1, run.pid)
    with pytest.raises(LockedError):
        lock.acquire("b", BERT, "upgrade", 60)
    run.kill()
    wait_until(lambda: lock.holder() is None, "the lock is free after its run", 10)
    wait_until(lambda: not (lock.root / "lock.json").exists(), "nobody is said to be at work", 10)


def test_what_shows_a_host_that_a_run_lives_ends_with_it(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    """Here the other end of the connection is this machine; tests/host/test_stack.py goes over SSH."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    command = [sys.executable, presence.__file__, str(run.pid), str(tmp_path / "socket")]
    surroundings = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=surroundings) as here:
        assert here.stdout is not None
        there = int(here.stdout.readline())
        assert not presence.ended(there, 0.2)
        run.kill()
        assert presence.ended(there, 30)
        assert here.wait(30) == 0


def test_a_run_that_lives_needs_no_lease(lock: Lock, run: subprocess.Popen[bytes]) -> None:
    assert lock.acquire("a", ANNA, "deploy", 0, run.pid)
    assert lock.holder() is not None
    assert lock.refresh("a")


def test_the_lock_of_a_run_that_is_gone_already_is_free_at_once(lock: Lock, run: subprocess.Popen[bytes]) -> None:
    run.kill()
    run.wait()
    lock.acquire("a", ANNA, "deploy", 600, run.pid)
    wait_until(lambda: lock.holder() is None, "nobody is kept out", 10)


def test_a_single_step_holds_the_lock_for_itself(lock: Lock) -> None:
    with lock.held_now("a"), pytest.raises(LockedError):
        lock.acquire("b", BERT, "upgrade", 60)
    assert lock.acquire("b", BERT, "upgrade", 60)
    with pytest.raises(LockedError), lock.held_now("a"):
        pytest.fail("b holds it")


def test_who_holds_it_is_written_beside_it_without_the_right_to_change_it(lock: Lock) -> None:
    lock.acquire("a", ANNA, "deploy", 60)
    about = json.loads((lock.root / "lock.json").read_text())
    assert about["owner"] == ANNA
    assert (lock.root / "lock.json").stat().st_mode & 0o022 == 0


def test_a_change_waits_for_the_start_of_the_machine(lock: Lock) -> None:
    begun, order = threading.Event(), list[str]()

    def start() -> None:
        with lock.starting() as alone:
            assert alone
            begun.set()
            # Longer than whoever only looks has it.
            threading.Event().wait(1.5)
            order.append("started")

    thread = threading.Thread(target=start)
    thread.start()
    assert begun.wait(10)
    with lock.change("a", ANNA, "upgrade"):
        order.append("changed")
        with lock.starting() as alone:
            assert not alone
    thread.join()
    assert order == ["started", "changed"]
