"""`ai logs`: what the components said."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

from ai_services.exits import NOT_RUNNING, OK, USAGE, OperatorError
from ai_services.local.components import COMPONENTS
from ai_services.local.home import Home


def run(component: str | None, *, follow: bool = False, lines: int = 50) -> int:
    """Print the last lines of one or all logs, and with `follow` what is added, until Ctrl-C."""
    home = Home.current()
    names = [row.name for row in COMPONENTS] + ["supervisord"]
    if component and component not in names:
        raise OperatorError(f"There is no component {component}.", hint=f"Say {', '.join(names)}.", exit_code=USAGE)
    wanted = [component] if component else names[:-1]
    files = [home.logs / f"{name}.log" for name in wanted]
    if not any(file.exists() for file in files):
        raise OperatorError(f"No logs in {home.logs} yet.", hint="Start the stack: ./ai up", exit_code=NOT_RUNNING)
    label = len(files) > 1
    for file in files:
        with suppress(FileNotFoundError), file.open(encoding="utf-8", errors="replace") as stream:
            for line in deque(stream, lines):
                _write(file, line, label)
    if follow:
        with suppress(KeyboardInterrupt):
            _follow(files, label)
    return OK


def _write(file: Path, line: str, label: bool) -> None:
    sys.stdout.write(f"{file.stem} | {line}" if label else line)
    if not line.endswith("\n"):
        sys.stdout.write("\n")


def _follow(files: list[Path], label: bool) -> None:
    # Rotation renames the file: a smaller size or another inode means, read the new one from its beginning.
    seen = {file: (_inode(file), file.stat().st_size if file.exists() else 0) for file in files}
    while True:
        sys.stdout.flush()
        time.sleep(0.2)
        for file in files:
            inode, position = seen[file]
            current = _inode(file)
            if current is None:
                continue
            if current != inode or file.stat().st_size < position:
                position = 0
            with file.open("rb") as stream:
                stream.seek(position)
                new = stream.read()
            whole, _, _ = new.rpartition(b"\n")
            for line in whole.decode(errors="replace").splitlines():
                _write(file, line + "\n", label)
            seen[file] = (current, position + (len(whole) + 1 if whole else 0))


def _inode(file: Path) -> int | None:
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return None
