"""Letting a release serve: start it, see it work, and only then call it current; otherwise the one before is back.

`current` is switched last. Whoever boots this host in between finds `current` naming a release that has worked, and the
unit ai.service brings exactly that one up.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .compose import Compose, ComposeError, UnhealthyError
from .engine import Engine, EngineError
from .journal import Journal, broken_off
from .releases import Store

Progress = Callable[[str], None]


class ActivationError(Exception):
    """The release does not serve. The message says why, and what serves now."""


def activate(
    root: Path, release: str, journal: Journal, engine: Engine, timeout_s: float, say: Progress = lambda _: None
) -> list[str]:
    """Make `release` the one that serves; returns what was done in words, empty when it served already.

    Raises:
        ActivationError: it did not become healthy; the release that served before is back, or said not to be.
    """
    store = Store(root)
    compose = Compose(root, store.path(release), engine)
    before = store.current
    try:
        todo = compose.differences()
    except (ComposeError, EngineError) as error:
        raise ActivationError(f"Release {release} cannot be started. {error}") from error
    if not todo and before == release:
        _still_well(compose, release, timeout_s)
        # A run that was cut off has left nothing to do; its step would seem to be going on for ever.
        for step in broken_off(journal.path):
            journal.write(step, "done", release, "serves; a run before this one was cut off")
        return []
    try:
        with journal.step("activate", release, "; ".join(todo)):
            say("; ".join(todo) or "nothing to start")
            compose.up()
            say("waiting until every service is healthy")
            compose.wait_healthy(timeout_s)
            store.switch(release)
    except (ComposeError, UnhealthyError, EngineError) as error:
        raise ActivationError(f"{error}\n{_go_back(root, before, release, journal, engine, timeout_s)}") from error
    if before != release:
        todo.append(f"release {release} serves" + (f" instead of {before}" if before else ""))
    return todo


def _still_well(compose: Compose, release: str, timeout_s: float) -> None:
    try:
        compose.wait_healthy(timeout_s)
    except (UnhealthyError, EngineError) as error:
        raise ActivationError(f"Release {release} runs as it should, but does not work. {error}") from error


def _go_back(root: Path, before: str | None, release: str, journal: Journal, engine: Engine, timeout_s: float) -> str:
    """Bring the release that served before back; returns what serves now, in a sentence."""
    if before is None:
        return "Nothing served before it. Mend what is said above and deploy again."
    if before == release:
        return f"Release {before} is the current one and stays it. Mend what is said above and deploy again."
    try:
        with journal.step("restore", before, f"instead of {release}"):
            compose = Compose(root, Store(root).path(before), engine)
            compose.up()
            compose.wait_healthy(timeout_s)
    except (ComposeError, UnhealthyError, EngineError) as error:
        return f"Release {before} served before it and could not be brought back either: {error}"
    return f"Release {before}, which served before it, serves again."
