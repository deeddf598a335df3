"""Reads variables, outputs and validations out of Terraform files, as `terraform fmt` leaves them.

Not a parser of the language: a block begins at the margin and ends with a brace at the margin, an argument is a line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_VALIDATION = re.compile(
    r"(?:^  # (\w+)\n)?^  (?:validation|precondition) \{\n    condition +=(.*?)\n    error_message +=(.*?)\n  \}",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Check:
    """A validation or precondition: its name in the comment above, and its two arguments as they are written."""

    name: str
    condition: str
    message: str


@dataclass(frozen=True)
class Entry:
    """A variable or an output: its arguments as they are written, and its checks."""

    kind: str
    name: str
    arguments: dict[str, str]
    checks: list[Check] = field(default_factory=list)

    @property
    def description(self) -> str:
        """Return the sentence on it."""
        return str(json.loads(self.arguments.get("description", '""')).replace("$${", "${"))

    @property
    def is_secret(self) -> bool:
        """Whether it is kept out of state, plan and logs."""
        return self.arguments.get("sensitive") == "true" and self.arguments.get("ephemeral") == "true"


def entries(folder: Path) -> list[Entry]:
    """Return the variables and outputs of the module in `folder`, in the order of its files."""
    return [entry for path in sorted(folder.glob("*.tf")) for entry in read(path.read_text(encoding="utf-8"))]


def read(text: str) -> Iterator[Entry]:
    """Yield the variables and outputs in the text of one file."""
    for kind, name, body in _BLOCK.findall(text):
        checks = [Check(*(part.strip() for part in found)) for found in _VALIDATION.findall(body)]
        yield Entry(kind, name, _arguments(_VALIDATION.sub("", body)), checks)


def _arguments(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    current = ""
    for line in body.splitlines():
        if start := re.fullmatch(r"  (\w+) += (.*)", line):
            current = start[1]
            found[current] = start[2]
        elif current and line.strip():
            found[current] += "\n" + line
    return found
