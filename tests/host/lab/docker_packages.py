"""Docker's own packages, as its repository for Debian names and divides them. Standard library and dpkg-deb only."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

# Debian's package: the suite whose build runs on every suite of the lab
SOURCES = {
    "docker.io": "trixie", "docker-cli": "trixie", "docker-compose": "trixie", "docker-buildx": "trixie",
    "containerd": "trixie", "tini": "trixie", "runc": "bookworm",
}  # fmt: skip

PLUGINS = "usr/libexec/docker/cli-plugins"
# name: (version, control fields, {path in it: (Debian's package, path there)})
LAYOUT: dict[str, tuple[str, dict[str, str], dict[str, tuple[str, str]]]] = {
    "containerd.io": (
        "1.7.24-1",
        {"Provides": "containerd, runc", "Conflicts": "containerd, runc", "Replaces": "containerd, runc",
         "Depends": "libc6 (>= 2.34), libseccomp2 (>= 2.5.0)"},
        {"usr/bin/containerd": ("containerd", "usr/bin/containerd"), "usr/bin/ctr": ("containerd", "usr/bin/ctr"),
         "usr/bin/containerd-shim-runc-v2": ("containerd", "usr/bin/containerd-shim-runc-v2"),
         "usr/bin/runc": ("runc", "usr/sbin/runc")},
    ),
    "docker-ce-cli": (
        "5:26.1.5-1",
        {"Depends": "libc6 (>= 2.34)", "Recommends": "docker-buildx-plugin, docker-compose-plugin",
         "Conflicts": "docker, docker.io, docker-cli", "Replaces": "docker.io, docker-cli"},
        {"usr/bin/docker": ("docker-cli", "usr/bin/docker")},
    ),
    "docker-ce": (
        "5:26.1.5-1",
        {"Depends": "containerd.io (>= 1.7.24), docker-ce-cli, iptables, libc6 (>= 2.34), libsystemd0",
         "Recommends": "docker-ce-rootless-extras", "Conflicts": "docker, docker.io", "Replaces": "docker.io"},
        {"usr/bin/dockerd": ("docker.io", "usr/sbin/dockerd"),
         "usr/bin/docker-proxy": ("docker.io", "usr/sbin/docker-proxy"),
         "usr/bin/docker-init": ("tini", "usr/bin/tini-static")},
    ),
    "docker-compose-plugin": (
        "2.26.1-1", {"Enhances": "docker-ce-cli"},
        {f"{PLUGINS}/docker-compose": ("docker-compose", "usr/libexec/docker/cli-plugins/docker-compose")},
    ),
    "docker-buildx-plugin": (
        "0.13.1-1", {"Enhances": "docker-ce-cli"},
        {f"{PLUGINS}/docker-buildx": ("docker-buildx", "usr/libexec/docker/cli-plugins/docker-buildx")},
    ),
}  # fmt: skip

UNITS = {
    "containerd.io": {
        "containerd.service": """[Unit]
Description=containerd container runtime
After=network.target local-fs.target

[Service]
ExecStart=/usr/bin/containerd
Type=notify
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
""",
    },
    "docker-ce": {
        "docker.service": """[Unit]
Description=Docker Application Container Engine
After=network-online.target docker.socket containerd.service
Wants=network-online.target containerd.service
Requires=docker.socket

[Service]
Type=notify
ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock
ExecReload=/bin/kill -s HUP $MAINPID
Restart=always
RestartSec=2
Delegate=yes
KillMode=process

[Install]
WantedBy=multi-user.target
""",
        "docker.socket": """[Unit]
Description=Docker Socket for the API

[Socket]
ListenStream=/run/docker.sock
SocketMode=0660
SocketUser=root
SocketGroup=docker

[Install]
WantedBy=sockets.target
""",
    },
}
PREPARE = {"docker-ce": "getent group docker >/dev/null || groupadd --system docker\n"}


def build(sources: Mapping[str, Path], suffix: str, folder: Path) -> None:
    """Write the packages into `folder`, out of Debian's, unpacked in `sources`; `suffix` ends the versions.

    Raises:
        subprocess.CalledProcessError: dpkg-deb refused.
        FileNotFoundError: a Debian package has another layout than expected.
    """
    folder.mkdir(parents=True)
    for name, (version, fields, files) in LAYOUT.items():
        with tempfile.TemporaryDirectory() as scratch:
            tree = Path(scratch)
            tree.chmod(0o755)
            for target, (package, source) in files.items():
                (tree / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(sources[package] / source, tree / target)
            full = version if name == "containerd.io" else version + suffix
            _control(tree, {"Package": name, "Version": full, "Architecture": "amd64", **fields})
            _units(tree, name)
            # worth little: these files never leave this machine
            subprocess.run(
                ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", str(tree),
                 str(folder / f"{name}_{full.partition(':')[2] or full}_amd64.deb")],
                check=True, capture_output=True,
            )  # fmt: skip


def _control(tree: Path, fields: dict[str, str]) -> None:
    whole = {**fields, "Maintainer": "the lab <root@localhost>", "Description": f"{fields['Package']} of the lab"}
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN" / "control").write_text("".join(f"{key}: {value}\n" for key, value in whole.items()))


def _units(tree: Path, name: str) -> None:
    units = UNITS.get(name, {})
    if not units:
        return
    place = tree / "usr/lib/systemd/system"
    place.mkdir(parents=True)
    for unit, text in units.items():
        (place / unit).write_text(text)
    # sockets first: a service that brings its own socket unit must find it listening
    order = " ".join(sorted(units, key=lambda unit: not unit.endswith(".socket")))
    running = "[ -d /run/systemd/system ]"
    scripts = {
        "postinst": f"""#!/bin/sh
set -e
if [ "$1" = configure ]; then
    {PREPARE.get(name, ":")}
    if {running}; then
        systemctl daemon-reload
        systemctl enable --quiet {order}
        systemctl restart {order}
    fi
fi
""",
        "prerm": f"""#!/bin/sh
set -e
if [ "$1" = remove ] && {running}; then
    systemctl disable --quiet --now {order}
fi
""",
        "postrm": f"""#!/bin/sh
set -e
if {running}; then
    systemctl daemon-reload
fi
""",
    }
    for script, text in scripts.items():
        path = tree / "DEBIAN" / script
        path.write_text(text)
        path.chmod(0o755)
