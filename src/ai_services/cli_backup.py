"""The command lines of `backup` and `restore`."""

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

_NOTHING_KEPT = "nothing half-made was kept"
PassphraseFile = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="FILE", help="File with the passphrase.", show_default="none")
]


def add_to(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command(
        epilog=examples(
            "./ai backup gpu-1",
            "./ai backup gpu-1 --recipient age1… --recipient ~/.ssh/id_ed25519.pub",
            "./ai backup gpu-1 --to /mnt/nas/ai --keep 14",
            "./ai backup gpu-1 --to s3://bucket/prefix --json | jq -r .archive",
        )
    )(backup)
    app.command(
        epilog=examples(
            "./ai restore gpu-2 ~/.local/share/ai-services/backups/ai-backup_gpu-1_….age",
            "./ai restore gpu-1 s3://bucket/prefix/ai-backup_gpu-1_….age --identity key.txt",
            "./ai restore gpu-1 ai-backup_gpu-1_….age --verify",
        )
    )(restore)


def backup(
    host: Host,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="PLACE",
            help="Directory on this machine, or s3://BUCKET/PREFIX.",
            show_default="AI_HOME/backups",
        ),
    ] = None,
    recipients: Annotated[
        list[str] | None,
        typer.Option(
            "--recipient",
            metavar="KEY",
            help="Who can open it: age1…, ssh-ed25519 …, or a file of such; may be repeated.",
            show_default="ai_backup_recipients, else a key made on this machine",
        ),
    ] = None,
    passphrase: Annotated[
        bool, typer.Option("--passphrase", help="Seal it with a passphrase instead, asked for now.")
    ] = False,
    passphrase_file: PassphraseFile = None,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=0, help="Archives of this host that stay there; 0: all.", show_default="all"),
    ] = None,
    config: Config = None,
    pairs: Pairs = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    json: Json = False,
) -> None:
    """Save a host's settings, keys and certificates, and what its services declare, in one encrypted file."""
    from ai_services.verbs.backup import Wish, run

    wish = Wish(
        host, {}, pairs or (), config, user, key, host_key,
        to=to, recipients=recipients or (), passphrase=passphrase, passphrase_file=passphrase_file, keep=keep,
    )  # fmt: skip
    finish(lambda: run(wish, as_json=json), _NOTHING_KEPT)


def restore(
    host: Host,
    archive: Annotated[
        str, typer.Argument(metavar="ARCHIVE", help="A file that `backup` made, or s3://BUCKET/PREFIX/NAME.")
    ],
    identities: Annotated[
        list[str] | None,
        typer.Option(
            "--identity",
            metavar="FILE",
            help="What opens it: a file with AGE-SECRET-KEY-1…, or an ssh-ed25519 key; may be repeated.",
            show_default="the key made on this machine",
        ),
    ] = None,
    passphrase: Annotated[bool, typer.Option("--passphrase", help="Ask for its passphrase.")] = False,
    passphrase_file: PassphraseFile = None,
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Only prove it: check everything, restore it in memory, and let the host know that it is good.",
        ),
    ] = False,
    backup_first: Annotated[
        bool, typer.Option("--backup/--no-backup", help="Back up first what a host that serves already has.")
    ] = True,
    yes: Yes = False,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Settings that win over the archive's.")
    ] = None,
    pairs: Pairs = None,
    user: User = None,
    key: Key = None,
    host_key: HostKey = None,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Deploy a host with the keys, certificates and settings of a backup. Refuses a damaged one before it begins."""
    from ai_services.verbs.restore import Wish, run

    wish = Wish(
        host, {}, pairs or (), config, user, key, host_key, verbose, archive=archive, identities=identities or (),
        passphrase=passphrase, passphrase_file=passphrase_file, verify=verify, backup=backup_first, yes=yes,
    )  # fmt: skip
    finish(lambda: run(wish, as_json=json), ANSIBLE_ENDED)
