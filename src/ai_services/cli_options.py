"""What the verbs' command lines share: options, examples in their help, and how each verb ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from ai_services.exits import INTERRUPTED, OK, TERMINATED, OperatorError, Terminated

ANSIBLE_ENDED = "Ansible and all it had started here have ended"
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout; everything for people goes to stderr.")]
Host = Annotated[
    str,
    typer.Argument(
        metavar="HOST", help="NAME, IP, USER@HOST, USER@HOST:PORT, [IPv6]:PORT, or localhost for this machine."
    ),
]
Config = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE", help="Settings as YAML.", show_default="ai.yml, if it is there"),
]
Pairs = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="One setting, as ai_ollama_model=qwen2.5:1.5b; may be repeated."),
]
User = Annotated[
    str | None, typer.Option("--user", help="Who logs in.", show_default="SSH_USER, or SSH's own configuration")
]
Key = Annotated[
    str | None,
    typer.Option("--key", metavar="FILE", help="SSH key to log in with.", show_default="SSH_KEY, or SSH's own"),
]
HostKey = Annotated[
    str | None,
    typer.Option("--host-key", metavar="SHA256:…", help="The host's SSH key or its fingerprint; no other is accepted."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show Ansible's own output too.")]


def examples(*commands: str) -> str:
    """Return the examples as a help page ends with them."""
    return "Examples:\n" + "\n".join(f"  {command}" for command in commands)


def finish(work: Callable[[], int], stopped: str = "nothing that was being started is left running") -> NoReturn:
    """Do the work and leave with its exit code, or with that of what went wrong."""
    # typer would turn Ctrl-C into "Aborted!" and exit code 1, so everything is answered before it sees it.
    try:
        code = work()
    except OperatorError as error:
        _report(error)
        code = error.exit_code
    except KeyboardInterrupt as interrupt:
        sys.stderr.write(f"\nStopped: {stopped}.\n")
        code = TERMINATED if isinstance(interrupt, Terminated) else INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`ai logs | head`): no error, and nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = OK
    raise typer.Exit(code)


def _report(error: OperatorError) -> None:
    from ai_services.console import Screen

    screen = Screen(json=True)
    if error.detail:
        screen.say("\n".join(f"  | {line}" for line in error.detail.splitlines()))
    screen.console.print(f"✘ {error.message}", style="red", markup=False)
    if error.hint:
        screen.say(f"  {error.hint}")
