"""The steps of a migration, in their order: what each does, and that it may be done twice.

`STEPS` names them; the host's journal (`migrate:NAME`) and its state speak of them by these names. A step is done when
the host says so: whoever comes later, from whatever machine, begins with the first one that is not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from ai_services.console import Screen
from ai_services.exits import FAILED, OperatorError
from ai_services.host.phases import Story
from ai_services.host.playbook import Run
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.host.target import Target
from ai_services.migrate.host_tool import HostTool

PLAYBOOK: Final = "migrate.yml"


@dataclass
class Work:
    """What the steps work with. `state` is the host's own, read anew after each step; `story` is told by Ansible."""

    tool: HostTool
    target: Target
    settings: HostSettings
    screen: Screen
    log: Path
    again: str
    verbose: bool = False
    state: dict[str, Any] = field(default_factory=dict)
    changed: int = 0

    @property
    def order(self) -> dict[str, Any]:
        """What the host was ordered to become."""
        found: dict[str, Any] = self.state["order"]
        return found

    def read(self) -> dict[str, Any]:
        """Read the host's state; empty where no migration was begun."""
        self.state = self.tool.call("state")["state"] or {}
        return self.state

    def say(self, text: str) -> None:
        """Tell one line of a step."""
        self.screen.say(f"  … {text}")

    def variables(self, *, standby: bool) -> dict[str, Any]:
        """Return the settings as Ansible gets them; `standby`: while the old service still answers behind us."""
        values = public(self.settings)
        values["ai_old_api_url"] = self._standby() if standby else None
        return values

    def _standby(self) -> str:
        port = self.order.get("relay_port") or self.order["old"]["port"]
        return f"http://host.docker.internal:{port}"

    def play(self, phase: str, *, standby: bool = True, playbook: str = PLAYBOOK, **more: Any) -> None:
        """Let Ansible converge one phase under our lock.

        Raises:
            OperatorError: a task failed, or somebody else has the host now; what served before still does.
        """
        from ai_services.verbs.deploy import failed

        secret = self.settings.ai_ghcr_token
        secrets = {"ai_ghcr_token_file": secret} if secret else {}
        values = {**self.variables(standby=standby), "migrate_phase": phase, **more}
        story = Story(_Quiet(self.screen))

        def tick() -> None:
            self.tool.insist()
            story.tick()

        run = Run(playbook, self.target, values, self.log, (), secrets, self.verbose, {"AI_RUN_TOKEN": self.tool.token})
        try:
            status = run.go(story.take, tick)
        finally:
            story.close()
        self.changed += story.told.changed
        if status:
            error = failed(story, self.target, self.log, "migrate")
            raise OperatorError(error.message, hint=error.hint, exit_code=error.exit_code)


class _Quiet(Screen):
    """A screen for one step's own phases: the plan was shown already, and the step says what came of it."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.console, self.live = screen.console, screen.live

    def say(self, text: str = "") -> None:
        """Tell only that something goes on."""
        if text.lstrip().startswith("…"):
            super().say(text)

    def warn(self, text: str) -> None:
        """Keep silent: what the plan warns of was said before anybody agreed to it."""

    def done(self, text: str) -> None:
        """Tell a phase of the step, further in."""
        super().done(f"  {text}")


@dataclass(frozen=True)
class Step:
    """A step: its `name` in the journal, what a person reads, how it is done. `marks`: the host marks it itself."""

    name: str
    title: str
    do: Callable[[Work], None]
    marks: bool = False


def _backup(work: Work) -> None:
    kept = work.tool.call("backup")
    work.say(f"{kept['files']} files of the old service are kept on the host")


def _prepare(work: Work) -> None:
    work.play("prepare")


def _beside(work: Work) -> None:
    work.tool.call("relay")
    work.play("beside")
    work.tool.call("standby", timeout_s=1200)
    work.say("the gateway answers by the old service")


def _front(work: Work) -> None:
    order = work.order
    work.play("front", nginx_aside=order["aside"], nginx_in_place_of=order["in_place_of"])
    work.tool.call("redirect")


def _certificate(work: Work) -> None:
    order = work.order
    work.play("certificate", nginx_aside=order["aside"], nginx_in_place_of=order["in_place_of"])


def _whisper(work: Work) -> None:
    work.tool.long("whisper", work.say, lambda: None)


def _ollama(work: Work) -> None:
    work.tool.long("ollama", work.say, lambda: None)


def _verify(work: Work) -> None:
    work.play("verify")


def _retire(work: Work) -> None:
    work.tool.call("retire", timeout_s=120)
    work.play("final", standby=False, nginx_aside=work.order["aside"])


STEPS: Final = (
    Step("backup", "Keep what is here", _backup),
    Step("prepare", "Bring everything that is needed", _prepare),
    Step("beside", "Gateway beside the old service", _beside),
    Step("front", "nginx before both", _front),
    Step("certificate", "Certificate and our own name", _certificate),
    Step("whisper", "Speech", _whisper, marks=True),
    Step("ollama", "Language model", _ollama, marks=True),
    Step("verify", "Asking from outside", _verify),
    Step("retire", "Old parts to rest", _retire),
)
NAMES: Final = tuple(step.name for step in STEPS)


def carry_out(work: Work, steps: tuple[Step, ...] = STEPS) -> None:
    """Do every step that the host does not call done.

    Raises:
        OperatorError: one failed; the next run begins with it.
    """
    for step in steps:
        if work.state["steps"].get(step.name, {}).get("state") == "done":
            work.screen.done(f"{step.title:<34} done before")
            continue
        begun = time.monotonic()
        work.screen.say(f"{step.title}")
        if not step.marks:
            work.tool.call("mark", step.name, "begun")
        try:
            step.do(work)
        except OperatorError as error:
            if not step.marks:
                note(work, step, error)
            raise OperatorError(
                f"Step '{step.name}' ({step.title}) failed: {error.message}",
                hint=f"{error.hint or ''}\n  Callers are answered as before. Go on after mending it: "
                f"./ai migrate {work.again}; or take it all back: ./ai migrate {work.again} --rollback".lstrip(),
                exit_code=error.exit_code or FAILED,
            ) from error
        if not step.marks:
            work.tool.call("mark", step.name, "done")
        work.read()
        work.screen.done(f"{step.title:<34} {time.monotonic() - begun:6.1f} s")


def note(work: Work, step: Step, error: OperatorError) -> None:
    """Write down on the host that a step has failed, if the host can be reached."""
    try:
        work.tool.call("mark", step.name, "failed", error.message.splitlines()[0][:300])
    except OperatorError:
        return  # the host is lost: its journal says `begun`, which is true
