"""One run of `./ai provision` with Terraform: prepare, plan, apply, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ai_services.console import Screen
from ai_services.private import write_private
from ai_services.terraform import errors, plan
from ai_services.terraform.plan import Plan
from ai_services.terraform.process import FLAG, Terraform
from ai_services.terraform.program import Program
from ai_services.terraform.story import Story
from ai_services.terraform.things import Thing
from ai_services.terraform.values import HOSTS, Values
from ai_services.terraform.workspace import Workspace

_PLANNED_CHANGES = 2


@dataclass
class Session:
    """What is run where, for whom. `private` is a folder of this run's own; plans and values lie there."""

    program: Program
    workspace: Workspace
    values: Values
    private: Path
    log: Path
    screen: Screen
    verbose: bool = False
    _files: list[str] = field(init=False)
    _things: dict[str, Thing] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._files = [str(file) for file in self.values.write(self.private)]

    def prepare(self) -> None:
        """Make the working copy and initialise it, with the kinds that are used.

        Raises:
            OperatorError: a provider cannot be fetched, or the state cannot be reached.
        """
        kinds = self.workspace.kinds(self.values, self.workspace.local_state())
        self._initialise(kinds)
        if self.workspace.has_backend and (pulled := self._terraform(None).read("state pull")):
            more = self.workspace.kinds(self.values, json.loads(pulled))
            if not more <= kinds:
                self._initialise(more)

    def plan(self, *, destroy: bool = False) -> Plan:
        """Compare what is there with what is wanted.

        Raises:
            OperatorError: a value is wrong, the state is in use, a provider says no.
        """
        options = {"destroy": FLAG} if destroy else {}
        self._run(
            "Comparing what is there with what is wanted", "plan", good=(0, _PLANNED_CHANGES), out=str(self._plan_file),
            var_file=self._files, detailed_exitcode=FLAG, json=FLAG, input=False, **options,
        )  # fmt: skip
        # It holds every value in the clear, so it is read and not kept.
        found = plan.read(json.loads(self._terraform(None).read("show", str(self._plan_file), json=FLAG) or "{}"))
        self._things = {step.thing.address: step.thing for step in found.steps}
        return found

    def apply(self) -> int:
        """Carry out what `plan` found; return how many things were made, changed or destroyed.

        Raises:
            OperatorError: a step failed.
        """
        # Ephemeral values are in no plan and must be given again.
        given = [file for file in self._files if Path(file).name.startswith("secrets.")]
        story = self._run(
            "Starting", "apply", str(self._plan_file), var_file=given, json=FLAG, input=False, things=self._things
        )
        return story.done

    def lift_protection(self, found: Plan) -> None:
        """Let the data go that `found` destroys: its guards are changed in place, and nothing else.

        Raises:
            OperatorError: it failed.
        """
        self._change("Lifting the protection of data", list(found.guards.values()), {"ai_protect_data": False})

    def take_data_too(self, found: Plan) -> None:
        """Let the hosts that `found` clears keep nothing: what is known of them is changed in place, and nothing else.

        Raises:
            OperatorError: it failed.
        """
        hosts = {name: host | {"ai_keep_data": False} for name, host in self.values.hosts.items()}
        notes = [step.thing.address for step in found.steps if step.thing.is_note]
        self._change("Telling the hosts to keep nothing", notes, {HOSTS: hosts})

    def _change(self, words: str, addresses: list[str], values: dict[str, Any]) -> None:
        if not addresses:
            return
        file = self.private / f"change-{'-'.join(values)}.tfvars.json"
        write_private(file, json.dumps(values, indent=1))
        self._run(
            words, "apply", var_file=[*self._files, str(file)], target=addresses, auto_approve=FLAG, json=FLAG,
            input=False,
        )  # fmt: skip

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return what the state says of each host: url, address, user, host_key, ssh, key; empty before any apply."""
        said = self._terraform(None).read("output", json=FLAG)
        found = (json.loads(said) if said else {}).get("ai_hosts", {}).get("value")
        return found if isinstance(found, dict) else {}

    @property
    def _plan_file(self) -> Path:
        return self.private / "plan"

    def _initialise(self, kinds: set[str]) -> None:
        self.workspace.make(kinds)
        options: dict[str, Any] = {"json": FLAG} if self.program.tells_init else {"no_color": FLAG}
        # What is in the copy decides, not what an earlier copy was initialised for.
        self._run("Preparing Terraform", "init", reconfigure=FLAG, input=False, **options)

    def _run(
        self, words: str, command: str, *arguments: str, good: tuple[int, ...] = (0,),
        things: dict[str, Thing] | None = None, **options: Any,
    ) -> Story:  # fmt: skip
        story = Story(self.screen, words, things)
        try:
            status = self._terraform(story).run(command, *arguments, on_event=story.take, **options)
        finally:
            story.close()
        if status not in good:
            raise errors.explain(story.diagnostics, story.said, things or self._things, self.log)
        return story

    def _terraform(self, story: Story | None) -> Terraform:
        echo: Callable[[str], None] | None = story.say if story and self.verbose else None

        def interrupted() -> None:
            self.screen.say(
                "\nStopping: the step at hand comes to its end and the state is written. This may take a while."
            )

        return Terraform(
            self.program, self.workspace.folder, self.log, list(self.values.secrets.values()), echo,
            on_tick=story.tick if story else lambda: None, on_interrupt=interrupted,
        )  # fmt: skip
