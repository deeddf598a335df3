"""What no linter looks at: addresses that must not be recorded, heavy files, left-overs, links that lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from ai_services.checks import tree

MAX_FILE_BYTES = 1_000_000
MAX_PYTHON_LINES = 400

# Written with one-letter classes so that this file does not find itself.
REGISTRY = re.compile(
    r"https?://(?:[\w.-]*(?:py[p]i|python[h]osted|npm[j]s|proxy\.go[l]ang|crates[.]io|ruby[g]ems)|(?:deb|security)\.deb[i]an)",
    re.IGNORECASE,
)
LEFT_OVER = re.compile(r"\b(?:TO[D]O|FIX[M]E|X[X]X|HA[C]K)\b")
CONFLICT = re.compile(r"^(?:<{7} |>{7} |={7}$)", re.MULTILINE)

# Lock files of these tools record download addresses of whoever wrote them.
ADDRESS_LOCKS = {
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "Pipfile.lock",
    "package-lock.json",
    "yarn.lock",
    "pnpm-lock.yaml",
}

# Text that others wrote and that we keep word for word.
FOREIGN = {".woff2", ".svg", ".ico", ".png"}

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def findings(top: Path) -> list[str]:
    """Everything that offends, one line each: file, line where there is one, what, and what to do."""
    found: list[str] = []
    for path in tree.files(top):
        name = str(path.relative_to(top))
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            found.append(f"{name}: {size} bytes; files above {MAX_FILE_BYTES} do not belong in the repository")
            continue
        if path.name in ADDRESS_LOCKS:
            found.append(f"{name}: this kind of lock records download addresses; use requirements/*.in with hashes")
        body = tree.text(path)
        if body is None or path.suffix in FOREIGN:
            continue
        found += _lines(name, body)
        if path.suffix == ".py" and (lines := body.count("\n")) > MAX_PYTHON_LINES:
            found.append(
                f"{name}: {lines} lines; a module of more than {MAX_PYTHON_LINES} is more than one idea, split it"
            )
        if path.suffix == ".md":
            found += dead_links(path, body, top)
    return found


def _lines(name: str, body: str) -> list[str]:
    found = []
    for pattern, what in (
        (REGISTRY, "names a package registry's address; packages come from wherever the user's tools are set to look"),
        (LEFT_OVER, "a left-over; finish it, or open an issue and take it out"),
        (CONFLICT, "a merge conflict's mark"),
    ):
        found += [f"{name}:{body.count(chr(10), 0, hit.start()) + 1}: {what}" for hit in pattern.finditer(body)]
    return found


def dead_links(path: Path, body: str, top: Path) -> list[str]:
    """Relative links of a Markdown file that lead to no file, or to no heading of one. The web is not asked."""
    prose = FENCE.sub("", body)
    found = []
    for target in [*LINK.findall(prose), *IMAGE.findall(prose)]:
        if re.match(r"[a-z][a-z0-9+.-]*:", target, re.IGNORECASE):
            continue
        file_part, _, fragment = unquote(target).partition("#")
        aim = path if not file_part else (top / file_part[1:] if file_part.startswith("/") else path.parent / file_part)
        where = path.relative_to(top)
        if not aim.exists():
            found.append(f"{where}: the link to {target} leads to no file")
        elif fragment and aim.suffix == ".md" and fragment not in _anchors(aim.read_text()):
            found.append(f"{where}: the link to {target} leads to no heading")
    return found


def _anchors(body: str) -> set[str]:
    """The anchors that a Markdown viewer makes of headings: lower case, words joined by hyphens, repeats numbered."""
    anchors: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", body)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number, unique = 0, anchor
        while unique in anchors:
            number += 1
            unique = f"{anchor}-{number}"
        anchors.add(unique)
    return anchors
