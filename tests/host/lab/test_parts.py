"""The lab's instruments: a footprint that misses nothing, a search that finds, a bus that reads as a real one."""

from __future__ import annotations

import base64
import struct
import subprocess
from pathlib import Path

import pytest

from host.lab import canaries, mirror, pci
from host.lab.footprint import Footprint
from host.lab.place import Lab, LabError

SECRET = "ghp_0123456789abcdef0123456789abcdef0123"


@pytest.mark.parametrize("prefix", ["", "u", "lab:", "two:words:"])
def test_a_secret_is_found_in_base64_wherever_it_begins(prefix: str) -> None:
    hidden = base64.b64encode(f"{prefix}{SECRET}:after".encode()).decode()
    assert canaries.in_text({"token": SECRET}, f"auth: {hidden}") == ["token"]


def test_another_secret_is_no_finding() -> None:
    other = SECRET.replace("9", "8")
    assert canaries.in_text({"token": SECRET}, base64.b64encode(other.encode()).decode() + other) == []


def test_a_secret_in_a_command_line_is_seen_while_the_process_lives() -> None:
    with canaries.watching_processes({"token": SECRET}) as findings:
        subprocess.run(["sh", "-c", "sleep 0.5", SECRET], check=True)
    assert any(finding.startswith("token: sh") for finding in findings), findings


def test_a_secret_in_the_environment_is_seen_too() -> None:
    with canaries.watching_processes({"token": SECRET}) as findings:
        subprocess.run(["sleep", "0.5"], check=True, env={"TOKEN": SECRET})
    assert findings == ["token: sleep 0.5 "]


def test_a_footprint_tells_what_came_what_went_and_what_changed() -> None:
    before = Footprint({"packages": frozenset({"a 1 ii", "b 1 ii"}), "ports": frozenset()})
    later = Footprint({"packages": frozenset({"a 2 ii", "b 1 ii"}), "ports": frozenset({"tcp 0.0.0.0:80"})})
    assert before.differences(later) == ["- packages: a 1 ii", "+ packages: a 2 ii", "+ ports: tcp 0.0.0.0:80"]
    assert before.differences(before) == []


def test_a_card_reads_as_the_kernel_describes_one(tmp_path: Path) -> None:
    bus = pci.write(tmp_path / "bus", ("quadro-m4000", "10DE:1EB8"))
    first, card, other = sorted(bus.iterdir())
    assert (first / "vendor").read_text() == "0x8086\n"
    assert ((card / "vendor").read_text(), (card / "device").read_text()) == ("0x10de\n", "0x13f1\n")
    assert (other / "device").read_text() == "0x1eb8\n"
    vendor, device = struct.unpack_from("<HH", (card / "config").read_bytes())
    assert (vendor, device) == (0x10DE, 0x13F1)


def test_an_unknown_card_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="voodoo2"):
        pci.write(tmp_path / "bus", ("voodoo2",))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sources.list", "# deb http://no.test/debian\ndeb [arch=amd64] http://m.test/debian trixie main\n"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://m.test/debian/\nSuites: trixie\n"),
    ],
)
def test_the_mirror_is_the_one_that_this_machine_uses(
    name: str, content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(content)
    monkeypatch.setattr(mirror, "SOURCES", tmp_path)
    found = mirror.this_machines.__wrapped__()
    assert found == mirror.Mirror("http://m.test/debian", "http://m.test/debian-security")
    assert "Suites: bookworm-security" in found.sources("bookworm")


@pytest.mark.parametrize("name", ["Lab", "a b", "-x", "x" * 30])
def test_a_name_that_no_container_can_have_is_refused(name: str) -> None:
    with pytest.raises(LabError, match="no name for a lab"):
        Lab.called(name)
