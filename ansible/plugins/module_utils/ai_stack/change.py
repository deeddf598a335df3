"""What the parts of one change of the host share: where to, with what, and how it is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .compose import Compose
from .engine import Engine
from .journal import Journal
from .releases import Store

Say = Callable[[str], None]
# The first version whose gateway can let callers wait.
_PAUSES_FROM = (0, 2)


# What the journal calls the steps of a change; SERVICE is an engine's name. `activate` holds all the others, `restore`
# those of the way back.
STEPS = (
    "stage", "activate", "gateway:start", "gateway:switch", "gateway:drain", "gateway:stop", "engine:SERVICE",
    "engine:SERVICE:back", "remove:SERVICE", "start", "restore",
)  # fmt: skip


class ChangeError(Exception):
    """A component could not be changed; the message says why. What served before still does, or is said not to."""


@dataclass(frozen=True)
class Change:
    """A change of the host in `root` to `release`.

    `timeout_s`: how long a component may take to become healthy. `drain_s`: how long those under way may take to end.
    `owner`: under what name backends are paused. `sample`: an Ogg recording for the speech model, empty for none.
    """

    root: Path
    release: str
    engine: Engine
    journal: Journal
    timeout_s: float
    drain_s: float
    owner: str
    say: Say
    sample: bytes = b""
    # For each engine that was exchanged, how long its callers waited at most, in seconds, and how many did at the end.
    waits: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        """The releases of the host."""
        return Store(self.root)

    @cached_property
    def compose(self) -> Compose:
        """Compose on the release that is to serve; asked once what is in it, because that costs a second each time."""
        return Compose(self.root, self.store.path(self.release), self.engine)

    @property
    def can_pause_at_target(self) -> bool:
        """Whether the gateway of the release that is to serve can let callers wait."""
        return number(str(self.store.about(self.release).get("version", ""))) >= _PAUSES_FROM

    def wanted(self) -> dict[str, str]:
        """Name and configuration of each service that is to run."""
        return self.compose.services()

    @contextmanager
    def step(self, name: str, detail: str = "") -> Iterator[None]:
        """One step, in the journal before and after, and told."""
        self.say(f"{name} {detail}".rstrip())
        with self.journal.step(name, self.release, detail):
            yield


def number(version: str) -> tuple[int, ...]:
    """0.2.0 as (0, 2, 0), so that versions compare; what is no number ends it."""
    parts: list[int] = []
    for word in version.split("-", maxsplit=1)[0].split("."):
        if not word.isdigit():
            break
        parts.append(int(word))
    return tuple(parts)
