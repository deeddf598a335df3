"""`./ai provision` with machines that bear data: its words, and that data goes only when that is said and agreed to."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ai_services.cli import app
from ai_services.exits import BLOCKED, USAGE
from ai_services.terraform.workspace import Workspace
from terraform.world import World

KINDS = ("proxmox_vm", "cloudflare_record")
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("provision-machines")]

Provision = Callable[..., Result]


@pytest.fixture
def provision(here: World, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Provision:
    """`./ai provision` on this world; what is kept in `input` is typed, else nobody is there."""
    home = here.workshop.folder / "home"
    for name, value in here.workshop.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(here.workshop.cli_configuration))
    monkeypatch.setenv("AI_HOME", str(home))
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    monkeypatch.setattr(
        "ai_services.verbs.provision.Workspace", functools.partial(Workspace, source=here.workshop.root)
    )

    def run(*words: str, typed: str = "", **values: object) -> Result:
        Path("ai.yml").write_text(json.dumps(here.workshop.values | values))
        monkeypatch.setattr("ai_services.verbs.ask.is_somebody_there", lambda: bool(typed))
        return CliRunner().invoke(app, ["provision", *words], input=f"{typed}\n")

    return run


def test_a_machine_is_made_and_told_thing_by_thing(here: World, provision: Provision) -> None:
    asked = provision()
    assert asked.exit_code == USAGE
    assert "Nobody is here to agree; nothing was changed." in asked.stderr
    assert not here.pve.machines.all
    done = provision(typed="yes")
    assert done.exit_code == 0, done.output
    made = done.stdout.partition("This is made:")[2]
    for thing in ("virtual machine", "DNS record", "services (./ai deploy)"):
        assert thing in made
    assert "API key  /opt/ai/secrets/api.key" in made
    assert len(here.pve.machines.all) == 1
    assert "Nothing had to be changed" in provision().stdout


def test_replacing_a_machine_is_refused_until_its_protection_is_lifted(here: World, provision: Provision) -> None:
    (before,) = here.pve.machines.all
    refused = provision("--yes", ai_proxmox_vm_id=200)
    assert refused.exit_code == BLOCKED
    assert "This is destroyed and made anew:" in refused.stdout
    assert "models, keys, recordings" in refused.stdout
    assert "It is protected (ai_protect_data); nothing was changed." in refused.stderr
    assert list(here.pve.machines.all) == [before]
    unnamed = provision("--set", "ai_protect_data=false", typed="yes", ai_proxmox_vm_id=200)
    assert unnamed.exit_code == USAGE
    assert list(here.pve.machines.all) == [before]
    done = provision("--set", "ai_protect_data=false", typed="ai", ai_proxmox_vm_id=200)
    assert done.exit_code == 0, done.output
    assert [str(number) for number in here.pve.machines.all] == ["200"]
    here.workshop.values["ai_proxmox_vm_id"] = 200
    assert provision("--yes").exit_code == 0, "it is protected again"


def test_a_machine_that_somebody_took_away_is_made_anew_with_keys_of_its_own(here: World, provision: Provision) -> None:
    """Nothing is left to protect, and what the first contact used up is no key any more."""
    here.pve.machines.all.clear()
    done = provision(typed="yes")
    assert done.exit_code == 0, done.output
    assert "virtual machine ai: it is gone" in done.stdout
    assert "key by which the new machine is known (" in done.stdout
    assert len(here.pve.machines.all) == 1


def test_a_machine_with_data_is_destroyed_only_with_data(here: World, provision: Provision) -> None:
    refused = provision("--destroy", "--yes")
    assert refused.exit_code == BLOCKED
    assert "This destroys the data of ai: models, keys, recordings. Nothing was changed." in refused.stderr
    assert here.pve.machines.all
    done = provision("--destroy", "--data", "--yes")
    assert done.exit_code == 0, done.output
    assert not here.pve.machines.all
    assert not here.account.records
    assert provision("--destroy").exit_code == 0, "destroying what is not there is no error"
