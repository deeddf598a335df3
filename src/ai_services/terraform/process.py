"""One call of Terraform: its words into a log, its events to whoever tells the story, its end in order."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

import psutil
from python_terraform import IsFlagged
from python_terraform import Terraform as CommandLine

from ai_services.interrupts import undisturbed
from ai_services.private import log_stream
from ai_services.terraform.program import Program

_LOOK_EVERY_S: Final = 0.2
# From the request to end to the end of a deploy: Ansible needs a moment to end its workers.
_GRACE_S: Final = 30.0
FLAG: Final = IsFlagged

Event = dict[str, Any]


@dataclass
class Terraform:
    """Terraform in `folder`, with `log` for everything it says; no value of `secrets` gets in there.

    Options are given as python-terraform takes them: `auto_approve=FLAG`, `input=False`, `var_file=[…]`.
    """

    program: Program
    folder: Path
    log: Path
    secrets: Sequence[str] = ()
    verbose: Callable[[str], None] | None = None
    on_tick: Callable[[], None] = lambda: None
    on_interrupt: Callable[[], None] = lambda: None
    # Of the environment, what is meant for this run beside what `environment` lets through.
    more: Mapping[str, str] = field(default_factory=dict)
    _words: CommandLine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # It reads a state file where it stands; there is none here.
        with tempfile.TemporaryDirectory() as empty:
            self._words = CommandLine(working_dir=empty, terraform_bin_path="")

    def run(self, command: str, *arguments: str, on_event: Callable[[Event], None], **options: Any) -> int:
        """Run to the end and return the exit status. A line that is no JSON comes as {"type": "text", "@message": …}.

        When this process is interrupted, what Terraform has started ends in order, and Terraform gets one SIGINT: it
        ends the step at hand and writes its state. Then the interruption goes on.
        """
        words = [*self.program.words, *self._words.generate_cmd_string(command, *arguments, **options)[1:]]
        with log_stream(self.log) as log:
            self._write(log, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {' '.join(words)}\n")
            # A session of its own: Ctrl-C reaches us alone. umask: a plan and a state are nobody else's business.
            process = subprocess.Popen(
                words, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, start_new_session=True, umask=0o077,
            )  # fmt: skip
            lines = _Reader(process)
            try:
                self._follow(lines, log, on_event)
            except BaseException:
                with undisturbed():
                    self.on_interrupt()
                    self._stop(process, lines, log, on_event)
                raise
            return process.wait()

    def read(self, command: str, *arguments: str, **options: Any) -> str:
        """Run and return what it printed; that goes into no log, for it may hold anything. Empty when it failed."""
        words = [*self.program.words, *self._words.generate_cmd_string(command, *arguments, **options)[1:]]
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment(), stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        return "" if done.returncode else done.stdout

    def _environment(self) -> dict[str, str]:
        return environment(os.environ) | dict(self.more)

    def _follow(self, lines: _Reader, log: IO[bytes], on_event: Callable[[Event], None]) -> None:
        while True:
            try:
                line = lines.queue.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                self.on_tick()
                continue
            if line is None:
                return
            event = self._event(line, log)
            if self.verbose:
                self.verbose(str(event.get("@message", "")))
            on_event(event)

    def _event(self, line: str, log: IO[bytes]) -> Event:
        line = self._write(log, line)
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if isinstance(event, dict):
                return event
        return {"type": "text", "@message": line.rstrip("\n")}

    def _write(self, log: IO[bytes], text: str) -> str:
        # A diagnostic quotes the line it is about, also one of a file with values.
        for secret in self.secrets:
            text = text.replace(secret, "(secret)")
        log.write(text.encode())
        log.flush()
        return text

    def _stop(
        self, process: subprocess.Popen[bytes], lines: _Reader, log: IO[bytes], on_event: Callable[[Event], None]
    ) -> None:
        # Terraform kills its provisioners outright when it is interrupted. Deploys are asked first, so that Ansible
        # ends in order and the person reads in what state the host is.
        deploys = _deploys_below(process.pid)
        for deploy in deploys:
            with contextlib.suppress(psutil.Error):
                deploy.terminate()
        psutil.wait_procs(deploys, timeout=_GRACE_S)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        process.wait()
        lines.end()
        while (line := lines.queue.get()) is not None:
            with contextlib.suppress(Exception):
                on_event(self._event(line, log))


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return what Terraform gets of the environment: no values but those in our file, no options but ours."""
    ours = ("TF_VAR_", "TF_CLI_ARGS", "TF_LOG", "TF_DATA_DIR", "TF_WORKSPACE", "TF_INPUT", "AI_GHCR_TOKEN")
    kept = {name: value for name, value in own.items() if not name.startswith(ours)}
    return kept | {"TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "NO_COLOR": "1"}


class _Reader:
    """The lines of a process, as they come, and None at their end."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.queue: queue.Queue[str | None] = queue.Queue()
        self._stream = process.stdout
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._thread.join(_GRACE_S)
        if self._thread.is_alive():  # somebody it had started keeps its output open
            self.queue.put(None)

    def _read(self) -> None:
        for line in self._stream or ():
            self.queue.put(line.decode(errors="replace"))
        self.queue.put(None)


def _deploys_below(pid: int) -> list[psutil.Process]:
    found = []
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if "ai_services.cli" in child.cmdline():
                    found.append(child)
    return found
