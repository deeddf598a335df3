"""Which files belong to the repository: those that git tracks, or, where git is missing, those that are there."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

# Names of folders that hold what tools made, never what people wrote. Only used where git cannot tell.
MADE = {
    ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", "__pycache__", "node_modules", "dist", "build",
}  # fmt: skip


def root() -> Path:
    """The checkout this package was installed from (editable), where `./ai` lies."""
    return Path(__file__).resolve().parents[3]


@cache
def files(top: Path) -> tuple[Path, ...]:
    """Every file of the repository under `top`, sorted, as absolute paths.

    With git: tracked files and new ones that are not ignored, so that a check speaks before the commit and not after.
    """
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=top,
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return _walk(top)
    paths = {top / name for name in listed.decode().split("\0") if name}
    return tuple(sorted(path for path in paths if path.is_file()))


def _walk(top: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    pending = [top]
    while pending:
        for entry in pending.pop().iterdir():
            if entry.name in MADE or entry.name.endswith(".egg-info"):
                continue
            if entry.is_dir() and not entry.is_symlink():
                pending.append(entry)
            elif entry.is_file():
                found.append(entry)
    return tuple(sorted(found))


def with_suffix(top: Path, *suffixes: str) -> list[Path]:
    """The repository's files whose names end in one of `suffixes`."""
    return [path for path in files(top) if path.suffix in suffixes]


def shell_scripts(top: Path) -> list[Path]:
    """Files named *.sh or *.bash, and files without a suffix that begin with a sh or bash shebang."""
    scripts = with_suffix(top, ".sh", ".bash")
    for path in files(top):
        if path.suffix:
            continue
        with path.open("rb") as opened:
            first = opened.readline(80)
        if first.startswith(b"#!") and first.rstrip().endswith((b"/sh", b"/bash", b" sh", b" bash")):
            scripts.append(path)
    return sorted(scripts)


def text(path: Path) -> str | None:
    """The file's text, or None when it is not text (a NUL byte, or not UTF-8)."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
