"""What the exit codes of `ai` mean, and the error that carries one to the person at the terminal."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 2
NOT_RUNNING: Final = 3
NOT_READY: Final = 4
BLOCKED: Final = 5
WARNED: Final = 6
INTERRUPTED: Final = 130
TERMINATED: Final = 143

MEANINGS: Final[dict[int, str]] = {
    OK: "done",
    FAILED: "it failed; the message says what to do next",
    USAGE: "wrong command line",
    NOT_RUNNING: "nothing is running (status, logs, restart, doctor)",
    NOT_READY: "running, but not every component is ready",
    BLOCKED: "in the way: port, disk, memory, network, a model, another ai",
    WARNED: "it works, but something wants looking at (doctor)",
    INTERRUPTED: "stopped by Ctrl-C; what had been started was ended again",
    TERMINATED: "stopped by a signal; what had been started was ended again",
}


class OperatorError(Exception):
    """What happened and to what (`message`), and the next step (`hint`, a command where there is one)."""

    def __init__(self, message: str, *, hint: str = "", exit_code: int = FAILED, detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.detail = detail


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived: treated like Ctrl-C, but for the exit code."""
