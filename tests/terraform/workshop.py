"""A working copy of terraform/ that is applied for real: the root as it is, real Terraform, and what it works upon.

`ai` beside it is a stand-in that notes how it was called: deploying is tested elsewhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
_AI: Final = """#!{python}
import json, os, sys
from pathlib import Path
given = sys.argv[1:]
config = Path(given[given.index("--config") + 1])
with open({calls!r}, "a") as stream:
    print(json.dumps({{"given": given, "settings": json.loads(config.read_text())}}), file=stream)
if Path({calls!r} + ".fail").exists():
    sys.exit("the deploy was told to fail")
"""


@dataclass
class Outcome:
    """How a run of Terraform ended, and what it said; `text` is both streams."""

    status: int
    text: str


@dataclass
class Workshop:
    """A folder with the root and its surroundings; `values` are the variables, as JSON."""

    folder: Path
    cli_configuration: Path
    values: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    # everything that Terraform said so far
    said: list[str] = field(default_factory=list)

    @property
    def root(self) -> Path:
        """Where Terraform runs."""
        return self.folder / "terraform"

    @property
    def calls(self) -> list[dict[str, Any]]:
        """How `ai` was called: `given` on the command line, the `settings` in its file."""
        path = self.folder / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def set_up(self, *kinds: str) -> None:
        """Copy the root, switch kinds on, and initialise."""
        ignore = shutil.ignore_patterns(".terraform", ".hosts", "*.tfstate*", "*.tfvars*", "tests", "*_override.tf")
        shutil.copytree(REPOSITORY / "terraform", self.root, ignore=ignore)
        for kind in sorted(path.name for path in (REPOSITORY / "terraform" / "kinds").iterdir()):
            (self.root / f"{kind}.tf").unlink(missing_ok=True)
        for kind in kinds:
            for path in (REPOSITORY / "terraform" / "kinds" / kind).glob("*.tf"):
                shutil.copy(path, self.root / path.name)
        (self.folder / "bootstrap").symlink_to(REPOSITORY / "bootstrap")
        ai = self.folder / "ai"
        ai.write_text(_AI.format(python=sys.executable, calls=str(self.folder / "calls")))
        ai.chmod(0o755)
        started = self.run("init", "-input=false")
        assert started.status == 0, started.text

    def let_deploys_fail(self, fail: bool) -> None:
        """Have `ai` fail from now on, or succeed again."""
        mark = self.folder / "calls.fail"
        mark.touch() if fail else mark.unlink(missing_ok=True)

    def run(self, *arguments: str, **more: str) -> Outcome:
        """Run `terraform ARGUMENTS` in the root."""
        ended = subprocess.run(
            ["terraform", *arguments, *([] if arguments[0] in {"show", "state", "output"} else ["-no-color"])],
            cwd=self.root, env=self._environment() | more, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=280, check=False,
        )  # fmt: skip
        self.said.append(ended.stdout)
        return Outcome(ended.returncode, ended.stdout)

    def apply(self, *options: str, **values: Any) -> Outcome:
        """`terraform apply` with these variables on top of the others, which they become part of."""
        return self._with_values("apply", "-auto-approve", *options, **values)

    def applied(self, *options: str, **values: Any) -> str:
        """The same, and it has to succeed."""
        outcome = self.apply(*options, **values)
        assert outcome.status == 0, outcome.text
        return outcome.text

    def destroy(self, *options: str) -> Outcome:
        """`terraform destroy`."""
        return self._with_values("destroy", "-auto-approve", *options)

    def plan(self, *options: str) -> Outcome:
        """`terraform plan`: status 0 is nothing to do, 2 is something."""
        return self._with_values("plan", "-detailed-exitcode", *options)

    def assert_settled(self) -> None:
        """There is nothing left to do."""
        outcome = self.plan()
        assert outcome.status == 0, outcome.text

    def state(self) -> dict[str, Any]:
        """The state file."""
        found: dict[str, Any] = json.loads((self.root / "terraform.tfstate").read_text())
        return found

    def output(self, name: str) -> Any:
        """One output."""
        return self.state()["outputs"][name]["value"]

    def _with_values(self, *arguments: str, **values: Any) -> Outcome:
        self.values |= values
        path = self.folder / "values.tfvars.json"
        path.write_text(json.dumps(self.values))
        return self.run(*arguments, "-input=false", f"-var-file={path}")

    def _environment(self) -> dict[str, str]:
        foreign = ("TF_", "AI_", "CLOUDFLARE_", "DIGITALOCEAN_", "PROXMOX_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {
            **kept,
            "TF_CLI_CONFIG_FILE": str(self.cli_configuration),
            "CHECKPOINT_DISABLE": "1",
            **self.environment,
        }
