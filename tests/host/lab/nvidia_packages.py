"""Packages with the names, dependencies, conflicts and traps of NVIDIA's repositories, and stand-ins inside.

What apt sees is as it is in NVIDIA's repositories (read in their indexes and installation guides, November 2026):
branches in package names up to 580 and only in versions from 590 on, `nvidia-driver-pinning-*` that exclude each
other, two kernel module packages that do, and a 570 that has become a transitional package to 580. Inside are scripts
(folder `nvidia/`) that answer as nvidia-smi, nvidia-ctk and a kernel module do. Runs where dpkg-deb is; stdlib only.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(__file__).with_name("nvidia")
# Two of 580, because an upgrade within a branch is what tears module and libraries apart.
DRIVERS = ("570.133.20", "580.95.05", "580.105.08", "595.45.04")
PINNED = (570, 580, 595)
TOOLKITS = ("1.17.7", "1.17.8", "1.18.1", "1.19.1")
LIBRARIES = "usr/lib/x86_64-linux-gnu"
SUITES = ("debian12", "debian13", "ubuntu2204", "ubuntu2404", "container-toolkit")


@dataclass(frozen=True)
class Package:
    """One .deb: control fields beside the usual ones, files (path to text and mode) and maintainer scripts."""

    name: str
    version: str
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    architecture: str = "amd64"


def build(suite: str, folder: Path) -> None:
    """Write the .debs of one repository into `folder`.

    Raises:
        ValueError: no such suite.
        subprocess.CalledProcessError: dpkg-deb refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages(suite):
        _write(package, folder)


