"""Hosts that were there before `ai provision` and stay after it: what is on them is taken off as `destroy` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import connect, remains
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import load
from ai_services.host.settings_table import variables
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.terraform.plan import Plan
from ai_services.terraform.values import Values
from ai_services.verbs import destroy


@dataclass(frozen=True)
class Existing:
    """One such host, and the settings that say what of it is kept."""

    target: Target
    settings: HostSettings

    def take_off(self, screen: Screen, home: Home, *, verbose: bool) -> None:
        """Remove the services. Raises OperatorError when a step failed."""
        destroy.take_off(self.target, self.settings, home, screen, again=str(self.target), verbose=verbose)
        screen.done(f"{self.target} is as it was found.")


def look(
    plan: Plan, hosts: dict[str, dict[str, Any]], values: Values, screen: Screen, home: Home, *, data: bool
) -> list[Existing]:
    """Show what goes and what stays on the existing hosts that `plan` forgets; return those that bear something.

    `hosts` is what the state says of them.

    Raises:
        OperatorError: one cannot be reached.
    """
    found = []
    for name in sorted({step.thing.host for step in plan.steps if step.thing.module == "existing_host"}):
        known = hosts.get(name)
        if known is None:
            # Nothing was ever deployed to it.
            continue
        own = {**values.plain, **values.hosts.get(name, {})}
        settings = load({key: value for key, value in own.items() if key in variables()}, "destroy")
        target = Target.parse(f"{known['user']}@{known['address']}", key=own.get("ai_ssh_key_file"), home=home.root)
        try:
            target = connect.reach(target, screen, host_key=known["host_key"])
        except OperatorError as error:
            raise OperatorError(
                f"{name}: {error.message} Nothing was changed.",
                hint=f"{error.hint}\n  If the host is gone for good, let Terraform forget it: "
                "cd terraform && terraform destroy",
                exit_code=BLOCKED,
            ) from None
        bears = remains.look(target)
        if not bears.nothing:
            destroy.show(bears, target, screen, data=data)
            found.append(Existing(target, settings))
    return found
