"""What a container engine asks every few seconds, against a real service on a real port (B.2)."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

DEMO = Path(__file__).with_name("demo_service.py")


def _check(**environment: str) -> tuple[int, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in {"PORT", "LISTEN"}}
    done = subprocess.run(
        [sys.executable, "-m", "service_kit.healthcheck"],
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


@contextmanager
def _demo(directory: Path, **environment: str) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    settings = {"PORT": str(port), "API_TOKEN": "test-key-0123456789"} | environment
    process = subprocess.Popen([sys.executable, str(DEMO)], env=os.environ | settings, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and process.poll() is None:
            try:
                requests.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0, "being told to stop is no failure"


@pytest.mark.promise("B.2")
@pytest.mark.parametrize("listen", ["", "127.0.0.1", "0.0.0.0"])
def test_a_ready_service_is_healthy(tmp_path: Path, listen: str) -> None:
    with _demo(tmp_path) as port:
        assert _check(PORT=str(port), LISTEN=listen) == (0, "ready\n")


@pytest.mark.promise("B.2")
def test_a_service_that_is_not_ready_is_unhealthy_and_says_why(tmp_path: Path) -> None:
    with _demo(tmp_path, READY="0") as port:
        assert _check(PORT=str(port)) == (1, "/readyz answers 503: engine: model is loading\n")


@pytest.mark.promise("B.2")
def test_a_service_that_does_not_answer_is_unhealthy(tmp_path: Path) -> None:
    """Connected to and silent: the probe's own time limit ends it, not the container engine's."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        started_at = time.monotonic()
        status, said = _check(PORT=str(port))
        assert (status, said) == (1, f"no answer from 127.0.0.1:{port}: timed out\n")
        assert time.monotonic() - started_at < 10
    status, said = _check(PORT=str(port))
    assert status == 1
    assert "refused" in said
    assert _check() == (1, "PORT is '': set it to the port that the service listens on\n")