def build_keyring(public_key: Path, folder: Path) -> None:
    """Write cuda-keyring_1.1-1_all.deb with this (binary) key into `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        target = tree / "usr/share/keyrings/cuda-archive-keyring.gpg"
        target.parent.mkdir(parents=True)
        target.write_bytes(public_key.read_bytes())
        control = "Package: cuda-keyring\nVersion: 1.1-1\nArchitecture: all\n"
        _pack(tree, control, folder / "cuda-keyring_1.1-1_all.deb")


def packages(suite: str) -> Iterator[Package]:
    """Yield the packages of a repository: `debian13`, `ubuntu2404` …, or `container-toolkit`."""
    if suite == "container-toolkit":
        for version in TOOLKITS:
            yield from _toolkit(version)
        return
    if suite not in SUITES:
        raise ValueError(f"no repository {suite!r}; there are {', '.join(SUITES)}")
    for branch in PINNED:
        yield _pinning(branch)
    for version in DRIVERS:
        yield from _debian_driver(version) if suite.startswith("debian") else _ubuntu_driver(version)
    if suite.startswith("ubuntu"):
        yield from _transitional()
    yield _headers()


def _pinning(branch: int) -> Package:
    version = next(one for one in reversed(DRIVERS) if one.startswith(str(branch)))
    text = (
        "Package: *nvidia* libcuda1* cuda-drivers* libxnvctrl* nvidia-open*\n"
        f"Pin: version {branch}.*\nPin-Priority: 1000\n"
    )
    return Package(
        f"nvidia-driver-pinning-{branch}", f"{version}-1",
        {"Section": "NVIDIA", "Provides": "nvidia-driver-pinning", "Conflicts": "nvidia-driver-pinning",
         "Replaces": "nvidia-driver-pinning"},
        {f"etc/apt/preferences.d/nvidia-driver-pinning-{branch}": (text, 0o644)}, architecture="all",
    )  # fmt: skip


def _debian_driver(version: str) -> Iterator[Package]:
    full = f"{version}-1"
    yield _library("libnvidia-ml1", full, f"libnvidia-ml.so.{version}", "libnvidia-ml.so.1")
    yield _library("libcuda1", full, f"libcuda.so.{version}", "libcuda.so.1")
    yield Package(
        "nvidia-driver-cuda", full,
        {"Depends": f"libnvidia-ml1 (= {full}), libcuda1 (= {full}), "
                    f"nvidia-kernel-dkms (= {full}) | nvidia-kernel-open-dkms (= {full})",
         # The trap of NVIDIA's Debian repository: Debian's own package of that name.
         "Conflicts": "nvidia-smi", "Replaces": "nvidia-smi"},
        {"usr/bin/nvidia-smi": (_script("nvidia_smi.py", VERSION=version), 0o755)},
    )  # fmt: skip
    for flavour, name, other in (
        ("proprietary", "nvidia-kernel-dkms", "nvidia-kernel-open-dkms"),
        ("open", "nvidia-kernel-open-dkms", "nvidia-kernel-dkms"),
    ):
        yield _module(name, full, version, flavour, {"Conflicts": other, "Replaces": other})


def _ubuntu_driver(version: str) -> Iterator[Package]:
    full, branch = f"{version}-1ubuntu1", int(version[:3])
    suffix = f"-{branch}" if branch <= 580 else ""
    smi = {"usr/bin/nvidia-smi": (_script("nvidia_smi.py", VERSION=version), 0o755)}
    library = _library(f"libnvidia-compute{suffix}", full, f"libnvidia-ml.so.{version}", "libnvidia-ml.so.1")
    provides = {"Provides": "libnvidia-compute", "Conflicts": "libnvidia-compute", "Replaces": "libnvidia-compute"}
    yield Package(library.name, full, provides if suffix else {}, {**library.files, **({} if suffix else smi)},
                  library.scripts)  # fmt: skip
    if suffix:
        yield Package(
            f"nvidia-utils{suffix}", full,
            {"Depends": f"libnvidia-compute{suffix} (= {full})", "Provides": "nvidia-utils",
             "Conflicts": "nvidia-utils", "Replaces": "nvidia-utils"},
            smi,
        )  # fmt: skip
    for flavour, tail in (("proprietary", ""), ("open", "-open")):
        fields = {"Provides": "nvidia-dkms-kernel", "Conflicts": "nvidia-dkms-kernel", "Replaces": "nvidia-dkms-kernel"}
        yield _module(f"nvidia-dkms{suffix}{tail}", full, version, flavour, fields)


def _transitional() -> Iterator[Package]:
    """A branch in a name is no pin: these are called 570 and bring 580."""
    newest = next(one for one in reversed(DRIVERS) if one.startswith("580"))
    full = f"{newest}-1ubuntu1"
    for tail in ("", "-open"):
        yield Package(f"nvidia-driver-570-server{tail}", full, {"Depends": f"nvidia-dkms-580{tail} (>= {newest})"})
        yield Package(f"nvidia-dkms-570-server{tail}", full, {"Depends": f"nvidia-dkms-580{tail} (>= {newest})"})


def _library(name: str, full: str, file: str, link: str) -> Package:
    # A link is not worth a special case in the writer: it is made when the package is configured, as ldconfig does.
    return Package(
        name, full, {}, {f"{LIBRARIES}/{file}": (f"stand-in for {file}\n", 0o644)},
        {"postinst": f"#!/bin/sh\nset -e\nln -sf {file} /{LIBRARIES}/{link}\n",
         "prerm": f"#!/bin/sh\nset -e\nif [ \"$1\" = remove ]; then rm -f /{LIBRARIES}/{link}; fi\n"},
    )  # fmt: skip


def _module(name: str, full: str, version: str, flavour: str, fields: Mapping[str, str]) -> Package:
    """Build a module as dkms does: only where the headers of the running kernel are, and without failing."""
    place = "/lib/modules/$(uname -r)"
    built = f'{{"version": "{version}", "flavour": "{flavour}"}}'
    postinst = (
        "#!/bin/sh\nset -e\n"
        f'if [ -e "{place}/build" ]; then\n  mkdir -p "{place}/updates/dkms"\n'
        f"  printf '%s\\n' '{built}' >\"{place}/updates/dkms/nvidia.ko\"\n"
        "else\n"
        '  echo "Module build for kernel $(uname -r) was skipped since the kernel headers for this kernel do not '
        'seem to be installed." >&2\nfi\n'
    )
    prerm = f'#!/bin/sh\nset -e\nif [ "$1" = remove ]; then rm -f "{place}/updates/dkms/nvidia.ko"; fi\n'
    source = {f"usr/src/nvidia-{version}{'-open' if flavour == 'open' else ''}/dkms.conf": (
        f'PACKAGE_NAME="nvidia"\nPACKAGE_VERSION="{version}"\n', 0o644)}  # fmt: skip
    return Package(name, full, dict(fields), source, {"postinst": postinst, "prerm": prerm})


def _headers() -> Package:
    """Headers of the kernel that runs here, which is this machine's and in no distribution's archive."""
    kernel = os.uname().release
    text = "# stand-in: the module packages of the lab look only whether this is there\n"
    return Package(f"linux-headers-{kernel}", "1", {}, {f"lib/modules/{kernel}/build/Makefile": (text, 0o644)})


def _toolkit(version: str) -> Iterator[Package]:
    full = f"{version}-1"
    modern = tuple(int(part) for part in version.split(".")) >= (1, 18, 0)
    units = {
        "usr/lib/systemd/system/nvidia-cdi-refresh.service": (_script("nvidia-cdi-refresh.service"), 0o644),
        "usr/lib/systemd/system/nvidia-cdi-refresh.path": (_script("nvidia-cdi-refresh.path"), 0o644),
    }
    start = (
        "#!/bin/sh\nset -e\nif [ -d /run/systemd/system ]; then\n  systemctl daemon-reload\n"
        "  systemctl enable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service || true\nfi\n"
    )
    stop = (
        '#!/bin/sh\nset -e\nif [ "$1" = remove ] && [ -d /run/systemd/system ]; then\n'
        "  systemctl disable --now nvidia-cdi-refresh.path nvidia-cdi-refresh.service || true\nfi\n"
    )
    yield Package("libnvidia-container1", full)
    yield Package("libnvidia-container-tools", full, {"Depends": f"libnvidia-container1 (>= {full})"})
    yield Package(
        "nvidia-container-toolkit-base", full, {},
        {"usr/bin/nvidia-ctk": (_script("nvidia_ctk.py", VERSION=version), 0o755), **(units if modern else {})},
        {"postinst": start, "prerm": stop} if modern else {},
    )  # fmt: skip
    yield Package(
        "nvidia-container-toolkit", full,
        {"Depends": f"libnvidia-container-tools (>= {full}), libnvidia-container-tools (<< 2.0.0), "
                    f"nvidia-container-toolkit-base (= {full})"},
        {"usr/bin/nvidia-container-runtime": ("#!/bin/sh\nexec runc \"$@\"\n", 0o755)},
    )  # fmt: skip


def _script(name: str, **values: str) -> str:
    text = (SCRIPTS / name).read_text(encoding="utf-8")
    for word, value in values.items():
        text = text.replace(f"@{word}@", value)
    return text


def _write(package: Package, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch)
        tree.chmod(0o755)
        for path, (text, mode) in package.files.items():
            target = tree / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            target.chmod(mode)
        lines = [f"Package: {package.name}", f"Version: {package.version}", f"Architecture: {package.architecture}"]
        lines += [f"{name}: {value}" for name, value in package.fields.items()]
        for name, text in package.scripts.items():
            script = tree / "DEBIAN" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(text, encoding="utf-8")
            script.chmod(0o755)
        _pack(tree, "\n".join(lines) + "\n",
              folder / f"{package.name}_{package.version}_{package.architecture}.deb")  # fmt: skip


def _pack(tree: Path, control: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN").mkdir(exist_ok=True)
    described = f"{control}Maintainer: lab\nDescription: stand-in of the lab\n"
    (tree / "DEBIAN" / "control").write_text(described, encoding="utf-8")
    # gzip of nothing much: building all of it has to take seconds
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", "-z1", str(tree), str(target)],
                   check=True, capture_output=True)  # fmt: skip
