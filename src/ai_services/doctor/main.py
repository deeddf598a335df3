"""The command line of `doctor.pyz`, on a host: `facts`, and `check`, which is what it does when nothing is said."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code.

    The process ends at once: a look at something that hangs for ever may still be going on in a thread.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0
    except KeyboardInterrupt:
        code = 130
    sys.stderr.flush()
    os._exit(code)


def _run(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="doctor", description="Says what is wrong with this host and how to mend it.")
    commands = parser.add_subparsers(dest="command")
    facts = commands.add_parser("facts", help="what this machine is, as JSON")
    facts.add_argument("--domain", action="append", default=[], metavar="NAME", help="also resolve this name")
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["check", *given]
    options = parser.parse_args(given)
    if options.command == "facts":
        from ai_services.doctor.facts import collect

        sys.stdout.write(json.dumps(collect(options.domain), indent=1) + "\n")
        return 0
    return 2
