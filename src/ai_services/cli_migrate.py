"""The command line of `migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from ai_services.cli_options import (
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
from ai_services.exits import USAGE, OperatorError

_STOPPED = "what serves on the host still does; run the same again to go on, or with --rollback to undo"


def add_to(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command(
        epilog=examples(
            "./ai migrate 192.168.20.30 --dry-run",
            "./ai migrate deployer@192.168.20.30 --owner your-username --domain ai.internal.example.com",
            "./ai migrate gpu-1 --service whisper-asr --yes",
            "./ai migrate gpu-1 --rollback",
            "./ai migrate gpu-1 --finalize",
        )
    )(migrate)


def migrate(
    host: Host,
    owner: Annotated[
        str | None,
        typer.Option(help="GitHub user whose images are deployed (ai_github_owner).", show_default="from ai.yml"),
    ] = None,
    domain: Annotated[
        str | None,
        typer.Option(
            help="Name under which the host is reached (ai_domain).", show_default="from ai.yml, or that of its site"
        ),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The service to migrate.", show_default="the one that is understood"),
    ] = None,
    ask_key: Annotated[
        bool, typer.Option("--ask-key", help="Ask callers of the old routes for a key, unlike before.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look and plan; change nothing.")] = False,
    yes: Yes = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Bring the old service back as it was; possible until --finalize.")
    ] = False,
    finalize: Annotated[
        bool, typer.Option("--finalize", help="Remove what was kept of the old service; no way back afterwards.")
    ] = False,
    config: Config = None,
    pairs: Pairs = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Make a host with another Whisper service ours, in place: look, plan, ask, and change over without an outage."""
    from ai_services.verbs.migrate import Wish, run

    def work() -> int:
        if rollback + finalize + dry_run > 1:
            raise OperatorError(
                "--dry-run, --rollback and --finalize exclude each other.", hint="Give one.", exit_code=USAGE
            )
        wish = Wish(
            host, {"ai_domain": domain, "ai_github_owner": owner}, pairs or (), config, user, key, host_key, verbose,
            service=service, ask_key=ask_key, dry_run=dry_run, yes=yes, rollback=rollback, finalize=finalize,
        )  # fmt: skip
        return run(wish, as_json=json)

    finish(work, _STOPPED)
