"""B.6: what plays NVIDIA's packages in the lab says and does what the real ones are recorded to say and do.

Recorded: NVIDIA's driver installation guide and repository index (branch pinning, compute-only packages, versions
without branches in names from 590 on), the toolkit's installation guide, and outputs that users of the real tools
published (driver/library mismatch, no module loaded, open module on a card without GSP).
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from host.lab import nvidia_packages

Apt = Callable[..., str]
SCRIPTS = nvidia_packages.SCRIPTS


def field(deb: Path, name: str) -> str:
    return subprocess.run(["dpkg-deb", "-f", str(deb), name], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("nvidia-repositories")
    for suite in ("debian13", "ubuntu2404", "container-toolkit"):
        nvidia_packages.build(suite, top / suite)
        stanzas = []
        for deb in sorted((top / suite).glob("*.deb")):
            control = subprocess.run(["dpkg-deb", "-f", str(deb)], capture_output=True, text=True, check=True).stdout
            stanzas.append(f"{control.strip()}\nFilename: ./{deb.name}\nSize: {deb.stat().st_size}\n")
        (top / suite / "Packages").write_text("\n".join(stanzas))
    return top


@pytest.fixture
def apt(repositories: Path, tmp_path: Path) -> Apt:
    """An apt of its own, which knows one repository, with these pins in force; answers what it would install."""

    def ask(suite: str, *words: str, pins: str = "", installed: tuple[tuple[str, str], ...] = ()) -> str:
        root = tmp_path / "apt"
        for folder in ("etc/preferences.d", "etc/apt.conf.d", "lists/partial", "cache/archives/partial", "state"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "etc/sources.list").write_text(f"deb [trusted=yes arch=amd64] file:{repositories / suite} ./\n")
        (root / "etc/preferences.d/pin").write_text(pins)
        status = "".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
            f"Maintainer: x\nDescription: x\n\n"
            for name, version in installed
        )
        (root / "state/status").write_text(status)
        options = [f"Dir::Etc={root}/etc", f"Dir::State={root}/state", f"Dir::State::lists={root}/lists",
                   f"Dir::State::status={root}/state/status", f"Dir::Cache={root}/cache", "APT::Architecture=amd64",
                   "APT::Architectures::=amd64", "APT::Sandbox::User=root", "Acquire::Languages=none"]  # fmt: skip
        flags = [word for option in options for word in ("-o", option)]
        subprocess.run(["apt-get", *flags, "update"], check=True, capture_output=True)
        done = subprocess.run(["apt-get", *flags, "--simulate", *words], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    return ask


def brought(text: str) -> dict[str, str]:
    return dict(re.findall(r"^Inst (\S+) .*?\((\S+) ", text, re.MULTILINE))


def pin(repositories: Path, suite: str, branch: int, folder: Path) -> str:
    [deb] = (repositories / suite).glob(f"nvidia-driver-pinning-{branch}_*")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(folder)], check=True)
    return (folder / f"etc/apt/preferences.d/nvidia-driver-pinning-{branch}").read_text()


def test_without_a_pin_the_newest_branch_comes(apt: Apt) -> None:
    assert brought(apt("debian13", "install", "nvidia-driver-cuda", "nvidia-kernel-open-dkms"))[
        "nvidia-driver-cuda"
    ].startswith("595.")


def test_the_pinning_package_holds_the_branch_and_excludes_its_like(
    apt: Apt, repositories: Path, tmp_path: Path
) -> None:
    pins = pin(repositories, "debian13", 580, tmp_path / "pin")
    found = brought(apt("debian13", "install", "nvidia-driver-cuda", "nvidia-kernel-dkms", pins=pins))
    names = ("nvidia-driver-cuda", "nvidia-kernel-dkms", "libcuda1", "libnvidia-ml1")
    assert found == dict.fromkeys(names, "580.105.08-1")
    both = apt("debian13", "install", "nvidia-driver-pinning-580", "nvidia-driver-pinning-595")
    assert not brought(both)


def test_a_branch_in_a_name_is_no_pin(apt: Apt) -> None:
    """nvidia-driver-570-server-open is a transitional package: it brings 580."""
    found = brought(apt("ubuntu2404", "install", "nvidia-driver-570-server-open"))
    assert found["nvidia-dkms-580-open"].startswith("580.")


def test_one_kernel_module_package_excludes_the_other(apt: Apt) -> None:
    for suite, proprietary, opened in (
        ("debian13", "nvidia-kernel-dkms", "nvidia-kernel-open-dkms"),
        ("ubuntu2404", "nvidia-dkms-580", "nvidia-dkms-580-open"),
    ):
        assert not brought(apt(suite, "install", proprietary, opened))
        assert opened in brought(apt(suite, "install", opened))


def test_debians_own_nvidia_smi_is_in_the_way_of_nvidias_driver(repositories: Path) -> None:
    [deb] = (repositories / "debian13").glob("nvidia-driver-cuda_580.105*")
    assert field(deb, "Conflicts") == "nvidia-smi"


def test_names_carry_the_branch_up_to_580_only(repositories: Path) -> None:
    names = {field(deb, "Package") for deb in (repositories / "ubuntu2404").glob("*.deb")}
    assert {"libnvidia-compute-580", "nvidia-dkms-580", "nvidia-dkms-580-open", "nvidia-utils-580"} <= names
    assert {"libnvidia-compute", "nvidia-dkms-open", "nvidia-dkms"} <= names
    assert not {name for name in names if re.search(r"-(590|595)(-|$)", name)} - {"nvidia-driver-pinning-595"}


def test_the_toolkit_may_come_apart_without_a_pin(apt: Apt) -> None:
    """Its libraries are asked for by "this version or newer": an upgrade of one leaves the others behind."""
    old = tuple((name, "1.17.8-1") for name in ("nvidia-container-toolkit", "nvidia-container-toolkit-base",
                                                "libnvidia-container-tools", "libnvidia-container1"))  # fmt: skip
    found = brought(apt("container-toolkit", "install", "libnvidia-container1", installed=old))
    assert found == {"libnvidia-container1": "1.19.1-1"}


def smi(tmp_path: Path, version: str, *words: str, module: str = "", cards: int = 1) -> tuple[int, str]:
    """Run the stand-in of nvidia-smi with a kernel made of files."""
    proc, facts = tmp_path / "proc", tmp_path / "cards.json"
    found = [
        {"address": f"0000:0{number}:00.0", "name": "Tesla T4", "capability": "7.5", "memory_mib": 16384}
        for number in range(1, cards + 1)
    ]
    facts.write_text(json.dumps(found))
    if module:
        for card in found:
            (proc / "gpus" / str(card["address"])).mkdir(parents=True, exist_ok=True)
        (proc / "version").write_text(
            f"NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  {module}  Release Build"
        )
    text = (SCRIPTS / "nvidia_smi.py").read_text().replace("@VERSION@", version)
    script = tmp_path / "nvidia-smi"
    script.write_text(text.replace("/proc/driver/nvidia", str(proc)).replace("/var/lib/lab-gpu/cards.json", str(facts)))
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_nvidia_smi_without_a_module(tmp_path: Path) -> None:
    code, said = smi(tmp_path, "580.105.08")
    assert code == 9
    assert said.startswith("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")


def test_nvidia_smi_with_a_module_of_another_version(tmp_path: Path) -> None:
    code, said = smi(tmp_path, "580.126.09", module="580.95.05")
    assert code == 18
    assert said == "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580.126\n"


def test_nvidia_smi_answers_queries_as_csv(tmp_path: Path) -> None:
    query = "--query-gpu=name,memory.total,driver_version,pci.bus_id"
    _, with_header = smi(tmp_path, "580.105.08", query, "--format=csv", module="580.105.08", cards=2)
    assert with_header.splitlines() == [
        "name, memory.total [MiB], driver_version, pci.bus_id",
        "Tesla T4, 15400 MiB, 580.105.08, 00000000:01:00.0",
        "Tesla T4, 15400 MiB, 580.105.08, 00000000:02:00.0",
    ]
    _, bare = smi(tmp_path, "580.105.08", query, "--format=csv,noheader,nounits", module="580.105.08")
    assert bare == "Tesla T4, 15400, 580.105.08, 00000000:01:00.0\n"


def test_nvidia_smi_lists_cards_and_versions(tmp_path: Path) -> None:
    _, listed = smi(tmp_path, "580.105.08", "-L", module="580.105.08")
    assert re.fullmatch(r"GPU 0: Tesla T4 \(UUID: GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\)\n", listed)
    _, versions = smi(tmp_path, "580.105.08", "--version", module="580.105.08")
    assert "DRIVER version      : 580.105.08" in versions
    _, table = smi(tmp_path, "580.105.08", module="580.105.08")
    assert re.search(r"NVIDIA-SMI 580\.105\.08 +Driver Version: 580\.105\.08 +CUDA Version: 13\.0", table)


def ctk(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "nvidia-ctk"
    script.write_text((SCRIPTS / "nvidia_ctk.py").read_text().replace("@VERSION@", "1.18.1"))
    return subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)


def test_nvidia_ctk_says_its_version_in_the_first_line(tmp_path: Path) -> None:
    said = ctk(tmp_path, "--version").stdout
    assert said.splitlines()[0] == "NVIDIA Container Toolkit CLI version 1.18.1"


def test_nvidia_ctk_adds_a_runtime_and_keeps_what_was_there(tmp_path: Path) -> None:
    config = tmp_path / "daemon.json"
    config.write_text('{"live-restore": true, "runtimes": {"crun": {"path": "/usr/bin/crun"}}}')
    done = ctk(tmp_path, "runtime", "configure", "--runtime=docker", f"--config={config}")
    assert done.returncode == 0
    assert "It is recommended that docker daemon be restarted." in done.stderr
    assert json.loads(config.read_text()) == {
        "live-restore": True,
        "runtimes": {"crun": {"path": "/usr/bin/crun"}, "nvidia": {"args": [], "path": "nvidia-container-runtime"}},
    }


def test_nvidia_ctk_writes_no_specification_without_a_driver(tmp_path: Path) -> None:
    done = ctk(tmp_path, "cdi", "generate", f"--output={tmp_path / 'nvidia.yaml'}")
    assert done.returncode == 1
    assert "failed to initialize NVML" in done.stderr
    assert not (tmp_path / "nvidia.yaml").exists()
