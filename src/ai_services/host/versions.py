"""Which versions an upgrade can go to, and what it breaks on the way."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from ai_services import __version__
from ai_services.exits import BLOCKED, USAGE, OperatorError

_TABLE: Final = Path(__file__).with_name("releases.yml")


@dataclass(frozen=True)
class Breaking:
    """A change that somebody's scripts or habits may meet: since `version`; `what` it is, and what to `do`."""

    version: str
    id: str
    what: str
    do: str


@dataclass(frozen=True)
class Release:
    """A version of ours."""

    version: str
    breaking: tuple[Breaking, ...] = ()


def known(table: Path = _TABLE) -> list[Release]:
    """Return every version of the table, oldest first."""
    rows = yaml.safe_load(table.read_text(encoding="utf-8"))
    return [
        Release(
            row["version"],
            tuple(Breaking(row["version"], one["id"], one["what"], one["do"]) for one in row.get("breaking") or []),
        )
        for row in rows
    ]


def number(version: str) -> tuple[int, ...]:
    """Return 0.10.0 as (0, 10, 0), so that versions compare; what follows the numbers is left out."""
    parts = []
    for word in version.removeprefix("v").split("-")[0].split("."):
        if not word.isdigit():
            break
        parts.append(int(word))
    return tuple(parts)


def goal(wanted: str | None, serving: str, host: str, on_host: set[str]) -> str:
    """Return the version that an upgrade of a host that serves `serving` goes to; `on_host` are those it still has.

    Raises:
        OperatorError: this checkout cannot make that version, or it would be a way back; what to do instead.
    """
    version = (wanted or __version__).removeprefix("v")
    if number(version) < number(serving):
        back = f"It is still on the host: ./ai rollback {host} {version}"
        again = f"Deploy it from its own checkout: git checkout v{version} && ./ai deploy {host}"
        if not wanted:
            raise OperatorError(
                f"{host} serves {serving}, and this checkout is {version}: it is behind.",
                hint="Bring it up to date first: git pull",
                exit_code=BLOCKED,
            )
        raise OperatorError(
            f"{host} serves {serving}; going to {version} is no upgrade.",
            hint=back if version in on_host else again,
            exit_code=USAGE,
        )
    if version != __version__:
        older = number(version) < number(__version__)
        raise OperatorError(
            f"This checkout makes {__version__}, not {version}.",
            hint=f"Take that one: {'' if older else 'git fetch --tags && '}git checkout v{version} && "
            f"./ai upgrade {host}" + ("" if older else f"; or go to this one: ./ai upgrade {host}"),
            exit_code=USAGE,
        )
    return version


def breaking(serving: str, to: str, table: Path = _TABLE) -> list[Breaking]:
    """Return what breaks between the version that serves and the one that shall, oldest first."""
    return [
        one
        for release in known(table)
        if number(serving) < number(release.version) <= number(to)
        for one in release.breaking
    ]
