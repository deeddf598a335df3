"""`ai provision`: `terraform/` for people. Shows what it will do, what hurts first; asks; does it; says where it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OK, USAGE, OperatorError
from ai_services.host.phases import duration
from ai_services.host.values import collect
from ai_services.local.home import Home
from ai_services.private import new_log, private_folder
from ai_services.terraform import program
from ai_services.terraform import values as terraform_values
from ai_services.terraform.plan import Plan
from ai_services.terraform.session import Session
from ai_services.terraform.values import Values
from ai_services.terraform.workspace import Workspace, alone
from ai_services.verbs import ask, provision_hosts
from ai_services.verbs.output import print_json

FOLDER = "provision"
_LOSES: Final = "This destroys the data of {hosts}: models, keys, recordings."


@dataclass(frozen=True)
class Wish:
    """What the command line asked for; `data`, with `destroy`, takes what is protected too."""

    config: str | None = None
    pairs: Sequence[str] = ()
    destroy: bool = False
    data: bool = False
    yes: bool = False
    verbose: bool = False

    @property
    def again(self) -> str:
        """The command that goes on where this one was broken off: never one that makes what was to go."""
        return "./ai provision" + (" --destroy" if self.destroy else "") + (" --data" if self.data else "")


def run(wish: Wish, *, as_json: bool = False) -> int:
    """Plan, ask, apply; or destroy. Returns the exit code; nothing to do is no error.

    Raises:
        OperatorError: a value is wrong, no Terraform is to be had, nobody agreed, or a step failed.
    """
    begun = time.monotonic()
    home, screen = Home.current(), Screen(json=as_json)
    if wish.data and not wish.destroy:
        raise OperatorError("--data is for --destroy.", hint="Leave it out, or add --destroy.", exit_code=USAGE)
    values = _values(wish)
    home.create_root()
    terraform = program.find(home.root, lambda words, work: _bring(screen, words, work))
    log = new_log(home.logs, "destroy-machines" if wish.destroy else "provision")
    screen.say(f"{terraform}; log: {log}")
    with alone(home.root / FOLDER), private_folder() as private:
        workspace = Workspace(home.root / FOLDER / "terraform")
        session = Session(terraform, workspace, values, private, log, screen, wish.again, wish.verbose)
        try:
            session.prepare()
            done = _destroy(session, wish, home) if wish.destroy else _apply(session, wish)
        except KeyboardInterrupt:
            screen.say(f"What was done is in the state. A second run goes on from here: {wish.again}")
            raise
        hosts = session.hosts()
    seconds = time.monotonic() - begun
    if as_json:
        steps = [
            {"action": step.action, "host": step.thing.host, "thing": str(step.thing), "address": step.thing.address}
            for step in done.steps
        ]
        print_json({"steps": steps, "hosts": hosts, "seconds": round(seconds, 1), "log": str(log)})
        return OK
    screen.say()
    screen.say(f"Done in {duration(seconds)}." if done.steps else f"Nothing had to be changed ({duration(seconds)}).")
    _tell(hosts, screen, log)
    return OK


def _values(wish: Wish) -> Values:
    given = collect(config=wish.config, pairs=wish.pairs, names=terraform_values.names())
    return terraform_values.read(given)


def _apply(session: Session, wish: Wish) -> Plan:
    plan = session.plan()
    if not plan.steps:
        if plan.pending:
            session.apply()
        return plan
    _show(plan, session.screen)
    lifted = session.values.of("ai_protect_data") == {False}
    guarded = sorted(set(plan.guards) - plan.lost)
    if guarded and not lifted:
        raise OperatorError(
            f"{_LOSES.format(hosts=', '.join(guarded))} It is protected (ai_protect_data); nothing was changed.",
            hint="If that is meant: ./ai provision --set ai_protect_data=false (it asks once more)",
            exit_code=BLOCKED,
        )
    if not wish.yes:
        gone = " ".join(sorted({*plan.loses_data, *guarded}))
        ask.agree(
            *((gone, f"Data cannot be brought back. Type {gone}") if gone else ("yes", "Go on? (yes/no)")), "changed"
        )
    if plan.guards:
        session.lift_protection(plan)
        session.plan()
    session.apply()
    return plan


def _destroy(session: Session, wish: Wish, home: Home) -> Plan:
    screen, hosts = session.screen, session.hosts()
    plan = session.plan(destroy=True)
    if not plan.steps:
        return plan
    provision_hosts.show(plan, screen, home, data=wish.data)
    _show(plan, screen)
    if (plan.loses_data or plan.guards) and not wish.data:
        raise OperatorError(
            f"{_LOSES.format(hosts=', '.join(sorted({*plan.loses_data, *plan.guards})))} Nothing was changed.",
            hint="If that is meant: ./ai provision --destroy --data (it asks once more)",
            exit_code=BLOCKED,
        )
    if not wish.yes:
        names = " ".join(sorted(_name(name, hosts) for name in {step.thing.host for step in plan.steps} if name))
        lost = "Data cannot be brought back. " if wish.data else ""
        ask.agree(names, f"{lost}Type what is to go ({names})", "destroyed")
    if wish.data:
        session.lift_protection(plan)
        session.take_data_too(plan)
        session.plan(destroy=True)
    session.apply()
    return plan


def _show(plan: Plan, screen: Screen) -> None:
    screen.say()
    for line in plan.lines():
        screen.say(line)
    screen.say()


def _name(host: str, hosts: dict[str, dict[str, Any]]) -> str:
    """Return the name that a person knows the host by: its domain, where it has one."""
    return urlsplit(str(hosts.get(host, {}).get("url", ""))).hostname or host


def _tell(hosts: dict[str, dict[str, Any]], screen: Screen, log: Path) -> None:
    for name, host in hosts.items():
        screen.say()
        if len(hosts) > 1:
            screen.say(f"{name}:")
        screen.say(f"URL      {host['url']}   (docs: {host['url']}/docs)")
        screen.say(f"Address  {host['address']}")
        screen.say(f"Log in   {host['ssh']}")
        screen.say(f"API key  {host['key']} on the host: {host['ssh']} 'sudo cat {host['key']}'")
    screen.say(f"Log      {log}")


def _bring(screen: Screen, words: str, work: Callable[[], None]) -> None:
    screen.say(words)
    with screen.busy(words):
        work()
