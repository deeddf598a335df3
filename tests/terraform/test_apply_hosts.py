"""Several hosts from one variable: replacing or removing one does not touch the others (real provider bpg/proxmox)."""

from __future__ import annotations

from typing import Any

import pytest

from terraform.world import ZONE, World

KINDS = ("proxmox_vm", "cloudflare_record")
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("apply-hosts")]
# One card serves one running machine: the second host gets none.
HOSTS: dict[str, dict[str, Any]] = {
    "one": {"ai_domain": f"one.{ZONE}", "ai_address": "192.0.2.41", "ai_proxmox_pci_mapping": "gpu"},
    "two": {"ai_domain": f"two.{ZONE}", "ai_address": "192.0.2.42", "ai_vm_cores": 2},
}


def numbers(here: World) -> dict[str, int]:
    return {str(machine.config["name"]): machine.vmid for machine in here.pve.machines.all.values()}


def deployed(here: World, since: int) -> list[str]:
    return sorted(call["settings"]["ai_domain"] for call in here.workshop.calls[since:])


def test_two_hosts_are_made_by_one_apply_each_with_its_own(here: World) -> None:
    del here.workshop.values["ai_proxmox_pci_mapping"]
    here.workshop.applied(ai_hosts=HOSTS)
    assert set(numbers(here)) == {"one", "two"}
    configs = {str(machine.config["name"]): machine.config for machine in here.pve.machines.all.values()}
    assert (configs["one"]["cores"], configs["two"]["cores"]) == (8, 2)
    assert ("hostpci0" in configs["one"], "hostpci0" in configs["two"]) == (True, False)
    assert here.account.published.names == {
        (f"one.{ZONE}", "A"): ["192.0.2.41"], (f"two.{ZONE}", "A"): ["192.0.2.42"],
    }  # fmt: skip
    assert deployed(here, 0) == [f"one.{ZONE}", f"two.{ZONE}"]
    keys = {name: here.workshop.output("ai_hosts")[name]["host_key"] for name in HOSTS}
    assert keys["one"] != keys["two"]
    here.workshop.assert_settled()


def test_one_that_is_replaced_does_not_touch_the_other(here: World) -> None:
    before, calls = numbers(here), len(here.workshop.calls)
    started = {machine.vmid: machine.started_s for machine in here.pve.machines.all.values()}
    key = here.workshop.output("ai_hosts")["two"]["host_key"]
    here.workshop.applied(ai_protect_data=False)
    assert len(here.workshop.calls) == calls
    here.workshop.applied('-replace=module.proxmox_vm["one"].module.host_key.terraform_data.keys')
    assert deployed(here, calls) == [f"one.{ZONE}"]
    assert numbers(here)["two"] == before["two"]
    assert here.pve.machines.all[before["two"]].started_s == started[before["two"]]
    assert here.workshop.output("ai_hosts")["two"]["host_key"] == key
    here.workshop.assert_settled()


def test_one_that_is_taken_out_goes_and_the_other_stays(here: World) -> None:
    here.workshop.applied(ai_hosts={"two": HOSTS["two"]})
    assert list(numbers(here)) == ["two"]
    assert here.account.published.names == {(f"two.{ZONE}", "A"): ["192.0.2.42"]}
    here.workshop.assert_settled()
