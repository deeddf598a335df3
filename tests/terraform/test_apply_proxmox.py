"""The real root, applied by the real Terraform with the real provider bpg/proxmox: a story of one host (S0.4, S0.5).

The node, its guests and the account at Cloudflare are stand-ins; each test goes on where the last one ended.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from terraform.proxmox.access import MODULE_PRIVILEGES, Account
from terraform.proxmox.refusals import Refused
from terraform.world import PROXMOX_SECRET, ZONE, World, secrets_in, shown_plan

KINDS = ("proxmox_vm", "cloudflare_record")
TASKS_TAKE_S = 0.05
NAME, ADDRESS = f"ai.{ZONE}", "192.0.2.30"
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("apply-proxmox")]


def token(here: World, content: str) -> None:
    Path(here.workshop.values["ai_proxmox_token_file"]).write_text(f"{content}\n")


def test_a_wrong_token_is_named_before_anything_is_made(here: World) -> None:
    token(here, "ai@pve!terraform=00000000-0000-4000-8000-000000000000")
    outcome = here.workshop.plan()
    assert outcome.status == 1
    assert "401" in outcome.text
    assert "Authentication failed!" in outcome.text
    token(here, f"ai@pve!terraform={PROXMOX_SECRET}")
    assert not here.pve.machines.all
    assert not here.account.records


def test_a_missing_privilege_is_named(here: World) -> None:
    name = "ai@pve!terraform"
    whole = here.pve.doors.accounts[name]
    fewer = {"/": set(whole.privileges["/"]) - {"Mapping.Use"}}
    here.pve.doors.accounts[name] = Account(name, PROXMOX_SECRET, fewer, whole.used)
    outcome = here.workshop.apply()
    assert outcome.status != 0
    assert "Permission check failed (/mapping/pci/gpu, Mapping.Use)" in " ".join(outcome.text.split())
    here.pve.doors.accounts[name] = whole
    assert not here.pve.machines.all


def test_a_failure_in_the_middle_is_gone_on_from(here: World) -> None:
    here.pve.faults.add("POST /nodes/pve/qemu", Refused("unable to create VM 100 - got timeout"), times=3)
    outcome = here.workshop.apply()
    assert outcome.status != 0
    assert "got timeout" in outcome.text
    assert "local:iso/ai-ai-seed.iso" in here.pve.storages.all["local"].volumes, "what was done stays done"

    asked = len(here.pve.seen)
    here.workshop.applied()
    assert not any("download-url" in request or "upload" in request for request in here.pve.seen[asked:])
    here.workshop.assert_settled()


def test_one_apply_ends_in_a_machine_with_its_gpu_a_name_and_a_deploy(here: World) -> None:
    (machine,) = here.pve.machines.all.values()
    assert machine.running
    assert "mapping=gpu" in machine.config["hostpci0"]
    assert "pcie=1" in machine.config["hostpci0"]
    expected = {"machine": "q35", "bios": "ovmf", "cpu": "host", "balloon": 0, "boot": "order=scsi0", "protection": 0}
    assert {name: machine.config[name] for name in expected} == expected
    assert machine.config["scsi0"].endswith(",size=100G,ssd=0")
    assert here.account.published.names == {(NAME, "A"): [ADDRESS]}
    (record,) = here.account.records.values()
    assert (record["proxied"], record["comment"]) == (False, "ai-services: ai")
    (call,) = here.workshop.calls
    assert call["given"][:2] == ["deploy", f"deployer@{ADDRESS}"]
    assert call["settings"]["ai_domain"] == NAME


def test_the_key_that_the_machine_shows_is_the_one_that_was_pinned(here: World) -> None:
    shown = here.workshop.output("ai_hosts")["ai"]["host_key"]
    assert shown.split()[:2] == here.guests.key(ADDRESS).split()[:2]
    assert shown in here.workshop.calls[0]["given"]
    kept = {path.name for path in (here.workshop.root / ".hosts" / "ai").iterdir()}
    assert kept == {"ai.json", "first.pub", "lasting.pub"}, "both private keys and the seed are gone"


def test_no_secret_is_in_the_state_the_plan_or_what_terraform_says(here: World) -> None:
    secrets = secrets_in(here.workshop.folder.parent)
    first_contact = here.pve.storages.all["local"].volumes["local:iso/ai-ai-seed.iso"].data.decode(errors="ignore")
    secrets["first-contact key"] = first_contact[first_contact.index("OPENSSH PRIVATE KEY") :].splitlines()[2].strip()
    assert {"Proxmox token", "Cloudflare token", "GHCR token", "guests/192.0.2.30/taken", "secrets/key"} <= set(secrets)
    saved = here.workshop.root / "saved.plan"
    log = here.workshop.folder / "info.log"
    here.workshop.environment |= {"TF_LOG": "INFO", "TF_LOG_PATH": str(log)}
    # Something to do, so that the plan bears values.
    assert here.workshop.plan("-out", str(saved), "-var", "ai_vm_cores=6").status == 2
    for name in ("TF_LOG", "TF_LOG_PATH"):
        del here.workshop.environment[name]
    places = {
        "state": (here.workshop.root / "terraform.tfstate").read_text(),
        "log": log.read_text(),
        "what Terraform says": "".join(here.workshop.said),
        "plan": shown_plan(here.workshop, saved),
        "the machine's configuration": json.dumps([machine.config for machine in here.pve.machines.all.values()]),
    }
    with zipfile.ZipFile(saved) as archive:
        places |= {f"plan: {name}": archive.read(name).decode(errors="replace") for name in archive.namelist()}
    found = [(place, what) for place, text in places.items() for what, secret in secrets.items() if secret in text]
    assert found == []


def test_nothing_is_left_to_do_where_the_files_of_the_first_boot_are_gone(here: World) -> None:
    for path in (here.workshop.root / ".hosts" / "ai").iterdir():
        path.unlink()
    here.workshop.assert_settled()


def test_more_memory_changes_the_machine_in_place(here: World) -> None:
    (before,) = here.pve.machines.all
    text = here.workshop.applied(ai_vm_memory_mib=32768, ai_vm_disk_gib=120)
    assert "1 changed, 0 destroyed" in text
    assert list(here.pve.machines.all) == [before]
    machine = here.pve.machines.all[before]
    assert machine.shown()["memory"] == "32768"
    assert "size=120G" in machine.config["scsi0"]
    assert machine.running, "and does not restart it unasked"
    assert len(here.workshop.calls) == 1, "nor deploys anew"
    here.workshop.assert_settled()


def test_another_setting_deploys_and_touches_no_machine(here: World) -> None:
    here.workshop.applied(ai_whisper_model="small")
    assert len(here.workshop.calls) == 2
    assert here.workshop.calls[1]["settings"]["ai_whisper_model"] == "small"
    assert here.pve.machines.all[100].running


def test_a_deploy_that_failed_is_made_up_for_by_the_next_apply(here: World) -> None:
    here.workshop.let_deploys_fail(True)
    outcome = here.workshop.apply(ai_whisper_model="base")
    assert outcome.status != 0
    assert "the deploy was told to fail" in outcome.text
    here.workshop.let_deploys_fail(False)
    here.workshop.applied()
    assert here.workshop.calls[-1]["settings"]["ai_whisper_model"] == "base"
    here.workshop.assert_settled()


def test_what_somebody_changed_by_hand_is_found_and_put_back(here: World) -> None:
    machine = here.pve.machines.all[100]
    machine.config["cores"] = 2
    machine.running = False
    (record,) = here.account.records.values()
    record["content"] = "192.0.2.66"
    outcome = here.workshop.plan()
    assert outcome.status == 2
    assert "192.0.2.66" in outcome.text
    here.workshop.applied()
    assert machine.shown()["cores"] == 8
    assert machine.running
    assert here.account.published.names == {(NAME, "A"): [ADDRESS]}
    here.workshop.assert_settled()


def test_a_record_that_vanished_comes_back(here: World) -> None:
    here.account.records.clear()
    here.workshop.applied()
    assert here.account.published.names == {(NAME, "A"): [ADDRESS]}
    assert len(here.account.records) == 1


def test_a_protected_machine_is_not_destroyed_and_goes_on_running(here: World) -> None:
    outcome = here.workshop.destroy()
    assert outcome.status != 0
    assert "is protected (ai_protect_data): nothing of it was destroyed" in " ".join(outcome.text.split())
    assert here.pve.machines.all[100].running
    assert len(here.account.records) == 1


def test_another_user_is_another_machine_which_protection_refuses(here: World) -> None:
    outcome = here.workshop.apply(ai_ssh_user="operator")
    assert outcome.status != 0
    assert "is protected" in outcome.text
    assert here.pve.machines.all[100].running


def test_with_the_protection_lifted_the_machine_is_replaced(here: World) -> None:
    here.workshop.applied(ai_protect_data=False, ai_ssh_user="deployer")
    first = here.workshop.output("ai_hosts")["ai"]["host_key"]
    here.workshop.applied(ai_ssh_user="operator")
    second = here.workshop.output("ai_hosts")["ai"]
    assert second["user"] == "operator"
    assert second["host_key"] != first
    assert second["host_key"].split()[:2] == here.guests.key(ADDRESS).split()[:2]
    assert here.workshop.calls[-1]["given"][1] == f"operator@{ADDRESS}"
    here.workshop.assert_settled()


def test_a_locked_machine_is_left_alone_and_destroyed_when_it_is_free(here: World) -> None:
    (machine,) = here.pve.machines.all.values()
    machine.config["lock"] = "backup"
    outcome = here.workshop.destroy()
    assert outcome.status != 0
    assert "VM is locked (backup)" in " ".join(outcome.text.split())
    assert machine.vmid in here.pve.machines.all
    del machine.config["lock"]
    ended = here.workshop.destroy()
    assert ended.status == 0, ended.text


def test_nothing_is_left_behind(here: World) -> None:
    assert not here.pve.machines.all
    assert not here.account.published.names
    assert {storage.id: list(storage.volumes) for storage in here.pve.storages.all.values()} == {
        "local": [],
        "local-lvm": [],
    }
    assert here.workshop.state()["resources"] == []


def test_the_token_needed_every_privilege_that_we_ask_for_and_no_other(here: World) -> None:
    assert here.pve.doors.accounts["ai@pve!terraform"].used == MODULE_PRIVILEGES
