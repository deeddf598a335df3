"""The doctor's patient: a lab host with everything a deploy leaves behind, small enough to be broken in every way.

Real are systemd, Docker, nginx, nftables, certbot's timer, TLS, DNS. Stand-ins are what computes: the gateway
(`standin.py`), the containers' content, and NVIDIA's files, which this kind of machine has not.
"""

from __future__ import annotations

from pathlib import Path

from ai_services.doctor.bundle import build
from host.lab import engine, hosts, internet
from host.lab.place import Lab

NAME = "patient"
_HERE = Path(__file__).parent
_DOCTOR = "/usr/local/bin/doctor.pyz"


class Patient:
    """The host, with a way to run things on it as root."""

    def __init__(self, lab: Lab, name: str = NAME) -> None:
        self.container = lab.container(name)

    def run(self, script: str, *, check: bool = True) -> str:
        """What a shell script prints that runs there with the fixtures of patient.sh."""
        text = f". /usr/local/lib/patient.sh\nset -eu\n{script}\n"
        return engine.run_in(self.container, ["bash", "-s"], stdin=text, check=check)

    def put(self, path: str, content: bytes) -> None:
        """Write a file there."""
        engine.run_in(self.container, ["tee", path], stdin=content)

    def doctor(self, *arguments: str) -> str:
        """What the doctor prints there."""
        return engine.run_in(self.container, ["python3", "-I", "-S", _DOCTOR, *arguments], check=False)


def prepare(lab: Lab) -> Patient:
    """Bring up the lab and the patient, well in every respect. Takes about a minute when nothing is there."""
    internet.ensure(lab)
    hosts.start(lab, NAME, suite="trixie")
    patient = Patient(lab)
    for name in ("patient.sh", "standin.py"):
        patient.put(f"/usr/local/lib/{name}", (_HERE / name).read_bytes())
    patient.put(_DOCTOR, build(lab.folder / "doctor.pyz").read_bytes())
    patient.run(f"prepare {lab.fqdn(NAME)}")
    return patient
