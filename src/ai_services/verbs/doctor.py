"""`ai doctor [HOST]`: what is wrong, in plain words, and how to mend it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from ai_services.console import Screen
from ai_services.doctor.fixing import apply
from ai_services.doctor.report import Printer, row_of, summary
from ai_services.exits import NOT_RUNNING, OK, USAGE, OperatorError
from ai_services.local.home import Home
from ai_services.verbs.output import print_json


@dataclass(frozen=True)
class Wish:
    """What the command line asked for; without `host`, the stack on this machine."""

    host: str | None = None
    user: str | None = None
    key: str | None = None
    host_key: str | None = None
    config: str | None = None
    fix: bool = False
    only: Sequence[str] = ()


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Examine, print as it comes, and return the exit code: 0 well, 6 warnings, 1 something failed, 3 nothing there.

    Raises:
        OperatorError: the host cannot be reached, or a check is named that does not exist.
    """
    teller = _Teller(silent=as_json)
    report = _host(wish, wish.host, teller, as_json) if wish.host else _local(wish, teller)
    if as_json:
        print_json(report)
    else:
        teller.printer.end(report)
    return int(report["exit_code"])


class _Teller:
    """Prints rows as they come, unless JSON is wanted, and keeps the last row of each check."""

    def __init__(self, *, silent: bool) -> None:
        self.printer = Printer()
        self.fixed: list[dict[str, Any]] = []
        self._rows: dict[str, dict[str, Any]] = {}
        self._silent = silent

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(self._rows.values())

    def row(self, row: dict[str, Any]) -> None:
        self._rows[str(row["name"])] = row
        if not self._silent:
            self.printer.row(row)

    def fix(self, note: dict[str, Any]) -> None:
        self.fixed.append(note)
        if not self._silent:
            self.printer.fixed(note)


def _known(names: Sequence[str], known: Collection[str]) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise OperatorError(
            f"There is no check {', '.join(unknown)}.", hint=f"There are: {', '.join(sorted(known))}.", exit_code=USAGE
        )


def _local(wish: Wish, teller: _Teller) -> dict[str, Any]:
    from ai_services.local import checkup

    home = Home.current()
    _known(wish.only, [check.name for check in checkup.checks()])
    names = set(wish.only) or None
    fixes = {}
    for check, verdict in checkup.examine(home, names):
        teller.row(row_of(check, verdict))
        if verdict.fixes:
            fixes[check.name] = verdict.fixes
    if wish.fix and fixes:
        for fix in dict.fromkeys(fix for each in fixes.values() for fix in each):
            teller.fix(apply(fix))
        for check, verdict in checkup.examine(home, set(fixes)):
            teller.row(row_of(check, verdict))
    report = summary("this machine", teller.rows, teller.fixed)
    if report["exit_code"] == OK and checkup.is_down(teller.rows):
        report["exit_code"] = NOT_RUNNING
    return report


def _host(wish: Wish, host: str, teller: _Teller, as_json: bool) -> dict[str, Any]:
    from ai_services.doctor.checks import checks
    from ai_services.host import connect, examination
    from ai_services.host.target import Target
    from ai_services.host.values import collect

    inner = [check.name for check in checks()]
    outer = [*examination.LOOKS.values(), examination.CLOCK]
    _known(wish.only, [*inner, *outer])
    home, screen = Home.current(), Screen(json=as_json)
    target = Target.parse(wish.host or "", user=wish.user, key=wish.key, home=home.root)
    home.create_root()
    target = connect.reach(target, screen, host_key=wish.host_key)
    settings: dict[str, Any] = {}
    clock = examination.clock("")
    inside = [name for name in wish.only if name in inner]
    # Also when only the view from outside is asked for: what to look at is in the host's release.
    for found in examination.inside(target, fix=wish.fix, only=inside or (["release"] if wish.only else [])):
        if found.kind == "begin":
            settings = found.content.get("settings") or {}
            clock = examination.clock(str(found.content.get("utc")))
        elif found.kind == "check" and (inside or not wish.only):
            teller.row(found.content)
        elif found.kind == "fixed":
            teller.fix(found.content)
    outside = [name for name in wish.only if name in outer]
    if outside or not wish.only:
        if not outside or examination.CLOCK in outside:
            teller.row(clock)
        address = "127.0.0.1" if target.is_local else target.host
        # A private authority is a file on this machine, which only the operator's own settings name.
        given = collect(config=wish.config).values
        settings |= {name: given.get(name) for name in ("ai_extra_ca_file", "ai_tls_certificate_file")}
        for row in examination.outside(settings, address, outside):
            teller.row(row)
    return summary(host, teller.rows, teller.fixed)
