"""One run of `./ai provision` with Terraform: prepare, plan, apply, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.local.home import write_json
from ai_services.private import write_private
from ai_services.terraform import errors, plan
from ai_services.terraform.plan import Plan
from ai_services.terraform.process import FLAG, Terraform
from ai_services.terraform.program import Program
from ai_services.terraform.story import Story
from ai_services.terraform.things import Thing
from ai_services.terraform.values import HOSTS, Values
from ai_services.terraform.workspace import Workspace

_PLANNED_CHANGES: Final = 2
_LIFTING: Final = "Lifting the protection of data"


@dataclass
class Session:
    """What is run where, for whom.

    `private` is a folder of this run's own; plans and values lie there. `again` is the command that goes on from a run
    that was broken off.
    """

    program: Program
    workspace: Workspace
    values: Values
    private: Path
    log: Path
    screen: Screen
    again: str
    verbose: bool = False
    _files: list[str] = field(init=False)
    _unprotected: bool = field(init=False, default=False)
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
        words, options = "Comparing what is there with what is wanted", {"destroy": FLAG} if destroy else {}
        found = self._plan(words, "plan", var_file=self._files, **options)
        if not destroy and found.reborn:
            found = self._plan(words, "plan", var_file=self._files, replace=found.reborn)
        self._things = {step.thing.address: step.thing for step in found.steps}
        return found

    def apply(self) -> None:
        """Carry out what `plan` found.

        Raises:
            OperatorError: a step failed.
        """
        # Also of a run that stops half way: what it has made was made of these.
        write_json(self._applied, self.values.plain)
        self._carry_out("plan", "Starting", self._things)

    def lift_protection(self, found: Plan) -> None:
        """Let the data go that `found` destroys: what protects it is changed in place, and nothing else.

        That is possible only with the values that were last applied: with others the machine itself would change.
        Where the machine is gone, nothing can be changed in place; there the guard is told by the run itself.

        Raises:
            OperatorError: other values than the last that we know of were applied, or it failed.
        """
        self._unprotected = True
        guards = [address for host, address in found.guards.items() if host not in found.lost]
        if not guards:
            return
        self._write("unprotected", {"ai_protect_data": False})
        secrets = [file for file in self._files if file != self._file("values")]
        for values in (str(self._applied), self._file("values")):
            if not Path(values).is_file():
                continue
            files = [values, *secrets, self._file("unprotected")]
            lifting = self._plan(_LIFTING, "lift", var_file=files, target=guards)
            if not lifting.of("destroy", "replace") and not lifting.guards:
                self._carry_out("lift", _LIFTING, {})
                return
        raise OperatorError(
            f"The protection of {', '.join(found.guards)} cannot be lifted together with other changes, and with which "
            "values it was last applied is not known here. Nothing was changed.",
            hint="Bring the values back to what they were and run ./ai provision --set ai_protect_data=false; "
            "then change them, and run that again.",
            exit_code=BLOCKED,
        )

    def take_data_too(self, found: Plan) -> None:
        """Let the hosts that `found` clears keep nothing: what is known of them is changed in place, and nothing else.

        Raises:
            OperatorError: it failed.
        """
        notes = [step.thing.address for step in found.steps if step.thing.is_note]
        if notes:
            words = "Telling the hosts to keep nothing"
            values: dict[str, Any] = {"ai_keep_data": False}
            if HOSTS in self.values.plain:
                values[HOSTS] = {name: host | values for name, host in self.values.hosts.items()}
            self._write("empty", values)
            self._plan(words, "empty", var_file=[*self._files, self._file("empty")], target=notes)
            self._carry_out("empty", words, {})

    def hosts(self) -> dict[str, dict[str, Any]]:
        """Return what the state says of each host: url, address, user, host_key, ssh, key; empty before any apply."""
        said = self._terraform(None).read("output", json=FLAG)
        found = (json.loads(said) if said else {}).get("ai_hosts", {}).get("value")
        return found if isinstance(found, dict) else {}

    @property
    def _applied(self) -> Path:
        """The values of the last apply, beside the working copy; there are no secrets in it."""
        return self.workspace.folder.parent / "applied.tfvars.json"

    def _file(self, stem: str) -> str:
        return str(self.private / f"{stem}.tfvars.json")

    def _write(self, stem: str, values: dict[str, Any]) -> None:
        write_private(Path(self._file(stem)), json.dumps(values, indent=1))

    def _plan(self, words: str, name: str, **options: Any) -> Plan:
        file = str(self.private / name)
        common: dict[str, Any] = {"out": file, "detailed_exitcode": FLAG, "json": FLAG, "input": False}
        self._run(words, "plan", good=(0, _PLANNED_CHANGES), **common, **options)
        # It holds every value in the clear, so it is read and not kept.
        if not (shown := self._terraform(None).read("show", file, json=FLAG)):
            raise OperatorError(
                f"{self.program} made a plan and cannot show it. Nothing was changed.",
                hint=f"See what it says by hand: cd terraform && terraform plan\n  Everything so far: {self.log}",
            )
        return plan.read(json.loads(shown))

    def _carry_out(self, name: str, words: str, things: dict[str, Thing]) -> None:
        # Ephemeral values are in no plan and must be given again.
        secrets = [file for file in self._files if file == self._file("secrets")]
        self._run(
            words, "apply", str(self.private / name), var_file=secrets, json=FLAG, input=False, things=things
        )  # fmt: skip

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
            raise errors.explain(
                story.diagnostics, story.said, things or self._things, self.log,
                again=self.again, applying=command == "apply",
            )  # fmt: skip
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
            more={"TF_VAR_ai_protect_data": "false"} if self._unprotected else {},
        )  # fmt: skip
