"""Hosts that were there before `ai provision` and stay after it: what of ours goes from them, as `destroy` shows it."""

from __future__ import annotations

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.host import connect, remains
from ai_services.host.target import Target
from ai_services.local.home import Home
from ai_services.terraform.plan import Plan
from ai_services.verbs import destroy


def show(plan: Plan, screen: Screen, home: Home, *, data: bool) -> None:
    """Show what goes and what stays on the existing hosts that `plan` destroys.

    Raises:
        OperatorError: one cannot be reached.
    """
    for thing in (step.thing for step in plan.of("destroy") if step.thing.is_note):
        # The state knows how it was reached; the values of today may be others.
        known = thing.values["input"]
        key = known.get("ssh_key_file")
        try:
            target = Target.parse(known["login"], key=key, home=home.root)
            target = connect.reach(target, screen, host_key=known["host_key"])
        except OperatorError as error:
            raise OperatorError(
                f"{thing.host}: {error.message} Nothing was changed.",
                hint=f"{error.hint}\n  If the host is gone for good, let Terraform forget it: "
                f"cd terraform && terraform state rm '{thing.address}'",
                exit_code=BLOCKED,
            ) from None
        found = remains.look(target)
        if not found.nothing:
            destroy.show(found, target, screen, data=data)
