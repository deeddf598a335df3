"""A plan and its errors in plain words: what hurts comes first, and nothing that was said is lost or leaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ai_services.console import Screen
from ai_services.exits import BLOCKED, USAGE
from ai_services.terraform import errors, plan
from ai_services.terraform.story import Story
from ai_services.terraform.things import Thing, of_address
from ai_services.verbs.provision import Wish

VM = 'module.proxmox_vm["gpu-1"].proxmox_virtual_environment_vm.host'
DEPLOYMENT = 'module.deployment["gpu-1"].terraform_data.deployment'


def change(address: str, *actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    """One row of resource_changes as `terraform show -json` prints it."""
    thing = of_address(address)
    sides = {"actions": list(actions), "before": before, "after": after, "after_unknown": {}, **more.pop("sides", {})}
    return {"address": address, "mode": "managed", "type": thing.type, "name": thing.name, "change": sides, **more}


def lines(*changes: dict[str, Any], drift: tuple[dict[str, Any], ...] = ()) -> list[str]:
    return list(plan.read({"resource_changes": list(changes), "resource_drift": list(drift)}).lines())


def test_what_is_destroyed_or_replaced_comes_first_then_changes_then_what_is_made() -> None:
    said = lines(
        change('module.cloudflare_record["gpu-2"].cloudflare_dns_record.this["main"]', "create",
               after={"name": "two.example.com", "content": "192.0.2.2"}),
        change(DEPLOYMENT, "delete", "create", before={"triggers_replace": [None, '{"ai_domain": "a.example.com"}']},
               after={"triggers_replace": [None, '{"ai_domain": "b.example.com"}']}),
        change(VM, "delete", "create", before={"name": "gpu-1"}, after={"name": "gpu-1"},
               sides={"replace_paths": [["initialization"], ["bios"]]}),
        change('module.proxmox_vm["old"].proxmox_virtual_environment_vm.host', "delete", before={"name": "old"},
               action_reason="delete_because_each_key"),
    )  # fmt: skip
    lost = "with everything on its disks: models, keys, recordings"
    assert said == [
        "This is destroyed:",
        f"  - old: virtual machine old (its host is no longer in ai_hosts; {lost})",
        "This is destroyed and made anew:",
        f"  ± gpu-1: virtual machine gpu-1 (initialization, bios cannot be changed in place; {lost})",
        "This changes:",
        "  ~ gpu-1: services (./ai deploy once more)",
        "      ai_domain: a.example.com → b.example.com",
        "This is made:",
        "  + gpu-2: DNS record two.example.com → 192.0.2.2",
    ]


def test_a_change_names_what_becomes_what_and_hides_what_is_sensitive() -> None:
    said = lines(
        change(
            VM, "update", before={"name": "x", "memory": 4096, "token": "old-secret", "disk": [{"size": 1}]},
            after={"name": "x", "memory": 8192, "token": "new-secret", "disk": [{"size": 2}]},
            sides={"after_sensitive": {"token": True}},
        )
    )  # fmt: skip
    assert said[1:] == ["  ~ gpu-1: virtual machine x", "      disk", "      memory: 4096 → 8192", "      token"]


def test_taken_over_and_renamed() -> None:
    record = 'module.cloudflare_record["a"].cloudflare_dns_record.this["main"]'
    values = {"name": "a.example.com", "content": "192.0.2.1"}
    said = lines(
        change(record, "no-op", before=values, after=values, sides={"importing": {"id": "z/r"}}),
        change(VM, "no-op", before={}, after={}, previous_address="module.vm.proxmox_virtual_environment_vm.old"),
        change('module.proxmox_vm["b"].proxmox_virtual_environment_vm.host', "no-op", before={}, after={}),
    )
    assert said == [
        "This is only called otherwise:",
        "  · gpu-1: virtual machine (was module.vm.proxmox_virtual_environment_vm.old)",
        "This is there already and is taken over:",
        "  + a: DNS record a.example.com → 192.0.2.1",
    ]


def test_what_somebody_else_changed_is_said_where_it_is_put_right() -> None:
    there, wanted = {"name": "x", "started": False, "noise": 1}, {"name": "x", "started": True, "noise": 1}
    record = 'module.cloudflare_record["a"].cloudflare_dns_record.this["main"]'
    said = lines(
        change(VM, "update", before=there, after=wanted),
        change(record, "create", after={"name": "a.example.com"}),
        drift=(
            change(VM, "update", before=wanted | {"noise": 0}, after=there),
            change(record, "delete", before={"name": "a.example.com"}),
        ),
    )
    assert said[-3:] == [
        "Found otherwise than it was left:",
        "  • gpu-1: virtual machine x: started: true → false",
        "  • a: DNS record a.example.com: it is gone",
    ]


def test_a_guard_that_refuses_is_known_by_its_host() -> None:
    guard = 'module.deployment["gpu-1"].terraform_data.guard'
    for protected in (True, False):
        row = change(guard, "delete", "create", before={"input": {"protected": protected}}, after={})
        found = plan.read({"resource_changes": [row]})
        assert found.guards == ({"gpu-1": guard} if protected else {})
        assert found.steps == []
    switched = change(guard, "update", before={"input": {"protected": True}}, after={"input": {"protected": False}})
    assert lines(switched) == ["This changes:", "  ~ gpu-1: protection of data (on → off)"]


def test_what_is_only_noted_in_the_state_is_no_step_but_is_carried_out() -> None:
    guard = change('module.deployment["gpu-1"].terraform_data.guard', "create", after={"input": {"protected": True}})
    for shown, pending in (
        ({"resource_changes": [guard]}, True),
        ({"output_changes": {"ai_hosts": {"actions": ["update"]}}}, True),
        ({"output_changes": {"ai_hosts": {"actions": ["no-op"]}}}, False),
    ):
        found = plan.read(shown)
        assert (found.steps, found.pending) == ([], pending)


class TestErrors:
    LOG = Path("/logs/one.log")

    def explained(self, *diagnostics: dict[str, Any], **said: list[str]) -> Any:
        things = {VM: Thing(VM, "proxmox_virtual_environment_vm", "host", {"name": "gpu-1"})}
        return errors.explain(diagnostics, said, things, self.LOG, again="./ai provision")

    def test_what_goes_on_from_a_broken_destroy_is_a_destroy(self) -> None:
        """The command of a run that makes what was to go would be no help."""
        failed = [{"summary": "error deleting VM", "detail": "locked", "address": VM}]
        error = errors.explain(failed, {}, {}, self.LOG, again=Wish(destroy=True, data=True).again, applying=True)
        assert "a second run goes on from here: ./ai provision --destroy --data\n" in error.hint
        assert Wish().again == "./ai provision"

    def test_nothing_is_said_to_be_unchanged_once_things_are_being_changed(self) -> None:
        refused = [{"summary": "Resource precondition failed", "detail": "ai_dns: another record has that name."}]
        error = errors.explain(refused, {}, {}, self.LOG, again="./ai provision", applying=True)
        assert "nothing was changed" not in error.message

    def test_who_holds_the_state(self) -> None:
        """As Terraform 1.11 says it."""
        detail = (
            "Error message: resource temporarily unavailable\nLock Info:\n  ID:        6f412021-284b\n"
            "  Path:      terraform.tfstate\n  Operation: OperationTypeApply\n  Who:       ann@desk\n"
            "  Version:   1.11.4\n  Created:   2026-11-21 16:54:22.310711852 +0000 UTC\n  Info:      \n\n\nTerraform …"
        )
        error = self.explained({"severity": "error", "summary": "Error acquiring the state lock", "detail": detail})
        assert error.message == (
            "The state is in use: ann@desk holds it since 2026-11-21 16:54:22 UTC (apply). Nothing was changed."
        )
        assert "terraform force-unlock 6f412021-284b" in error.hint
        assert error.exit_code == BLOCKED

    def test_values_that_terraform_refuses_are_all_said_and_once(self) -> None:
        wrong = [
            {"summary": "Invalid value for variable", "detail": f"{name}: give a name.\n\nThis was checked by the …"}
            for name in ("ai_domain", "ai_domain", "ai_address")
        ]
        error = self.explained(*wrong)
        assert error.message == (
            "2 values are not right; nothing was changed.\n  ai_domain: give a name.\n  ai_address: give a name."
        )
        assert error.exit_code == USAGE

    @pytest.mark.parametrize(
        ("detail", "hint"),
        [
            ("received an HTTP 401 response - Reason: authentication failure", "The token is not accepted"),
            ("dial tcp: lookup pve.example.com: no such host", "whether the address in the settings is right"),
            ("could not connect to registry.terraform.io", "The provider could not be fetched"),
            ("A record with those settings already exists. (81058)", "ai_cloudflare_record_id"),
        ],
    )
    def test_what_where_and_the_next_step(self, detail: str, hint: str) -> None:
        error = self.explained({"summary": "error creating VM", "detail": detail, "address": VM})
        assert error.message == f"gpu-1: virtual machine gpu-1: error creating VM. {detail}"
        assert hint in error.hint
        assert "a second run goes on from here: ./ai provision" in error.hint
        assert str(self.LOG) in error.hint

    def test_something_new_is_passed_on_with_its_place(self) -> None:
        place = {"filename": "backend.tf", "start": {"line": 3}}
        error = self.explained({"summary": "Unsupported block", "detail": "No such block.", "range": place})
        assert error.message == "Unsupported block. No such block. (backend.tf, line 3)"


def test_progress_of_several_hosts_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    things = {address: of_address(address) for address in (DEPLOYMENT, DEPLOYMENT.replace("gpu-1", "gpu-2"), VM)}
    story = Story(Screen(), "Starting", things)

    def event(kind: str, address: str, **hook: Any) -> None:
        story.take({"type": kind, "hook": {"resource": {"addr": address}, "action": "create", **hook}})

    event("apply_start", VM)
    event("apply_complete", VM, elapsed_seconds=65)
    event("apply_start", DEPLOYMENT)
    event("provision_progress", DEPLOYMENT, output='Executing: ["sh"]')
    event("provision_progress", DEPLOYMENT, output="(output suppressed due to sensitive value in config)")
    event("provision_progress", DEPLOYMENT, output="✔ Docker  47 s")
    assert story.doing.startswith("making gpu-1: services (")
    event("apply_errored", DEPLOYMENT, elapsed_seconds=50)
    story.take({"type": "text", "@message": "- Installing bpg/proxmox v0.106.0..."})
    story.close()
    assert capsys.readouterr().out.splitlines() == [
        "✔ gpu-1: virtual machine: made, 1 min 05 s",
        "  gpu-1 │ ✔ Docker  47 s",
        "✘ gpu-1: services 50 s",
        "  Installing bpg/proxmox v0.106.0",
    ]
    assert story.done == 1
