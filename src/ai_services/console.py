"""What `ai` shows: live tables and bars on a terminal, plain lines where output goes to a file or a pipe."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# Between two plain lines of one download; a log of an unattended run stays readable.
_LINE_EVERY_S = 5.0


def _console(stderr: bool) -> Console:
    from rich.console import Console

    # Piped output is not cut to 80 columns: paths and commands in it are to be copied.
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else 200
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=True)


class Advance(Protocol):
    """Takes the bytes done so far and, if it has become known, the total."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Note `done` bytes."""


@dataclass(frozen=True)
class Row:
    """One line of the table that `up` and `restart` show while components start."""

    name: str
    summary: str
    state: str
    note: str = ""


class Screen:
    """The person's view of a verb. With `json`, everything for people goes to stderr and stdout stays clean."""

    def __init__(self, *, json: bool = False) -> None:
        self.console = _console(stderr=json)
        self.live = self.console.is_terminal and not os.environ.get("CI")

    def say(self, text: str = "") -> None:
        """Print one line of plain text."""
        self.console.print(text, markup=False)

    def done(self, text: str) -> None:
        """Print one line that reports something achieved."""
        self._marked("✔", "green", text)

    def warn(self, text: str) -> None:
        """Print one line that asks for attention."""
        self._marked("!", "yellow", text)

    def _marked(self, mark: str, style: str, text: str) -> None:
        from rich.text import Text

        self.console.print(Text.assemble((f"{mark} ", style), text))

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """Show on a terminal that something is being waited for; nothing of it stays."""
        if not self.live:
            yield
            return
        with self.console.status(text):
            yield

    @contextmanager
    def transfer(self, label: str, total: int | None) -> Iterator[Advance]:
        """Show the progress of bytes: a bar with speed and time left, or a line every few seconds."""
        if self.live:
            with self._bar(label, total) as advance:
                yield advance
        else:
            yield _Lines(self, label, total)

    @contextmanager
    def _bar(self, label: str, total: int | None) -> Iterator[Advance]:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.progress import TransferSpeedColumn as Speed

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(label, total=total)

            def advance(done: int, total: int | None = None) -> None:
                progress.update(task, completed=done, total=total)

            yield advance

    @contextmanager
    def components(self) -> Iterator[Board]:
        """Show components becoming ready."""
        board = _LiveBoard(self.console) if self.live else _LineBoard(self)
        with board:
            yield board


class _Lines:
    def __init__(self, screen: Screen, label: str, total: int | None) -> None:
        self._screen, self._label, self._total = screen, label, total
        self._next = time.monotonic() + _LINE_EVERY_S

    def __call__(self, done: int, total: int | None = None) -> None:
        self._total = total or self._total
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY_S
        of = f" of {self._total / 2**20:.0f} MiB ({done * 100 // self._total} %)" if self._total else " MiB"
        self._screen.say(f"{self._label}: {done / 2**20:.0f}{of}")


class Board(Protocol):
    """Takes the newest rows as often as they are looked at."""

    def show(self, rows: Sequence[Row]) -> None:
        """Show `rows` in place of those before."""


class _LineBoard:
    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._said: dict[str, str] = {}

    def __enter__(self) -> _LineBoard:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, rows: Sequence[Row]) -> None:
        for row in rows:
            if self._said.get(row.name) == row.state:
                continue
            self._said[row.name] = row.state
            self._screen.say(f"{row.name}: {row.state}{f' ({row.note})' if row.note else ''}")


class _LiveBoard:
    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._live = Live(console=console, refresh_per_second=8)

    def __enter__(self) -> _LiveBoard:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, rows: Sequence[Row]) -> None:
        self._live.update(board_table(rows))


STATE_STYLES = {"ready": "green", "starting": "cyan", "waiting": "dim", "restarting": "yellow"}


def board_table(rows: Sequence[Row]) -> RenderableType:
    """Return the table of components for a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for row in rows:
        style = STATE_STYLES.get(row.state, "red")
        mark = "✔" if row.state == "ready" else "…" if row.state in STATE_STYLES else "✘"
        name, summary = Text(row.name, style="bold"), Text(row.summary, style="dim")
        table.add_row(Text(mark, style=style), name, summary, Text(row.state, style=style), Text(row.note, style="dim"))
    return table
