"""A machine that somebody deleted behind Terraform's back: what is said, and how it is made anew."""

from __future__ import annotations

import pytest

from terraform.world import ZONE, World

KINDS = ("proxmox_vm", "cloudflare_record")
ADDRESS = "192.0.2.30"
KEYS = 'module.proxmox_vm["ai"].module.host_key.terraform_data.keys'
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("apply-vanished")]


def test_a_vanished_machine_is_not_replaced_while_it_is_protected(here: World) -> None:
    here.workshop.applied()
    here.pve.machines.all.clear()
    outcome = here.workshop.apply()
    assert outcome.status != 0
    assert "TF_VAR_ai_protect_data=false" in outcome.text, "the way out, for the state still says protected"


def test_with_the_protection_lifted_for_this_run_it_says_at_once_that_its_keys_are_used_up(here: World) -> None:
    del here.workshop.values["ai_ssh_wait_s"]
    here.workshop.environment["TF_VAR_ai_protect_data"] = "false"
    outcome = here.workshop.apply()
    assert outcome.status != 0
    assert f"-replace='{KEYS}'" in outcome.text


def test_it_is_made_anew_with_new_keys(here: World) -> None:
    here.workshop.applied(f"-replace={KEYS}")
    (machine,) = here.pve.machines.all.values()
    assert machine.running
    shown = here.workshop.output("ai_hosts")["ai"]["host_key"]
    assert shown.split()[:2] == here.guests.key(ADDRESS).split()[:2]
    assert here.account.published.names == {(f"ai.{ZONE}", "A"): [ADDRESS]}
    here.workshop.assert_settled()


def test_a_machine_whose_first_start_failed_is_made_anew_by_the_next_apply(here: World) -> None:
    card = here.pve.mappings.devices.pop("0000:01:00.0")
    outcome = here.workshop.apply(f"-replace={KEYS}")
    assert outcome.status != 0
    assert "PCI device mapping invalid" in " ".join(outcome.text.split())
    here.pve.mappings.devices["0000:01:00.0"] = card
    del here.workshop.environment["TF_VAR_ai_protect_data"]
    here.workshop.applied()
    (machine,) = here.pve.machines.all.values()
    assert machine.running
    here.workshop.assert_settled()
