"""Molecule over whole hosts of the lab: one fresh host per role, gone afterwards whatever happened.

The command is `ansible/molecule/run`; test_molecule.py calls the same.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from host.lab import hosts, internet, stock
from host.lab.mirror import SUITES
from host.lab.place import REPOSITORY, Lab, LabError

FOLDER = REPOSITORY / "ansible" / "molecule"
ROLES_FOLDER = REPOSITORY / "ansible" / "roles"
ROLES = sorted(path.parents[2].name for path in ROLES_FOLDER.glob("*/molecule/default/molecule.yml"))
# roles that pull our images and models from the lab's registries
STOCKED = {"ai_stack"}
# "INFO     [default > verify] Executing", as molecule says without colours
STEP = re.compile(r"\[\w+ > (?P<step>\w+)\] (?P<what>Executing|Executed: (?P<how>\w+))")
# some of its words have colours all the same
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
KEEP = "AI_LAB_KEEP"
END_TIMEOUT_S = 20


@dataclass(frozen=True)
class Case:
    """A role, and the Debian to try it on."""

    role: str
    suite: str

    @property
    def host(self) -> str:
        """The name of the host that is made for it."""
        return f"{self.role.replace('_', '-')}-{self.suite}"


@dataclass
class Outcome:
    """How molecule ended: exit status, all it said, and the seconds of each step in order."""

    case: Case
    status: int = 1
    text: str = ""
    steps: list[tuple[str, float]] = field(default_factory=list)
    failed: str = ""  # the step that did

    def __str__(self) -> str:
        seconds = sum(took for _, took in self.steps)
        steps = ", ".join(f"{step} {took:.0f}" for step, took in self.steps)
        how = "green" if self.status == 0 else f"FAILED in {self.failed or 'no step at all'}"
        return f"molecule: {self.case.role} on {self.case.suite}: {how}, {seconds:.0f} s ({steps})"


class Runs:
    """Runs of molecule, some at a time; whoever leaves early ends them, and their hosts go all the same."""

    def __init__(self, lab: Lab, *, at_a_time: int, command: str = "test", echo: Callable[[str], object] | None = None):
        """`command` is molecule's; `echo` is given every line at once."""
        self._lab, self._command, self._echo = lab, command, echo
        self._pool = ThreadPoolExecutor(at_a_time, thread_name_prefix="molecule")
        self._running: set[subprocess.Popen[str]] = set()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for process in tuple(self._running):
            _end(process)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def begin(self, case: Case) -> Future[Outcome]:
        """Have the case run as soon as there is room."""
        return self._pool.submit(self._run, case)

    def _run(self, case: Case) -> Outcome:
        whole = self._command == "test"
        folder = self._lab.folder / "molecule" / case.host
        if whole:
            hosts.remove(self._lab, case.host)
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        host = threading.Thread(target=self._start, args=(case, folder / "host"))
        host.start()
        try:
            return self._molecule(case, folder)
        finally:
            host.join()
            if whole and not os.environ.get(KEEP):
                hosts.remove(self._lab, case.host)

    def _start(self, case: Case, said: Path) -> None:
        """Start the host; then `said` is there, and holds what went wrong, if anything did."""
        said.unlink(missing_ok=True)
        error = ""
        try:
            hosts.start(self._lab, case.host, suite=case.suite, gpus=_gpus(case.role))
        except Exception as wrong:  # whatever it is, `prepare` waits for the file and tells
            error = f"the host did not come up: {wrong}"
        coming = said.with_suffix(".coming")
        coming.write_text(error)
        coming.replace(said)

    def _molecule(self, case: Case, folder: Path) -> Outcome:
        outcome = Outcome(case)
        if self._over.is_set():
            return outcome
        words = ["molecule", "--base-config", str(FOLDER / "config.yml"), self._command]
        if self._command == "test":
            words.append("--destroy=never")  # nothing is run after a failure: its words are the last ones
        process = subprocess.Popen(
            self._lab.inside(words),
            cwd=ROLES_FOLDER / case.role,
            env=self._environment(case, folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._running.add(process)
        if self._over.is_set():
            _end(process)
        began = time.monotonic()
        lines: list[str] = []
        assert process.stdout is not None
        for said in process.stdout:
            line = COLOUR.sub("", said)
            lines.append(line)
            if self._echo:
                self._echo(line)
            if found := STEP.search(line):
                began = _note(outcome, found, began)
        outcome.status = process.wait()
        self._running.discard(process)
        outcome.text = "".join(lines)
        return outcome

    def _environment(self, case: Case, folder: Path) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}",
            "NO_COLOR": "1",
            "MOLECULE_NO_COLOR": "1",
            "MOLECULE_SUITE": case.suite,
            "MOLECULE_HOST": case.host,
            "MOLECULE_LAB_FOLDER": str(self._lab.folder),
            "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
        }


def _note(outcome: Outcome, found: re.Match[str], began: float) -> float:
    """Keep what a step took; answers when the one that runs now began."""
    now = time.monotonic()
    if found["what"] == "Executing":
        outcome.failed = found["step"]  # until it says otherwise
        return now
    outcome.steps.append((found["step"], now - began))
    outcome.failed = found["step"] if found["how"] == "Failed" else ""
    return now


def _end(process: subprocess.Popen[str]) -> None:
    """Ask the process and its children to end; make them, where they do not."""
    for asking in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, asking)
            process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def _gpus(role: str) -> tuple[str, ...]:
    scenario: dict[str, Any] = yaml.safe_load((ROLES_FOLDER / role / "molecule/default/molecule.yml").read_text()) or {}
    known = scenario
    for key in ("provisioner", "inventory", "group_vars", "all"):
        known = known.get(key) or {}
    return tuple(known.get("molecule_gpus") or ())


def ready(lab: Lab, roles: Iterable[str]) -> None:
    """Have the lab, and what these roles pull.

    Raises:
        LabError: it cannot be had.
    """
    internet.ensure(lab)
    if STOCKED & set(roles):
        stock.ensure(lab)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the scenarios that were asked for, one after the other; answers the exit status."""
    parser = argparse.ArgumentParser(prog="ansible/molecule/run", description="Tries roles on whole hosts of the lab.")
    parser.add_argument("--suite", choices=SUITES, default=SUITES[0])
    parser.add_argument("--step", default="test", help="one command of molecule (converge, verify, …); the host stays")
    parser.add_argument("roles", nargs="*", metavar="ROLE", help="default: all")
    chosen = parser.parse_args(arguments)
    roles = chosen.roles or ROLES
    if unknown := sorted(set(roles) - set(ROLES)):
        parser.error(f"no scenario for {', '.join(unknown)}: there is {', '.join(ROLES)}")
    # as Ctrl-C: what is open is closed, and hosts go
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    lab = Lab.called(os.environ.get("AI_LAB") or "molecule")
    outcomes: list[Outcome] = []
    try:
        ready(lab, roles)
        with Runs(lab, at_a_time=1, command=chosen.step, echo=sys.stdout.write) as runs:
            outcomes += [future.result() for future in [runs.begin(Case(role, chosen.suite)) for role in roles]]
    except LabError as error:
        print(f"molecule: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("molecule: ended early; the hosts are gone", file=sys.stderr)
        return 130
    print("\n".join(str(outcome) for outcome in outcomes))
    return max(outcome.status != 0 for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
