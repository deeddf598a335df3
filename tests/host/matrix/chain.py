"""A change of a host with a fault at every step: what a fault has ended, the next run takes up and goes on with."""

from __future__ import annotations

import math
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from host.lab import engine
from host.lab.deployment import Operator
from host.lab.place import REPOSITORY
from host.matrix.faults import Fault, Scene

_LOOK_EVERY_S = 0.1
_RUN_TIMEOUT_S = 900
_RUNS_PER_FAULT = 2
_LAST_LINES = 30
# What a run says that finds another one at work (`ai_stack.lock.LockedError`).
AT_WORK = "at work on this host"


class ChainError(AssertionError):
    """The change did not come to its end, or a step never came; the message has what the last run said."""


@dataclass(frozen=True)
class Cell:
    """What became of one fault at one step."""

    step: str
    fault: str
    run: str  # "went on": the run reached its next step or its end in spite of it; "stopped": it did not
    after: str  # what the host answered right after: as `serving` of `walk` has it


def walk(
    operator: Operator,
    words: Sequence[str],
    planned: Mapping[str, Fault],
    serving: Callable[[], str],
    scene: Scene,
) -> list[Cell]:
    """Run `./ai WORDS` again and again until it ends well, and bring about each fault when its step begins.

    `planned` has the fault of each step, by the step's name in the host's journal. `serving` asks the host as its users
    do, and says in a word which of old and new answered; it raises AssertionError when none did.

    Raises:
        ChainError: a step never began, or the change does not end well with every fault mended.
    """
    pending, cells = dict(planned), list[Cell]()
    said, seen = "", len(scene.journal())
    for _ in range(_RUNS_PER_FAULT * len(planned) + 2):
        status, said, struck, seen = _one_run(operator, words, pending, scene, seen)
        for step, fault, survived in struck:
            cells.append(Cell(step, fault.name, "went on" if survived else "stopped", serving()))
        if status == 0:
            if pending:
                raise ChainError(f"the change ended without the steps {', '.join(pending)}:\n{said}")
            return cells
        if not struck and AT_WORK in said:
            # What a killed operator began goes on without them, and says so to whoever comes next.
            _until_free(scene)
        elif not struck:
            raise ChainError(f"`./ai {' '.join(words)}` does not go on although nothing is broken:\n{said}")
    raise ChainError(f"the change does not come to its end:\n{said}")


def _one_run(
    operator: Operator, words: Sequence[str], pending: dict[str, Fault], scene: Scene, seen: int
) -> tuple[int, str, list[tuple[str, Fault, bool]], int]:
    """One run to its end: its status, its last words, (step, fault, whether it went on), and lines of journal seen."""
    struck: list[tuple[str, Fault, bool]] = []
    with tempfile.TemporaryFile() as output:
        scene.run = subprocess.Popen(
            operator.lab.inside([str(REPOSITORY / "ai"), *words]), cwd=REPOSITORY, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "AI_HOME": str(operator.home), "NO_COLOR": "1"},
        )  # fmt: skip
        until, ends_at = time.monotonic() + _RUN_TIMEOUT_S, math.inf
        while scene.run.poll() is None:
            if time.monotonic() > until:
                scene.run.kill()
                raise ChainError(f"`./ai {' '.join(words)}` did not end within {_RUN_TIMEOUT_S} s")
            lines = scene.journal()
            for line in lines[seen:]:
                if line["state"] == "begun" and line["step"] in pending:
                    _mend(scene, struck)
                    struck = [(step, fault, True) for step, fault, _ in struck]
                    fault = pending.pop(line["step"])
                    struck.append((line["step"], fault, False))
                    fault.strike(scene)
                    ends_at = time.monotonic() + fault.lasts_s
            if time.monotonic() > ends_at:
                _mend(scene, struck)
                ends_at = math.inf
            seen = max(seen, len(lines))
            time.sleep(_LOOK_EVERY_S)
        _mend(scene, struck)
        output.seek(0)
        said = "\n".join(output.read().decode(errors="replace").splitlines()[-_LAST_LINES:])
    status = scene.run.returncode
    if status == 0:
        struck = [(step, fault, True) for step, fault, _ in struck]
    return status, said, struck, seen


def _until_free(scene: Scene) -> None:
    until = time.monotonic() + _RUN_TIMEOUT_S
    look = "cd /run/ai-services && flock --nonblock lock true"
    while engine.call("exec", scene.container, "sh", "-c", look, check=False).returncode != 0:
        if time.monotonic() > until:
            raise ChainError(f"whoever is at work on the host does not come to an end within {_RUN_TIMEOUT_S} s")
        time.sleep(1)


def _mend(scene: Scene, struck: list[tuple[str, Fault, bool]]) -> None:
    if struck:
        struck[-1][1].mend(scene)
