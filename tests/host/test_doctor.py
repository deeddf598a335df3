"""B.5: whatever is broken on a host, the doctor names it in plain words, and is content again when it is mended."""

from __future__ import annotations

import json

import pytest

from ai_services.doctor.checks import checks
from host.lab.place import Lab
from host.patient import Patient, prepare
from host.patient.faults import FAULTS, Fault
from host.patient.planting import plant

pytestmark = [pytest.mark.host, pytest.mark.promise("B.5"), pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def patient() -> Patient:
    """The patient of this lab; it stays for the next run, as the lab does."""
    return prepare(Lab.called())


def test_a_well_host_is_called_well(patient: Patient) -> None:
    report = json.loads(patient.doctor("--json"))
    assert report["exit_code"] == 0, [row for row in report["checks"] if not row["ok"]]
    judged = {row["name"] for row in report["checks"] if row["state"] == "ok"}
    assert {"containers", "certificate", "transcription", "completion", "drift", "firewall", "dns"} <= judged


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_named(patient: Patient, fault: Fault) -> None:
    plant(patient.run, patient.doctor, fault)


def test_every_check_has_a_planted_fault() -> None:
    """But for the one that needs NVIDIA's packages, whose rows are in tests/doctor."""
    assert {check.name for check in checks()} - {fault.check for fault in FAULTS} <= {"memory", "driver-held"}


MENDED = {
    "container stopped",
    "nginx stopped",
    "renewal timer off",
    "renewal hook not executable",
    "secret readable by all",
    "lock left behind",
    "renewed, but nginx not reloaded",
    "firewall flushed",
}


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.name in MENDED], ids=lambda fault: fault.name.replace(" ", "-")
)
def test_fix_mends_what_is_safe_and_says_so(patient: Patient, fault: Fault) -> None:
    patient.run(fault.plant)
    try:
        report = json.loads(patient.doctor("--json", "--only", fault.check, "--fix"))
        assert [note["done"] for note in report["fixed"]] == [True], report
        (row,) = report["checks"]
        assert row["state"] in ("ok", "warning"), (
            row
        )  # a container that was just started has not been judged by its own check yet
        assert not row["fixable"], row
    finally:
        patient.run(fault.undo, check=False)


def test_nothing_secret_is_printed(patient: Patient) -> None:
    patient.run("chmod 644 /opt/ai/secrets/api.key")
    try:
        said = patient.doctor() + patient.doctor("--json") + patient.doctor("--lines") + patient.doctor("facts")
    finally:
        patient.run("chmod 600 /opt/ai/secrets/api.key")
    assert "secrets/api.key has mode" in said
    for secret in ("the-key-of-the-patient", "sesame", "Paris", "window before you leave"):
        assert secret not in said


def test_a_full_look_ends_in_time_whatever_hangs(patient: Patient) -> None:
    """nginx, docker and the resolver stopped in the middle: SIGSTOP, not ended."""
    patient.run("pkill -STOP -x dockerd; pkill -STOP -x nginx; systemctl kill -s STOP patient-gateway")
    try:
        report = json.loads(patient.doctor("--json", "--deadline", "45"))
    finally:
        patient.run("pkill -CONT -x dockerd; pkill -CONT -x nginx; systemctl kill -s CONT patient-gateway")
    states = {row["name"]: row["state"] for row in report["checks"]}
    assert states["disk"] == "ok"
    assert states["docker"] == "failed"
    assert states["certificate"] == "failed"
    assert states["gateway"] == "failed"
