"""Hosts that were there before `ai provision` and stay after it: what of ours goes from them, as `destroy` shows it."""

from __future__ import annotations

from typing import Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import connect, remains
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.terraform.plan import Plan
from ai_services.terraform.values import Values
from ai_services.verbs import destroy


def show(
    plan: Plan, hosts: dict[str, dict[str, Any]], values: Values, screen: Screen, home: Home, *, data: bool
) -> None:
    """Show what goes and what stays on the existing hosts that `plan` destroys. `hosts` is what the state says of them.

    Raises:
        OperatorError: one cannot be reached.
    """
    for name in sorted({step.thing.host for step in plan.of("destroy") if step.thing.is_note}):
        known = hosts.get(name)
        if known is None:
            # Nothing was ever deployed to it.
            continue
        key = {**values.plain, **values.hosts.get(name, {})}.get("ai_ssh_key_file")
        target = Target.parse(f"{known['user']}@{known['address']}", key=key, home=home.root)
        try:
            target = connect.reach(target, screen, host_key=known["host_key"])
        except OperatorError as error:
            raise OperatorError(
                f"{name}: {error.message} Nothing was changed.",
                hint=f"{error.hint}\n  If the host is gone for good, let Terraform forget it: "
                f"cd terraform && terraform state rm 'module.existing_host[\"{name}\"]'",
                exit_code=BLOCKED,
            ) from None
        found = remains.look(target)
        if not found.nothing:
            destroy.show(found, target, screen, data=data)
