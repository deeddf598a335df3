"""A component that is killed comes back; crash loops are reported, not hidden; what ends leaves nothing."""

from __future__ import annotations

import os
import signal
import stat
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.stack import wait_until

from ai_services.exits import OperatorError
from ai_services.local import components, lifecycle, processes, readiness, supervisor
from ai_services.local.home import Home
from ai_services.local.state import Stack
from ai_services.verbs import restart, status

CRASH = "print('the disk of the moon is full'); raise SystemExit(7)"


def left(home: Home) -> list[str]:
    """Processes, sockets and run files of a stack that should be gone."""
    found = [str(process) for process in processes.of_stack(str(home.root))]
    return found + [
        str(path) for directory in (home.run, home.tmp) for path in (directory, *directory.rglob("*")) if path.exists()
    ]


def test_what_is_killed_comes_back(small: Any) -> None:
    small.start()
    before = small.infos()["one"].pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: small.infos()["one"].pid not in (0, before), "the supervisor starts it again")
    wait_until(lambda: status.report(small.home)["state"] == "ready", "it answers again")
    assert readiness.starts(small.home)["one"].restarts == 1
    assert readiness.starts(small.home)["two"].restarts == 0


def test_a_crash_loop_is_reported_with_its_last_words(home: Home, prepare: Any) -> None:
    small = prepare(home, {"one": {}, "broken": {"only": CRASH}})
    with pytest.raises(OperatorError) as raised:
        small.start()
    assert "broken ended 4 times" in raised.value.message
    assert "the disk of the moon is full" in raised.value.detail
    assert "./ai logs broken" in raised.value.hint
    assert left(home) == [], "what could be started is ended again"


def test_a_crash_loop_later_on_stays_visible(small: Any) -> None:
    small.start()
    plan = small.home.plan_file.read_text()
    small.home.plan_file.write_text(plan.replace("serve_forever()", "nothing()"))
    os.kill(small.infos()["one"].pid, signal.SIGKILL)
    wait_until(lambda: small.infos()["one"].state == "FATAL", "the supervisor gives up", 30)
    report = status.report(small.home)
    found = {item["name"]: item for item in report["components"]}
    assert report["state"] == "degraded"
    assert found["one"]["state"] == "failed"
    assert found["one"]["restarting_often"]
    assert found["two"]["state"] == "ready"
    # and the way out that `status` names works
    small.home.plan_file.write_text(plan)
    assert restart.run("one") == 0
    assert status.report(small.home)["state"] == "ready"


def test_too_slow_is_said_and_ended(home: Home, prepare: Any) -> None:
    silent = "import time; print('still reading', flush=True); time.sleep(60)"
    small = prepare(home, {"slow": {"only": silent, "ready_timeout_s": 1}})
    with pytest.raises(OperatorError) as raised:
        small.start()
    assert "slow was not ready after 1 s" in raised.value.message
    assert "still reading" in raised.value.detail
    assert left(home) == []


def test_a_component_waits_for_those_before_it(home: Home, prepare: Any) -> None:
    late = "import time; time.sleep(0.7)"
    small = prepare(home, {"jobs": {"first": ("postgres",)}, "postgres": {"before": late}})
    small.start()
    lines = small.home.starts_file.read_text().splitlines()
    begun = {line.split()[1]: float(line.split()[0]) for line in lines}
    assert begun["jobs"] - begun["postgres"] > 0.7


