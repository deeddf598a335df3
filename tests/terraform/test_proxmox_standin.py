"""The stand-in of the Proxmox VE API answers as the real one's sources say (pve-manager 9.2, qemu-server 9.2)."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from terraform.proxmox.access import MODULE_PRIVILEGES, ROOT, Account
from terraform.proxmox.caller import Caller
from terraform.proxmox.faults import Dropped
from terraform.proxmox.node import node
from terraform.proxmox.refusals import Refused
from terraform.proxmox.server import serving

IMAGE = b"QFI\xfb" + bytes(20) + (3 << 30).to_bytes(8, "big") + bytes(64)
URL = "https://images.test/d13.qcow2"
VM = {"vmid": "100", "name": "ai", "cores": "4", "memory": "8192", "net0": "model=virtio,bridge=vmbr0"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    authority.cert_pem.write_to_path(str(folder / "trusted.pem"))
    return folder


@pytest.fixture
def pve(certificate: Path) -> Iterator[Caller]:
    there = node(secret="secret", takes_s=0.0)
    there.storages.internet[URL] = IMAGE
    with serving(there, certificate / "server.pem", certificate / "server.pem") as endpoint:
        yield Caller(there, endpoint, certificate / "trusted.pem")


def downloaded(pve: Caller) -> None:
    given = {"content": "import", "url": URL, "filename": "d13.qcow2"}
    assert pve.task("POST", "/nodes/pve/storage/local/download-url", **given) == "OK"


def created(pve: Caller, **more: str) -> None:
    assert pve.task("POST", "/nodes/pve/qemu", **{**VM, **more}) == "OK"


def config(pve: Caller) -> dict[str, Any]:
    found: dict[str, Any] = pve.get("GET", "/nodes/pve/qemu/100/config")
    return found


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "No ticket"),
        ({"Authorization": "PVEAPIToken=ai@pve!terraform=wrong"}, "Authentication failed!"),
        ({"Authorization": "PVEAPIToken=nobody@pve!x=secret"}, "Authentication failed!"),
        ({"Cookie": "PVEAuthCookie=PVE:root@pam:0::forged"}, "Authentication failed!"),
    ],
)
def test_who_does_not_prove_himself_gets_401_without_a_body(pve: Caller, headers: dict[str, str], words: str) -> None:
    del pve.session.headers["Authorization"]
    answer = pve.session.get(f"{pve.endpoint}api2/json/version", headers=headers, timeout=60)
    assert (answer.status_code, answer.reason, answer.content) == (401, words, b"")


def test_a_ticket_opens_and_a_change_needs_its_second_secret(pve: Caller) -> None:
    del pve.session.headers["Authorization"]
    assert pve.refused("POST", "/access/ticket", username=ROOT, password="x")[:2] == (401, "authentication failure")
    ticket = pve.get("POST", "/access/ticket", username=ROOT, password="root's password")
    pve.session.headers["Cookie"] = f"PVEAuthCookie={ticket['ticket']}"
    assert pve.get("GET", "/version")["release"] == "9.2"
    answer = pve.ask("POST", "/nodes/pve/qemu", **VM)
    assert (answer.status_code, answer.reason) == (401, "Permission denied - invalid csrf token")
    pve.session.headers["CSRFPreventionToken"] = ticket["CSRFPreventionToken"]
    created(pve)


@pytest.mark.parametrize(
    ("missing", "request_", "words"),
    [
        ("VM.Allocate", ("POST", "/nodes/pve/qemu", VM), "Permission check failed"),
        ("VM.Config.CPU", ("POST", "/nodes/pve/qemu", VM), "Permission check failed (/vms/100, VM.Config.CPU)"),
        (
            "SDN.Use",
            ("POST", "/nodes/pve/qemu", VM),
            "Permission check failed (/sdn/zones/localnetwork/vmbr0, SDN.Use)",
        ),
        (
            "Mapping.Use",
            ("POST", "/nodes/pve/qemu", {**VM, "hostpci0": "mapping=gpu,pcie=1"}),
            "Permission check failed (/mapping/pci/gpu, Mapping.Use)",
        ),
        (
            "Datastore.AllocateSpace",
            ("POST", "/nodes/pve/qemu", {**VM, "scsi0": "local-lvm:8"}),
            "Permission check failed (/storage/local-lvm, Datastore.AllocateSpace)",
        ),
        (
            "Datastore.AllocateTemplate",
            ("POST", "/nodes/pve/storage/local/download-url", {"content": "import", "url": URL, "filename": "a.qcow2"}),
            "Permission check failed (/storage/local, Datastore.AllocateTemplate)",
        ),
        (
            "Sys.AccessNetwork",
            ("GET", "/nodes/pve/query-url-metadata", {"url": URL}),
            "Permission check failed (/nodes/pve, Sys.AccessNetwork)",
        ),
    ],
)
def test_a_missing_privilege_is_403_and_named(
    pve: Caller, missing: str, request_: tuple[str, str, dict[str, str]], words: str
) -> None:
    name = "ai@pve!terraform"
    pve.there.doors.accounts[name] = Account(name, "secret", {"/": MODULE_PRIVILEGES - {missing}})
    method, path, given = request_
    assert pve.refused(method, path, **given) == (403, words, {})


def test_a_longer_path_says_otherwise(pve: Caller) -> None:
    account = Account("a@pve!b", "s", {"/": {"VM.Audit"}, "/vms/100": {"VM.Allocate"}})
    assert account.has("/vms/1000", "VM.Audit")
    assert account.has("/vms/100", "VM.Allocate")
    assert not account.has("/vms/100", "VM.Audit")


def test_what_is_not_there_is_501(pve: Caller) -> None:
    words = "Method 'GET /nodes/pve/nonsense' not implemented"
    assert pve.refused("GET", "/nodes/pve/nonsense") == (501, words, {})


def test_another_node_cannot_be_reached(pve: Caller) -> None:
    status, words, _ = pve.refused("GET", "/nodes/pve2/qemu/100/config")
    assert status == 500
    assert words.startswith("hostname lookup 'pve2' failed")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"cors": "4"}, "cors"),
        ({"cores": "many"}, "cores"),
        ({"cores": "0"}, "cores"),
        ({"bios": "uefi"}, "bios"),
        ({"ostype": "linux"}, "ostype"),
        ({"name": "a_b"}, "name"),
        ({"onboot": "maybe"}, "onboot"),
        ({"vmid": "99"}, "vmid"),
    ],
)
def test_a_wrong_parameter_is_400_by_name(pve: Caller, given: dict[str, str], named: str) -> None:
    status, words, errors = pve.refused("POST", "/nodes/pve/qemu", **{**VM, **given})
    assert (status, words, list(errors)) == (400, "Parameter verification failed.", [named])


def test_work_is_a_task_with_an_identifier_that_is_running_and_then_stopped(pve: Caller) -> None:
    gate = pve.there.tasks.gates["qmcreate"] = threading.Event()
    upid = pve.get("POST", "/nodes/pve/qemu", **VM)
    form = r"UPID:pve:[0-9A-F]{8}:[0-9A-F]{8}:[0-9A-F]{8}:qmcreate:100:ai@pve!terraform:"
    assert re.fullmatch(form, upid)
    during = pve.get("GET", f"/nodes/pve/tasks/{upid}/status")
    assert during["status"] == "running"
    assert "exitstatus" not in during
    assert config(pve)["lock"] == "create"
    assert pve.refused("PUT", "/nodes/pve/qemu/100/config", cores="2")[:2] == (500, "VM is locked (create)")
    assert pve.task("POST", "/nodes/pve/qemu/100/status/start") == "VM is locked (create)"
    gate.set()
    pve.there.tasks.wait()
    after = pve.get("GET", f"/nodes/pve/tasks/{upid}/status")
    assert (after["status"], after["exitstatus"]) == ("stopped", "OK")
    assert pve.get("GET", f"/nodes/pve/tasks/{upid}/log")[-1]["t"] == "TASK OK"
    assert "lock" not in config(pve)


def test_a_task_may_not_be_found_at_first_and_an_unknown_one_never(pve: Caller) -> None:
    pve.there.tasks.unknown_at_first = 1
    upid = pve.get("POST", "/nodes/pve/qemu", **VM)
    assert pve.refused("GET", f"/nodes/pve/tasks/{upid}/status")[2] == {"upid": "no such task"}
    assert pve.get("GET", f"/nodes/pve/tasks/{upid}/status")["type"] == "qmcreate"
    assert pve.refused("GET", "/nodes/pve/tasks/UPID/status")[2] == {"upid": "unable to parse worker upid"}


def test_a_number_that_is_taken_is_refused_in_words(pve: Caller) -> None:
    created(pve)
    words = "unable to create VM 100 - VM 100 already exists on node 'pve'"
    assert pve.refused("POST", "/nodes/pve/qemu", **VM) == (500, words, {})
    assert pve.get("GET", "/cluster/nextid") == 101
    assert pve.refused("GET", "/cluster/nextid", vmid="100")[2] == {"vmid": "VM 100 already exists"}


def test_a_machine_that_is_not_there_is_a_missing_file(pve: Caller) -> None:
    words = "Configuration file 'nodes/pve/qemu-server/100.conf' does not exist"
    assert pve.refused("GET", "/nodes/pve/qemu/100/config") == (500, words, {})
    assert pve.refused("GET", "/nodes/pve/qemu/100/status/current") == (500, words, {})
    assert pve.refused("DELETE", "/nodes/pve/qemu/100") == (500, words, {})


def test_disks_are_imported_allocated_and_go_with_the_machine(pve: Caller) -> None:
    downloaded(pve)
    disk = "file=local-lvm:0,import-from=local:import/d13.qcow2,size=20G,iothread=1"
    created(pve, scsi0=disk, efidisk0="file=local-lvm:1,efitype=4m,pre-enrolled-keys=0")
    assert config(pve)["scsi0"] == "local-lvm:vm-100-disk-1,iothread=1,size=3G", "the image's own size"
    assert config(pve)["efidisk0"] == "local-lvm:vm-100-disk-0,efitype=4m,pre-enrolled-keys=0,size=4M"
    assert pve.task("PUT", "/nodes/pve/qemu/100/resize", disk="scsi0", size="20G") == "OK"
    assert config(pve)["scsi0"].endswith("size=20G")
    shrunk = pve.task("PUT", "/nodes/pve/qemu/100/resize", disk="scsi0", size="10G")
    assert shrunk == "shrinking disks is not supported"
    assert pve.task("DELETE", "/nodes/pve/qemu/100") == "OK"
    assert pve.get("GET", "/nodes/pve/storage/local-lvm/content") == []


@pytest.mark.parametrize(
    ("drive", "words"),
    [
        ("file=local:8", "storage 'local' does not support vm images"),
        ("file=local-lvm:8,import-from=local:import/d13.qcow2", "'import-from' requires special syntax"),
        ("file=local-lvm:0,import-from=local:iso/d13.iso", "has wrong type 'iso' - needs to be 'images' or 'import'"),
        ("file=local:iso/a.iso", "explicit 'media=cdrom' is required for iso images"),
    ],
)
def test_a_drive_of_the_wrong_kind_is_400(pve: Caller, drive: str, words: str) -> None:
    status, _, errors = pve.refused("POST", "/nodes/pve/qemu", **{**VM, "scsi0": drive})
    assert status == 400
    assert words in next(iter(errors.values()))


def test_a_machine_that_could_not_be_made_leaves_nothing(pve: Caller) -> None:
    outcome = pve.task(
        "POST", "/nodes/pve/qemu", **VM, scsi0="local-lvm:8", scsi1="file=local-lvm:0,import-from=local:import/no.qcow2"
    )
    assert outcome == "unable to create VM 100 - cannot import from 'local:import/no.qcow2' - volume does not exist"
    assert pve.get("GET", "/cluster/resources", type="vm") == []
    assert pve.get("GET", "/nodes/pve/storage/local-lvm/content") == []


def test_a_running_machine_takes_on_later_what_it_cannot_take_now(pve: Caller) -> None:
    created(pve)
    assert pve.task("POST", "/nodes/pve/qemu/100/status/start") == "OK"
    pve.get("PUT", "/nodes/pve/qemu/100/config", cores="8", name="ai2")
    current = pve.get("GET", "/nodes/pve/qemu/100/config", current="1")
    assert (current["cores"], current["name"]) == (4, "ai2")
    assert config(pve)["cores"] == 8
    assert pve.task("POST", "/nodes/pve/qemu/100/status/shutdown") == "OK"
    assert pve.get("GET", "/nodes/pve/qemu/100/config", current="1")["cores"] == 8


def test_a_running_or_protected_machine_is_not_removed(pve: Caller) -> None:
    created(pve, protection="1")
    pve.task("POST", "/nodes/pve/qemu/100/status/start")
    refused = pve.refused("DELETE", "/nodes/pve/qemu/100")
    assert refused[:2] == (500, "can't remove VM 100 - protection mode enabled")
    pve.get("PUT", "/nodes/pve/qemu/100/config", protection="0")
    assert pve.refused("DELETE", "/nodes/pve/qemu/100")[:2] == (500, "VM 100 is running - destroy failed")
    assert pve.task("POST", "/nodes/pve/qemu/100/status/stop") == "OK"
    assert pve.task("DELETE", "/nodes/pve/qemu/100") == "OK"


def test_only_force_stops_a_guest_that_does_not_obey(pve: Caller) -> None:
    created(pve)
    pve.task("POST", "/nodes/pve/qemu/100/status/start")
    assert pve.task("POST", "/nodes/pve/qemu/100/status/start") == "VM 100 already running"
    pve.there.machines.all[100].obeys = False
    gently = pve.task("POST", "/nodes/pve/qemu/100/status/shutdown", timeout="1")
    assert gently == "VM quit/powerdown failed - got timeout"
    assert pve.task("POST", "/nodes/pve/qemu/100/status/shutdown", forceStop="1") == "OK"


def mapped(pve: Caller, **changes: str) -> None:
    entry = {"node": "pve", "path": "0000:01:00", "id": "10de:2684", "subsystem-id": "1043:88e2", **changes}
    text = ",".join(f"{key}={value}" for key, value in entry.items())
    pve.there.mappings.all["gpu"] = {"id": "gpu", "map": [text]}


@pytest.mark.parametrize(
    ("changes", "machine", "words"),
    [
        ({}, "q35", "OK"),
        ({}, "pc", "q35 machine model is not enabled"),
        ({"node": "pve2"}, "q35", "PCI device mapping not found for 'gpu'"),
        ({"path": "0000:02:00"}, "q35", "pci device '0000:02:00.0' not found"),
        ({"id": "10de:1eb8"}, "q35", "'id' does not match"),
    ],
)
def test_a_gpu_is_passed_on_by_its_mapping_if_it_is_still_the_one(
    pve: Caller, changes: dict[str, str], machine: str, words: str
) -> None:
    mapped(pve, **changes)
    created(pve, hostpci0="mapping=gpu,pcie=1", machine=machine)
    assert words in pve.task("POST", "/nodes/pve/qemu/100/status/start")


def test_one_gpu_is_for_one_running_machine(pve: Caller) -> None:
    mapped(pve)
    for vmid in ("100", "101"):
        created(pve, vmid=vmid, hostpci0="mapping=gpu,pcie=1", machine="q35")
    assert pve.task("POST", "/nodes/pve/qemu/100/status/start") == "OK"
    assert "already in use by running VMID '100'" in pve.task("POST", "/nodes/pve/qemu/101/status/start")


def test_a_device_without_a_mapping_is_for_root(pve: Caller) -> None:
    words = "only root can set 'hostpci0' config for non-mapped devices"
    assert pve.refused("POST", "/nodes/pve/qemu", **VM, hostpci0="0000:01:00,pcie=1")[:2] == (500, words)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"content": "vztmpl", "filename": "a.iso"}, "wrong file extension"),
        ({"content": "import", "filename": "a.img"}, "invalid filename or wrong extension"),
        ({"content": "images"}, "storage 'local' is not configured for content-type 'images'"),
    ],
)
def test_a_download_of_the_wrong_kind_is_refused(pve: Caller, given: dict[str, str], words: str) -> None:
    asked = {"url": URL, "filename": "a.qcow2", **given}
    _, reason, errors = pve.refused("POST", "/nodes/pve/storage/local/download-url", **asked)
    assert words in {reason, *errors.values()}


def test_a_storage_without_the_content_type_says_so(pve: Caller) -> None:
    pve.there.storages.all["local"].content.remove("import")
    asked = {"content": "import", "url": URL, "filename": "a.qcow2"}
    words = "storage 'local' is not configured for content-type 'import'"
    assert pve.refused("POST", "/nodes/pve/storage/local/download-url", **asked) == (500, words, {})
    words = "can't upload to storage type 'lvmthin', not a file based storage!"
    assert pve.refused("POST", "/nodes/pve/storage/local-lvm/download-url", **asked) == (500, words, {})


def test_a_download_is_held_against_its_checksum(pve: Caller) -> None:
    asked = {"content": "import", "url": URL, "filename": "a.qcow2", "checksum-algorithm": "sha256"}
    right = hashlib.sha256(IMAGE).hexdigest()
    failed = pve.task("POST", "/nodes/pve/storage/local/download-url", **asked, checksum="0" * 64)
    assert failed == f"checksum mismatch: got '{right}' != expect '{'0' * 64}'"
    assert pve.get("GET", "/nodes/pve/storage/local/content") == []
    assert pve.task("POST", "/nodes/pve/storage/local/download-url", **asked, checksum=right) == "OK"
    again = {name: value for name, value in asked.items() if name != "checksum-algorithm"}
    refused = pve.task("POST", "/nodes/pve/storage/local/download-url", **again)
    assert refused == "refusing to override existing file '/var/lib/vz/import/a.qcow2'"


def test_a_file_that_is_sent_lies_where_it_belongs_and_shows_up_late_if_the_storage_is_slow(pve: Caller) -> None:
    pve.there.storages.all["local"].hides_new_for = 1
    upid = pve.session.post(
        f"{pve.endpoint}api2/json/nodes/pve/storage/local/upload",
        data={"content": "iso"}, files={"filename": ("my seed.iso", b"\0CD001")}, timeout=60,
    ).json()["data"]  # fmt: skip
    pve.there.tasks.all[upid].done.wait()
    assert pve.get("GET", "/nodes/pve/storage/local/content", content="iso") == []
    (shown,) = pve.get("GET", "/nodes/pve/storage/local/content", content="iso")
    assert (shown["volid"], shown["size"]) == ("local:iso/my_seed.iso", 6)
    assert pve.there.storages.volume("local:iso/my_seed.iso").data == b"\0CD001"  # type: ignore[union-attr]  # None fails the test
    assert pve.task("DELETE", "/nodes/pve/storage/local/content/local:iso%2Fmy_seed.iso") == "OK"


def test_mappings_are_made_changed_and_removed(pve: Caller) -> None:
    name = "ai@pve!terraform"
    pve.there.doors.accounts[name] = Account(name, "secret", {"/": MODULE_PRIVILEGES | {"Mapping.Modify"}})
    entry = "node=pve,path=0000:01:00,id=10de:2684"
    pve.get("POST", "/cluster/mapping/pci", id="gpu", map=entry)
    assert "pci ID 'gpu' already defined" in pve.refused("POST", "/cluster/mapping/pci", id="gpu", map=entry)[1]
    assert pve.refused("POST", "/cluster/mapping/pci", id="b", map="node=pve,path=1:0,id=10de:2684")[0] == 400
    pve.get("PUT", "/cluster/mapping/pci/gpu", description="the GPU", map=entry)
    assert pve.get("GET", "/cluster/mapping/pci/gpu")["description"] == "the GPU"
    pve.get("DELETE", "/cluster/mapping/pci/gpu")
    assert pve.refused("GET", "/cluster/mapping/pci/gpu")[:2] == (500, "mapping 'gpu' not found")


def test_faults_meet_the_request_that_they_wait_for(pve: Caller) -> None:
    fault = pve.there.faults.add("GET /version", Refused("got no worker upid"), skip=1)
    assert pve.get("GET", "/version")
    assert pve.refused("GET", "/version")[:2] == (500, "got no worker upid")
    assert pve.get("GET", "/version")
    assert fault.met == 1
    pve.there.faults.add("POST .*", Dropped())
    with pytest.raises(requests.ConnectionError):
        pve.ask("POST", "/nodes/pve/qemu", **VM)
    assert "POST /nodes/pve/qemu" in pve.there.seen
    assert not pve.there.machines.all
