"""Processes of a stack: their memory, and finding and ending them even when the supervisor is gone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

# Set for the supervisor and inherited by everything under it: the mark by which a stack's processes are known.
HOME_MARK = "AI_STACK_HOME"


def is_alive(pid: int | None, created: float | None) -> bool:
    """Tell whether the process that had this pid and start time (seconds since 1970) still runs.

    Both are compared, because a pid is handed to another process soon after its owner ends.
    """
    if pid is None:
        return False
    import psutil

    try:
        process = psutil.Process(pid)
        same = created is None or abs(process.create_time() - created) < 2
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def started(pid: int) -> float | None:
    """Return when the process started, in seconds since 1970; None if there is none."""
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def tree_memory_mib(pid: int) -> int:
    """Return the memory of a process and all its descendants in MiB.

    Proportional set size where the system has it (Linux), so that pages shared between them count once;
    resident set size elsewhere.
    """
    import psutil

    try:
        root = psutil.Process(pid)
        return _memory_mib([root, *root.children(recursive=True)])
    except psutil.Error:
        return 0


def memory_mib(pid: int) -> int:
    """Return the memory of one process without its descendants in MiB."""
    import psutil

    try:
        return _memory_mib([psutil.Process(pid)])
    except psutil.Error:
        return 0


def _memory_mib(members: Iterable[psutil.Process]) -> int:
    import psutil

    total = 0
    for member in members:
        with suppress(psutil.Error):
            try:
                full = member.memory_full_info()
                total += getattr(full, "pss", None) or full.rss
            except psutil.AccessDenied:
                total += member.memory_info().rss
    return round(total / 2**20)


def of_stack(home: str) -> list[psutil.Process]:
    """Return every process that carries the mark of the stack in `home`, this one excepted."""
    import os

    import psutil

    found = []
    for process in psutil.process_iter():
        if process.pid == os.getpid():
            continue
        with suppress(psutil.Error, OSError):
            if process.environ().get(HOME_MARK) == home:
                found.append(process)
    return found


def end(victims: Iterable[psutil.Process], grace_s: float = 10.0) -> int:
    """End processes: asked first, killed after `grace_s`. Returns how many there were."""
    import psutil

    everyone = list(victims)
    for process in everyone:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(everyone, timeout=grace_s)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return len(everyone)
