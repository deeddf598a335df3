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
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from host.lab import engine, hosts, internet, stock
from host.lab.mirror import SUITES
from host.lab.place import REPOSITORY, Lab, LabError

FOLDER = REPOSITORY / "ansible" / "molecule"
ROLES_FOLDER = REPOSITORY / "ansible" / "roles"
ROLES = sorted(path.parents[2].name for path in ROLES_FOLDER.glob("*/molecule/default/molecule.yml"))
# the role that most others need: applied once, to an image, where several are tried
GROUND = "base"
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
        self._grounds: dict[str, Future[str]] = {}  # suite -> image with GROUND on it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for process in tuple(self._running):
            _end(process)
        self._pool.shutdown(wait=True, cancel_futures=True)
        for suite in self._grounds:
            engine.call("image", "rm", self._ground_image(suite), check=False)

    def begin(self, cases: Sequence[Case]) -> dict[Case, Future[Outcome]]:
        """Have the cases run as soon as there is room; what most of them need is made once."""
        standing = [case for case in cases if GROUND in _settings(case.role).get("molecule_needs", [])]
        if self._command == "test":
            for suite in {case.suite for case in standing}:
                if sum(case.suite == suite for case in standing) > 1:
                    self._grounds[suite] = self._pool.submit(self._lay_ground, suite)
        # those that need not wait for it begin
        order = sorted(cases, key=lambda case: case in standing and case.suite in self._grounds)
        return {case: self._pool.submit(self._run, case) for case in order}

    def _ground_image(self, suite: str) -> str:
        return f"{self._lab.container('ground')}:{suite}"

    def _lay_ground(self, suite: str) -> str:
        """The image of a host with GROUND on it.

        Raises:
            LabError: the role, or Docker, failed.
        """
        case = Case(GROUND, suite)
        with self._fresh(f"ground-{suite}", case) as folder:
            outcome = self._molecule(case, f"ground-{suite}", folder, "converge")
            if outcome.status != 0:
                raise LabError(f"no host to try the other roles on; {outcome}\n{outcome.text[-4000:]}")
            hosts.keep(self._lab, f"ground-{suite}", self._ground_image(suite))
        return self._ground_image(suite)

    def _run(self, case: Case) -> Outcome:
        if self._command == "test":
            ground = self._grounds.get(case.suite) if GROUND in _settings(case.role).get("molecule_needs", []) else None
            with self._fresh(case.host, case, image=ground.result() if ground else None) as folder:
                return self._molecule(case, case.host, folder, "test", laid=ground is not None)
        folder = self._folder(case.host)
        folder.mkdir(parents=True, exist_ok=True)
        self._start(case.host, case, None)
        return self._molecule(case, case.host, folder, self._command)

    def _folder(self, host: str) -> Path:
        return self._lab.folder / "molecule" / host

    @contextmanager
    def _fresh(self, host: str, case: Case, *, image: str | None = None) -> Iterator[Path]:
        """A fresh host, which comes up beside, and its folder; gone in the end, unless KEEP is set."""
        hosts.remove(self._lab, host)
        shutil.rmtree(self._folder(host), ignore_errors=True)
        self._folder(host).mkdir(parents=True)
        coming = threading.Thread(target=self._start, args=(host, case, image))
        coming.start()
        try:
            yield self._folder(host)
        finally:
            coming.join()
            if not os.environ.get(KEEP):
                hosts.remove(self._lab, host)

    def _start(self, host: str, case: Case, image: str | None) -> None:
        """Start the host; then the file `host` is in its folder, and holds what went wrong, if anything did."""
        error = ""
        try:
            gpus = tuple(_settings(case.role).get("molecule_gpus", []))
            hosts.start(self._lab, host, suite=case.suite, gpus=gpus, image=image)
        except Exception as wrong:  # whatever it is, `prepare` waits for the file and tells
            error = f"the host did not come up: {wrong}"
        coming = self._folder(host) / "coming"
        coming.write_text(error)
        coming.replace(coming.with_name("host"))

    def _molecule(self, case: Case, host: str, folder: Path, command: str, *, laid: bool = False) -> Outcome:
        outcome = Outcome(case)
        words = ["molecule", "--base-config", str(FOLDER / "config.yml"), command]
        if command == "test":
            words.append("--destroy=never")  # nothing is run after a failure: its words are the last ones
        # Connections that are kept open have the host's name, which the next host of this name must not inherit.
        with tempfile.TemporaryDirectory(prefix="molecule-") as connections:
            process = subprocess.Popen(
                self._lab.inside(words),
                cwd=ROLES_FOLDER / case.role,
                env=os.environ
                | {
                    "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}",
                    "NO_COLOR": "1",
                    "MOLECULE_NO_COLOR": "1",
                    "MOLECULE_SUITE": case.suite,
                    "MOLECULE_HOST": host,
                    "MOLECULE_LAID": GROUND if laid else "",
                    "MOLECULE_LAB_FOLDER": str(self._lab.folder),
                    "MOLECULE_EPHEMERAL_DIRECTORY": str(folder),
                    "ANSIBLE_SSH_CONTROL_PATH_DIR": connections,
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
            if self._over.is_set():
                _end(process)
            self._read(process, outcome)
            outcome.status = process.wait()
            self._running.discard(process)
        (folder / "log").write_text(outcome.text)
        return outcome

    def _read(self, process: subprocess.Popen[str], outcome: Outcome) -> None:
        began = time.monotonic()
        assert process.stdout is not None
        for said in process.stdout:
            line = COLOUR.sub("", said)
            outcome.text += line
            if self._echo:
                self._echo(line)
            if found := STEP.search(line):
                began = _note(outcome, found, began)


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


def _settings(role: str) -> dict[str, Any]:
    """The variables of a role's scenario."""
    known: Any = yaml.safe_load((ROLES_FOLDER / role / "molecule/default/molecule.yml").read_text())
    for key in ("provisioner", "inventory", "group_vars", "all"):
        known = (known or {}).get(key)
    return known or {}


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
            begun = runs.begin([Case(role, chosen.suite) for role in roles])
            outcomes += [future.result() for future in begun.values()]
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
