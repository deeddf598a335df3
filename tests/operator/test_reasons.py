"""Whoever silences a check says why, beside it or in the line above (style of this project)."""

from __future__ import annotations

import re
from pathlib import Path

from ai_services.checks import tree

TOP = Path(__file__).resolve().parents[2]
SILENCED = re.compile(
    r"#\s?(?:noqa|type: ignore|nosec)(?::\s?[\w, -]*?[\w]|\[[\w, -]+\])?(?P<reason>\s+(?:#|--?|\().+)?$"
)


def test_what_is_silenced_has_a_reason() -> None:
    found = []
    for path in tree.files(TOP):
        if path.suffix not in {".py", ".yml", ".yaml"}:
            continue
        above = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            silenced = SILENCED.search(line)
            if silenced and not silenced["reason"] and not above.lstrip().startswith("#"):
                found.append(f"{path.relative_to(TOP)}:{number}: {line.strip()}")
            above = line
    assert found == []
