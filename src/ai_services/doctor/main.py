"""The command line of `doctor.pyz`, on a host: `facts`, and `check`, which is what it does when nothing is said."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from typing import Any, NoReturn


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
    look = commands.add_parser("check", help="what is wrong and how to mend it; also when no command is given")
    look.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    look.add_argument("--lines", action="store_true", help="JSON, one object a line, as they come")
    look.add_argument("--fix", action="store_true", help="do what is safe, tell it, and look again")
    look.add_argument("--only", action="append", metavar="CHECK", help="only this check; may be given again")
    look.add_argument("--deadline", type=float, default=None, metavar="SECONDS", help="for everything together")
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["check", *given]
    options = parser.parse_args(given)
    if options.command == "facts":
        from ai_services.doctor.facts import collect

        sys.stdout.write(json.dumps(collect(options.domain), indent=1) + "\n")
        return 0
    return _check(options)


def _check(options: argparse.Namespace) -> int:
    from ai_services.doctor.checks import checks
    from ai_services.doctor.examine import DEADLINE_S, examine
    from ai_services.doctor.report import Printer, row_of, summary

    known = {check.name for check in checks()}
    if unknown := sorted(set(options.only or ()) - known):
        sys.stderr.write(f"There is no check {', '.join(unknown)}. There are: {', '.join(sorted(known))}.\n")
        return 2
    printer = Printer()
    rows: list[dict[str, Any]] = []
    fixed: list[dict[str, Any]] = []
    deadline_s = options.deadline or DEADLINE_S

    def show(row: dict[str, Any]) -> None:
        if options.lines:
            _line({"check": row})
        elif not options.json:
            printer.row(row)

    if options.lines:
        _line({"begin": _begin()})
    names = set(options.only) if options.only else None
    mendable = {}
    for check, verdict in examine(names, deadline_s):
        row = row_of(check, verdict)
        rows.append(row)
        show(row)
        if verdict.fixes:
            mendable[check.name] = verdict.fixes
    if options.fix and mendable:
        from ai_services.doctor.fixing import apply

        for fix in dict.fromkeys(fix for fixes in mendable.values() for fix in fixes):
            note = apply(fix)
            fixed.append(note)
            if options.lines:
                _line({"fixed": note})
            elif not options.json:
                printer.fixed(note)
        again = {check.name: row_of(check, verdict) for check, verdict in examine(set(mendable), deadline_s)}
        for row in again.values():
            show(row)
        rows = [again.get(row["name"], row) for row in rows]
    report = summary(platform.node(), rows, fixed)
    if options.lines:
        _line({"report": {**report, "checks": []}})
    elif options.json:
        sys.stdout.write(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    else:
        printer.end(report)
    return int(report["exit_code"])


def _begin() -> dict[str, Any]:
    """What whoever looks from outside must know: our time, and what the release was made for (it holds no secret)."""
    from datetime import datetime, timezone

    from ai_services.doctor.bounded import Unseen
    from ai_services.doctor.observe_release import release

    try:
        settings = release()["settings"]
    except Unseen:
        settings = {}
    return {"utc": datetime.now(timezone.utc).isoformat(), "settings": settings}


def _line(content: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()
