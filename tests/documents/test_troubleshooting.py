"""docs/troubleshooting.md and the code know the same errors: none undocumented, none invented."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
SERVICES = [
    path
    for top in ("images", "libs")
    for path in sorted((ROOT / top).rglob("*.py"))
    if "tests" not in path.relative_to(ROOT).parts
]
OPERATOR = [ROOT / "ai", *sorted((ROOT / "src").rglob("*.py")), *sorted((ROOT / "ansible" / "plugins").rglob("*.py"))]


def _section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _documented_codes() -> set[str]:
    """Codes in the first column; FIELD stands for the name of a request's field."""
    first_cells = re.findall(r"^\| ([^|]+) \|", _section("What the services answer"), re.MULTILINE)
    return {code for cell in first_cells for code in re.findall(r"`([a-z_]+(?:FIELD)?)`", cell)}


def _raised_codes() -> Iterator[str]:
    for path in SERVICES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "ServiceError" and len(node.args) > 1:
                yield from _codes_in(node.args[1])


def _codes_in(code: ast.expr) -> Iterator[str]:
    if isinstance(code, ast.JoinedStr):
        parts = (str(part.value) if isinstance(part, ast.Constant) else "FIELD" for part in code.values)
        yield "".join(parts)
    else:
        yield from (n.value for n in ast.walk(code) if isinstance(n, ast.Constant) and isinstance(n.value, str))


def test_every_code_that_a_service_raises_is_explained() -> None:
    raised = set(_raised_codes())
    assert len(raised) > 20, "the search for raised codes is broken"
    assert raised - _documented_codes() == set()


def test_every_explained_code_exists() -> None:
    sources = "\n".join(path.read_text() for path in SERVICES)
    fixed = {code: code.replace("FIELD", "{") if "FIELD" in code else f'{code}"' for code in _documented_codes()}
    assert {code for code, text in fixed.items() if f'"{text}' not in sources} == set()


def _messages() -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", _section("What `./ai` says"), re.MULTILINE)


@pytest.mark.parametrize("message", _messages())
def test_every_explained_message_of_ai_is_one_it_says(message: str) -> None:
    sources = "\n".join(path.read_text() for path in OPERATOR if path.exists())
    fixed = [part.strip() for part in message.split("…") if part.strip()]
    assert fixed
    assert [part for part in fixed if part not in sources] == []
