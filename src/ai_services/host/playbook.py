"""Runs ansible-playbook: its words into a log, its events to whoever tells the story, its end certain."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.target import Target
from ai_services.interrupts import undisturbed
from ai_services.private import log_stream, new_log, private_folder, write_private

ROOT: Final = Path(__file__).resolve().parents[3]
_LOOK_EVERY_S: Final = 0.2
# From Ctrl-C to the end: Ansible needs a moment to end its workers, and so does ssh.
_GRACE_S: Final = 10.0

# Ansible gets SIGINT when this process is no more, also by kill -9. Else it would go on, and a second run, which finds
# the lock of a dead one, would work beside it.
_ENDS_WITH_US: Final = (
    [
        sys.executable, "-c",
        "import ctypes, os, sys; ctypes.CDLL(None).prctl(1, 2, 0, 0, 0); os.execv(sys.argv[1], sys.argv[1:])",
    ]
    if sys.platform == "linux"
    else []
)  # fmt: skip

Event = dict[str, Any]


@dataclass
class Run:
    """One call of ansible-playbook on one host.

    `variables` are extra variables; they go through a file that only this user can read and that is gone afterwards.
    `secrets` are texts that Ansible gets as files: variable name -> content. `environment` is for our own plugins.
    """

    playbook: str
    target: Target
    variables: dict[str, Any]
    log: Path
    options: Sequence[str] = ()
    secrets: dict[str, str] = field(default_factory=dict)
    verbose: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    def go(self, on_event: Callable[[Event], None], on_tick: Callable[[], None]) -> int:
        """Run to the end and return Ansible's exit status. `on_tick` is called a few times a second.

        When this process is interrupted, Ansible and everything it started end before the interruption goes on.
        """
        with private_folder() as folder, log_stream(self.log) as log:
            events = folder / "events"
            events.touch(mode=0o600)
            command = self._command(folder)
            log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {' '.join(command)}\n".encode())
            log.flush()
            begun = log.tell()
            # A session of its own: Ctrl-C reaches us alone, and we end Ansible in order. No terminal either, so
            # that nothing down there waits for an answer that nobody sees.
            process = subprocess.Popen(
                [*_ENDS_WITH_US, *command],
                cwd=Path.cwd(),
                env=_environment(folder, events) | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            reader, echo = _Lines(events), _Echo(self.log, begun) if self.verbose else None
            try:
                while True:
                    status = process.poll()
                    for line in reader.fresh():
                        on_event(json.loads(line))
                    if echo:
                        echo.fresh()
                    if status is not None:
                        return status
                    on_tick()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(_LOOK_EVERY_S)
            except BaseException:
                with undisturbed():
                    _end(process)
                    for line in reader.fresh():
                        with contextlib.suppress(Exception):
                            on_event(json.loads(line))
                raise
            finally:
                with undisturbed():
                    _close_connections(folder)

    def _command(self, folder: Path) -> list[str]:
        inventory, variables = folder / "hosts.json", folder / "variables.json"
        values = dict(self.variables)
        for name, content in self.secrets.items():
            write_private(folder / name, content)
            values[name] = str(folder / name)
        write_private(inventory, json.dumps(self.target.inventory()))
        write_private(variables, json.dumps(values))
        program = Path(sys.executable).with_name("ansible-playbook")
        if not program.is_file():
            raise OperatorError(
                "Ansible is not in this environment.", hint="Set it up: ./ai deploy --help", exit_code=BLOCKED
            )
        words = [str(program), "-i", str(inventory), "-e", f"@{variables}", *self.options]
        return [*words, str(ROOT / "ansible" / "playbooks" / self.playbook)]


def log_path(logs: Path, verb: str, target: Target) -> Path:
    """Return a new log's path, logs/VERB-HOST-TIME.log; the oldest ones beyond fifty are removed."""
    return new_log(logs, f"{verb}-{target.file_name}")


def _environment(folder: Path, events: Path) -> dict[str, str]:
    # Of what was set for Ansible elsewhere nothing is meant for this; and no secret of ours may reach its children.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ANSIBLE_", "TF_VAR_")) and name != "AI_GHCR_TOKEN"
    }
    return kept | {
        "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"),
        "ANSIBLE_CALLBACKS_ENABLED": "ai_events",
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        "ANSIBLE_NOCOLOR": "1",
        "AI_EVENTS": str(events),
        "PYTHONUNBUFFERED": "1",
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
    # Workers that outlived their parent are still in its group.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _close_connections(folder: Path) -> None:
    # Ansible leaves its SSH connections open for a minute, for the next task; there is none.
    for socket in (folder / "cp").glob("*"):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "-"],
                capture_output=True, timeout=5, check=False,
            )  # fmt: skip


class _Lines:
    """The whole lines added to a file since the last look."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path, self._offset = path, offset

    def fresh(self) -> list[str]:
        with self._path.open("rb") as opened:
            opened.seek(self._offset)
            block = opened.read()
        whole = block[: block.rfind(b"\n") + 1]
        self._offset += len(whole)
        # JSON leaves some marks as they are that Python takes for an end of line, and a container's log may have them.
        return whole.decode(errors="replace").split("\n")[:-1]


class _Echo:
    """What Ansible writes into its log, also on the terminal."""

    def __init__(self, path: Path, offset: int) -> None:
        self._lines = _Lines(path, offset)

    def fresh(self) -> None:
        for line in self._lines.fresh():
            sys.stderr.write(line + "\n")