def test_interrupted_while_it_starts_leaves_nothing(home: Home, prepare: Any) -> None:
    small = prepare(home, {"one": {}, "never": {"only": "import time; time.sleep(600)"}})

    def interrupt() -> None:
        wait_until(lambda: len(processes.of_stack(str(home.root))) >= 3, "all are being started", 20)
        os.kill(os.getpid(), signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    helper.start()
    with pytest.raises(KeyboardInterrupt):
        small.start()
    helper.join()
    assert left(home) == []


def test_down_after_the_supervisor_was_killed(small: Any) -> None:
    small.start()
    assert small.stack.supervisor_pid
    psutil.Process(small.stack.supervisor_pid).kill()
    wait_until(lambda: not supervisor.is_answering(small.stack), "it is gone")
    report = status.report(small.home)
    assert report["supervisor"]["state"] == "lost"
    assert {item["state"] for item in report["components"]} == {"lost"}
    assert lifecycle.tear_down(small.home) == 2
    assert left(small.home) == []


def test_down_after_the_state_was_lost(small: Any) -> None:
    """Even the record of what runs may be gone: the mark in the processes' environment is not."""
    small.start()
    small.home.state_file.write_text("{half")
    assert Stack.load(small.home) is None
    assert lifecycle.tear_down(small.home) == 3
    assert left(small.home) == []
    assert lifecycle.tear_down(small.home) == 0, "a second time there is nothing to do"


def test_down_ends_what_a_component_left_behind(home: Home, prepare: Any) -> None:
    """A child in a session of its own gets none of the signals that its parent's group gets."""
    child = "import subprocess, sys; subprocess.Popen(['sleep', '600'], start_new_session=True)"
    small = prepare(home, {"one": {"before": child}})
    small.start()
    assert any("sleep" in process.name() for process in processes.of_stack(str(home.root)))
    lifecycle.tear_down(home)
    assert left(home) == []


def test_nothing_runs_after_the_machine_was_switched_off(small: Any) -> None:
    small.start()
    run = {path: path.read_bytes() for path in small.home.run.iterdir() if path.is_file()}
    lifecycle.tear_down(small.home)
    small.home.create()
    for path, content in run.items():
        path.write_bytes(content)
    assert status.report(small.home)["state"] == "stopped"


def test_logs_rotate(home: Home, prepare: Any) -> None:
    loud = "import sys\nfor _ in range(11): sys.stdout.write(('x' * 1023 + '\\n') * 1024)"
    small = prepare(home, {"loud": {"before": loud}})
    small.start()
    wait_until((home.logs / "loud.log.1").exists, "the log is rotated")
    assert (home.logs / "loud.log").stat().st_size < 10 * 2**20


def test_secrets_are_in_private_files_only(small: Any) -> None:
    small.start()
    secret = {small.home.key(file) for file in (small.home.api_key_file, small.home.internal_key_file)}
    assert all(len(key) >= 40 for key in secret)
    for file in (small.home.api_key_file, small.home.internal_key_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for process in processes.of_stack(str(small.home.root)):
        shown = " ".join([*process.cmdline(), *process.environ().values()])
        assert not any(key in shown for key in secret)
    written = [path for directory in (small.home.run, small.home.logs) for path in directory.rglob("*")]
    for path in written:
        if path.is_file():
            assert not any(key in path.read_text(errors="replace") for key in secret), path


def test_the_real_table_names_files_and_no_secret(home: Home) -> None:
    home.create()
    secret = [home.key(home.api_key_file), home.key(home.internal_key_file)]
    small = _stack_of_the_real_table(home)
    planned = str(components.plan(small, home)) + str(components.backends(small, home))
    assert str(home.internal_key_file) in planned
    assert not any(key in planned for key in secret)
    assert {item.name for item in components.COMPONENTS} == {"whisper-api", "llm", "gateway"}


def _stack_of_the_real_table(home: Home) -> Stack:
    from ai_services.local.state import Llm, Speech

    return Stack(
        "0", str(home.root), "127.0.0.1", 8080, Speech("tiny.en", "/models/tiny.en"),
        Llm("gemma3:270m", "llama.cpp", "a test", path="/models/gemma.gguf"),
        {"gateway": 8080, "whisper-api": 3001, "llm": 3002}, "", "2026-01-01T00:00:00+00:00",
    )  # fmt: skip


def test_a_path_too_long_for_a_socket_gets_a_short_private_one(home: Home, prepare: Any) -> None:
    deep = Home(home.root / ("d" * 60) / ("e" * 60))
    small = prepare(deep, {"one": {}})
    place = Path(small.stack.socket)
    assert len(str(place)) < 90
    small.start()
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert status.report(deep)["state"] == "ready"
    lifecycle.tear_down(deep)
    assert not place.parent.exists()


def test_a_socket_directory_of_somebody_else_is_not_used(home: Home, prepare: Any) -> None:
    deep = Home(home.root / ("d" * 60) / ("e" * 60))
    small = prepare(deep, {"one": {}})
    place = Path(small.stack.socket).parent
    place.mkdir()
    place.chmod(0o777)
    with pytest.raises(OperatorError, match="private directory"):
        small.start()
