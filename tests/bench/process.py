"""Starting, pinning and stopping the processes under measurement."""

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path


def pinned(cores: Sequence[int], command: Sequence[str]) -> list[str]:
    """The command, kept on these cores with all it starts; as it is where the system has no ``taskset``."""
    prefix = ["taskset", "-c", ",".join(map(str, cores))] if cores and shutil.which("taskset") else []
    return [*prefix, *command]


def cores_for_proxy_and_rest() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first core for the proxy under test, the second for upstream and load generator (the same one, if alone)."""
    if not hasattr(os, "sched_getaffinity"):
        return (), ()
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0],), (cores[-1],) if len(cores) < 3 else (cores[1],)


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, timeout_s: float = 120) -> None:
    """Return once somebody accepts on the port.

    Raises RuntimeError with the end of the process's log if it ends first or ``timeout_s`` runs out.
    """
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    what = f"did not listen within {timeout_s:.0f} s" if process.poll() is None else f"ended ({process.returncode})"
    tail = log.read_text(errors="replace")[-2000:] if log.exists() else ""
    raise RuntimeError(f"{_name(process)}: {what}, port {port}; its log ends with:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, and make it end after 10 s."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _name(process: subprocess.Popen[bytes]) -> str:
    return shlex.join(map(str, process.args)) if isinstance(process.args, list) else str(process.args)
