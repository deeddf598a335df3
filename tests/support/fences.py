"""Code blocks of Markdown files, and how each language's are run.

A block whose info string has the word `run` (```` ```python run ````) is a promise that it runs as printed, in the
folder of the repository, with AI_URL, AI_API_KEY and AI_MODEL in the environment. A comment `<!-- says: WORDS -->` on
the line before it names what it must print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(
    r"(?:^<!-- says: (?P<says>.+?) -->\n)?^(?P<fence>```+)(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """One fenced block. `line`: of its first line of code; `says`: what it must print, or nothing."""

    path: Path
    line: int
    language: str
    words: tuple[str, ...]
    code: str
    says: str

    @property
    def runs(self) -> bool:
        """Whether the page promises that it runs."""
        return "run" in self.words

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line}-{self.language}"


def blocks() -> list[Block]:
    """Every fenced block of the README and of docs/."""
    return [
        block for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))] for block in blocks_of(page)
    ]


def blocks_of(path: Path) -> list[Block]:
    """Every fenced block of one file."""
    text = path.read_text()
    found = []
    for hit in _FENCE.finditer(text):
        language, *words = hit["info"].split() or [""]
        line = text.count("\n", 0, hit.start("code")) + 1
        found.append(Block(path, line, language, tuple(words), hit["code"], hit["says"] or ""))
    return found
