"""B.5: whatever is broken on a deployed host, the doctor names it in plain words, and is content when it is mended."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_services.doctor.checks import checks
from host.faults import FAULTS, Act, Fault
from host.lab import engine
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("B.5"), pytest.mark.timeout(1500)]

_SHARED = (Path(__file__).parent / "faults" / "host.sh").read_text()


# A host of the lab has the disk and the memory of the machine around it, which may be short of them.
AROUND = {"disk", "memory"}


class Patient:
    """The deployed host, and root on it."""

    def __init__(self, host: Deployed) -> None:
        self.host = host

    def act(self, act: Act) -> None:
        """Plant or undo something."""
        if callable(act):
            act(self.host)
        elif act:
            self.run(act)

    def run(self, script: str) -> str:
        """What a shell script prints there, with host.sh at hand; it must not fail."""
        return engine.run_in(self.host.container, ["bash", "-s"], stdin=f"set -euo pipefail\n{_SHARED}\n{script}\n")

    def doctor(self, *arguments: str) -> str:
        """What the host's own doctor prints, whatever its exit status. It trusts our authority too."""
        trusting = ["env", "SSL_CERT_FILE=/root/faults-kept/trusted.pem", "/opt/ai/bin/doctor", *arguments]
        return engine.run_in(self.host.container, trusting, check=False)

    def look(self, *names: str, fix: bool = False) -> dict[str, Any]:
        """The whole report, of these checks or of all."""
        only = [word for name in names for word in ("--only", name)]
        report: dict[str, Any] = json.loads(self.doctor("--json", *only, *(["--fix"] if fix else [])))
        return report

    def rows(self, *names: str) -> dict[str, dict[str, Any]]:
        """What these checks say, by name."""
        return {row["name"]: row for row in self.look(*names)["checks"]}


@pytest.fixture(scope="module")
def patient(deployed_host: Deployed) -> Iterator[Patient]:
    """The deployed host; with a backup, so that nothing at all is amiss."""
    found = Patient(deployed_host)
    found.run("rm -rf $kept; authority; backup now")
    yield found
    found.run("rm -rf $kept /opt/ai/backup.json; healthy $(gateway); healthy whisper-api; healthy ollama")


def test_a_well_host_is_called_well(patient: Patient) -> None:
    report = patient.look()
    rows = {row["name"]: row for row in report["checks"] if row["name"] not in AROUND}
    assert [row for row in rows.values() if row["state"] not in ("ok", "skipped")] == []
    rows = {name: row for name, row in rows.items() if row["state"] == "ok"}
    judged = {"containers", "certificate", "transcription", "completion", "drift", "firewall", "dns", "images-behind"}
    assert judged <= set(rows)
    assert rows["clock"]["seen"].endswith("s off"), "the registry tells the time, too"


def test_nothing_secret_is_printed(patient: Patient) -> None:
    patient.run("chmod 644 /opt/ai/secrets/api.key")
    try:
        said = patient.doctor("--lines")
        said += patient.doctor("--only", "secrets") + patient.doctor("--json", "--only", "secrets")
        said += patient.doctor("facts")
    finally:
        patient.run("chmod 600 /opt/ai/secrets/api.key")
    assert said.count("secrets/api.key has mode") == 3
    for name, value in patient.host.secrets.items():
        assert value not in said, name
    for words in ("Paris", "window before you leave"):
        assert words not in said, "what was asked for as a proof is nobody's business"


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.mends], ids=lambda fault: fault.name.replace(" ", "-")
)
def test_fix_mends_what_is_safe_and_says_so(patient: Patient, fault: Fault) -> None:
    patient.act(fault.plant)
    try:
        report = patient.look(fault.mends, fix=True)
        assert [note["done"] for note in report["fixed"]] == [True], report
        (row,) = report["checks"]
        # A container that was just started has not been judged by its own check yet.
        assert row["state"] == "ok" or "still starting" in row["seen"], row
        assert not row["fixable"], row
    finally:
        patient.act(fault.undo)


# What a role may write and the doctor does not hold it against the host: certbot writes its settings anew with every
# renewal, what the engine is told is the owner's as well (the check `docker` looks at it), and the page is Debian's.
UNWATCHED = {"/etc/docker/daemon.json", "/var/www/html/index.nginx-debian.html"}
DRIFT = """
cp /opt/ai/bin/doctor $kept/doctor
for path in "$@"; do
    keep "$path"
    { cat "$path"; echo; echo mine; } >$kept/changed
    rm "$path"
    cp $kept/changed "$path"
    said=$($kept/doctor --only drift || true)
    [[ $said == *"changed: "*"$path"* ]] || echo "$path"
    back "$path"
done
"""


def test_every_file_that_was_written_outside_the_releases_is_watched(patient: Patient) -> None:
    """All that the roles noted as theirs, what containers mount, and where compose is called."""
    written = patient.run(
        "for path in $(grep -oh '\"/[^\"]*\"' /var/lib/ai-services/found/*.json | tr -d '\"'); do "
        '[ ! -f "$path" ] || echo "$path"; done; find /opt/ai/config /opt/ai/compose.yaml /opt/ai/.env ! -type d'
    ).split()
    renewal = {path for path in written if path.startswith("/etc/letsencrypt/renewal/")}
    aside = {path for path in written if path.startswith("/var/lib/ai-services/")}
    watched = sorted(set(written) - UNWATCHED - renewal - aside)
    assert {"/etc/nginx/ai/proxy.conf", "/etc/systemd/system/ai.service", "/opt/ai/compose.yaml"} <= set(watched)
    assert any(path.startswith("/opt/ai/config/gateway-") for path in watched)
    unnoticed = patient.run(f"set -- {' '.join(watched)}\n{DRIFT}").split()
    assert unnoticed == []
    assert patient.rows("drift")["drift"]["state"] == "ok"


def test_a_full_look_ends_in_time_whatever_hangs(patient: Patient) -> None:
    """nginx, docker and the gateway stopped in the middle: SIGSTOP, not ended."""
    pids = patient.run("pidof dockerd nginx; docker inspect -f '{{.State.Pid}}' $(gateway)").split()
    patient.run(f"kill -STOP {' '.join(pids)}")
    try:
        report = json.loads(patient.doctor("--json", "--deadline", "30"))
    finally:
        patient.run(f"kill -CONT {' '.join(pids)}; healthy $(gateway)")
    states = {row["name"]: row["state"] for row in report["checks"]}
    assert states["disk"] in ("ok", "warning")
    assert states["docker"] == "failed"
    assert states["certificate"] == "failed"
    assert states["gateway"] == "failed"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_planted_fault_is_named(patient: Patient, fault: Fault) -> None:
    patient.act(fault.before)
    try:
        well = {name: row["state"] for name, row in patient.rows(*fault.says).items()}
        assert {state for name, state in well.items() if name not in AROUND} <= {fault.well}, well
        try:
            patient.act(fault.plant)
            sick = patient.rows(*fault.says)
        finally:
            patient.act(fault.undo)
        for check, words in fault.says.items():
            row = sick[check]
            assert (row["state"], words in row["seen"]) == (fault.state, True), row
            assert row["mend"], "nobody is told what to do"
        again = patient.rows(*fault.says)
        assert {name: row["state"] for name, row in again.items()} == well, again
    finally:
        patient.act(fault.after)


def test_every_check_has_a_planted_fault() -> None:
    """But for two: main memory is the whole machine's, and NVIDIA's packages are not here. Their rows: tests/doctor."""
    assert {check.name for check in checks()} - {check for fault in FAULTS for check in fault.says} == {
        "memory",
        "driver-held",
    }
