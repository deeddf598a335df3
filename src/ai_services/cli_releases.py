"""The command lines of `upgrade`, `rollback` and `history`."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_services.cli_options import (
    ANSIBLE_ENDED,
    Config,
    Host,
    HostKey,
    Json,
    Key,
    Pairs,
    User,
    Verbose,
    Yes,
    examples,
    finish,
)

_GOES_ON = "what was begun on the host goes on there; ./ai history HOST shows what came of it"


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(
        epilog=examples(
            "./ai upgrade gpu-1 --check",
            "./ai upgrade gpu-1",
            "./ai upgrade gpu-1 --to 0.2.0 --yes --accept gateway-container",
        )
    )(upgrade)
    app.command(
        epilog=examples("./ai rollback gpu-1", "./ai rollback gpu-1 0.1.0", "./ai rollback gpu-1 848b99099e46")
    )(rollback)
    app.command(epilog=examples("./ai history gpu-1", "./ai history gpu-1 --json | jq .releases"))(history)


def upgrade(
    host: Host,
    to: Annotated[
        str | None, typer.Option("--to", metavar="VERSION", help="Version to go to.", show_default="this checkout's")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Look, plan, and say what would change; change nothing.")
    ] = False,
    yes: Yes = False,
    accept: Annotated[
        list[str] | None,
        typer.Option("--accept", metavar="ID", help="Accept this breaking change; may be repeated."),
    ] = None,
    config: Config = None,
    pairs: Pairs = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Bring a host to this checkout's version, one component at a time; callers wait for seconds, none is refused."""
    from ai_services.verbs.upgrade import Wish, run

    wish = Wish(
        host, {}, pairs or (), config, user, key, host_key, verbose,
        to=to, check=check, yes=yes, accept=tuple(accept or ()),
    )  # fmt: skip
    finish(lambda: run(wish, as_json=json), ANSIBLE_ENDED)


def rollback(
    host: Host,
    release: Annotated[
        str | None,
        typer.Argument(metavar="[RELEASE]", help="Id or version.", show_default="the one that served before"),
    ] = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    json: Json = False,
) -> None:
    """Go back to a release that is still on the host: in seconds, and without a network."""
    from ai_services.verbs.rollback import Wish, run

    wish = Wish(host, user=user, key=key, host_key=host_key, release=release)
    finish(lambda: run(wish, as_json=json), _GOES_ON)


def history(
    host: Host,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of the journal.")] = 20,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    json: Json = False,
) -> None:
    """Show which releases a host has, which one serves, and what was done with them."""
    from ai_services.verbs.history import Wish, run

    wish = Wish(host, user=user, key=key, host_key=host_key, lines=lines)
    finish(lambda: run(wish, as_json=json))
