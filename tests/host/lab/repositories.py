"""The package repositories of Docker and NVIDIA: their addresses and indexes, signed, with what Debian has in them.

Runs inside `internet` (dpkg-deb, apt-ftparchive, gpg; standard library only) and writes static files, one folder per
host name. Docker's packages hold Debian trixie's engine under Docker's names, which runs on bookworm's C library too;
only runc does not, and comes from bookworm. NVIDIA's are made by `nvidia_packages`.
"""

from __future__ import annotations

import argparse
import gzip
import lzma
import os
import shutil
import subprocess
import tempfile
import urllib.request
from functools import cache
from pathlib import Path

from host.lab import docker_packages, nvidia_packages

KEY_NAME = "ai-services lab"
DOCKER_SUITES = {"bookworm": "12", "trixie": "13"}
# the name of the public key beside the index, as NVIDIA's repositories have it
NVIDIA_SUITES = {
    "debian12": "3bf863cc.pub", "debian13": "8793F200.pub", "ubuntu2204": "3bf863cc.pub", "ubuntu2404": "3bf863cc.pub",
}  # fmt: skip
FETCH_TIMEOUT_S = 120


def main() -> None:
    """Write all repositories to --out, and the signing key's fingerprint to --out/fingerprint."""
    parser = argparse.ArgumentParser(prog="host.lab.repositories")
    parser.add_argument("--mirror", required=True, help="Debian's main archive: where the engine comes from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keys", type=Path, required=True, help="GNUPGHOME; the key in it is made once")
    arguments = parser.parse_args()
    os.environ["GNUPGHOME"] = str(arguments.keys)
    fingerprint = _signing_key(arguments.keys)
    with tempfile.TemporaryDirectory(dir=arguments.out, prefix=".new-") as scratch:
        fresh = Path(scratch)
        _docker(fresh / "download.docker.com" / "linux" / "debian", arguments.mirror)
        _nvidia(fresh / "developer.download.nvidia.com" / "compute" / "cuda" / "repos")
        _toolkit(fresh / "nvidia.github.io" / "libnvidia-container")
        for host in fresh.iterdir():
            _world_readable(host)
            shutil.rmtree(arguments.out / host.name, ignore_errors=True)
            host.rename(arguments.out / host.name)
    (arguments.out / "fingerprint").write_text(fingerprint + "\n")


def _docker(root: Path, mirror: str) -> None:
    """https://download.docker.com/linux/debian: dists/SUITE/pool/stable/amd64, one key beside."""
    root.mkdir(parents=True)
    (root / "gpg").write_bytes(_exported(armor=True))
    sources = {name: _fetch(mirror, suite, name) for name, suite in docker_packages.SOURCES.items()}
    for suite, release in DOCKER_SUITES.items():
        pool = root / "dists" / suite / "pool" / "stable" / "amd64"
        docker_packages.build(sources, f"~debian.{release}~{suite}", pool)
        index = root / "dists" / suite / "stable" / "binary-amd64"
        index.mkdir(parents=True)
        _index(root, pool.relative_to(root), index)
        _sign(root / "dists" / suite, {"Suite": suite, "Codename": suite, "Components": "stable"})


def _nvidia(root: Path) -> None:
    """https://developer.download.nvidia.com/compute/cuda/repos/SUITE/x86_64: flat, with the keyring package."""
    public = root.parent / "key.gpg"
    root.mkdir(parents=True)
    public.write_bytes(_exported(armor=False))
    for suite, key in NVIDIA_SUITES.items():
        folder = root / suite / "x86_64"
        nvidia_packages.build(suite, folder)
        nvidia_packages.build_keyring(public, folder)
        (folder / key).write_bytes(_exported(armor=True))
        # NVIDIA's names: the key of Debian 13's repository is another one than that of the older ones
        (folder / ("8793F200.pub" if suite == "debian13" else "3bf863cc.pub")).write_bytes(_exported(armor=True))
        _index(folder, Path(), folder)
        _sign(folder, {})
    public.unlink()


def _toolkit(root: Path) -> None:
    """https://nvidia.github.io/libnvidia-container: gpgkey, stable/deb/amd64 (flat)."""
    folder = root / "stable" / "deb" / "amd64"
    nvidia_packages.build("container-toolkit", folder)
    (root / "gpgkey").write_bytes(_exported(armor=True))
    _index(folder, Path(), folder)
    _sign(folder, {})


def _index(root: Path, pool: Path, index: Path) -> None:
    """Packages and Packages.gz in `index`, with file names relative to `root`."""
    listed = _out(["apt-ftparchive", "packages", str(pool)], cwd=root).replace(b"Filename: ./", b"Filename: ")
    (index / "Packages").write_bytes(listed)
    (index / "Packages.gz").write_bytes(gzip.compress(listed, mtime=0))


def _sign(folder: Path, fields: dict[str, str]) -> None:
    options = [f"-oAPT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    release = _out(["apt-ftparchive", *options, "-oAPT::FTPArchive::Release::Architectures=amd64", "release", "."],
                   cwd=folder)  # fmt: skip
    (folder / "Release").write_bytes(release)
    _out(["gpg", "--batch", "--yes", "--clearsign", "--output", "InRelease", "Release"], cwd=folder)
    _out(["gpg", "--batch", "--yes", "--armor", "--detach-sign", "--output", "Release.gpg", "Release"], cwd=folder)


def _signing_key(home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o700)
    if b"\nfpr:" not in (listed := _out(["gpg", "--list-secret-keys", "--with-colons"])):
        _out(["gpg", "--batch", "--passphrase", "", "--quick-gen-key", KEY_NAME, "rsa3072", "sign", "never"])
        listed = _out(["gpg", "--list-secret-keys", "--with-colons"])
    return next(line for line in listed.decode().splitlines() if line.startswith("fpr:")).split(":")[9]


def _exported(*, armor: bool) -> bytes:
    return _out(["gpg", *(["--armor"] if armor else []), "--export", KEY_NAME])


def _fetch(mirror: str, suite: str, name: str) -> Path:
    """Fetch a Debian package of amd64 and unpack it; answers the folder."""
    filename = next(
        line.removeprefix("Filename: ")
        for stanza in _stanzas(mirror, suite)
        if stanza.startswith(f"Package: {name}\n")
        for line in stanza.splitlines()
        if line.startswith("Filename: ")
    )
    target = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    with urllib.request.urlopen(f"{mirror}/{filename}", timeout=FETCH_TIMEOUT_S) as answer:  # the machine's own mirror
        (target / "package.deb").write_bytes(answer.read())
    _out(["dpkg-deb", "--extract", "package.deb", "tree"], cwd=target)
    return target / "tree"


@cache
def _stanzas(mirror: str, suite: str) -> list[str]:
    url = f"{mirror}/dists/{suite}/main/binary-amd64/Packages.xz"
    with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
        return lzma.decompress(answer.read()).decode().split("\n\n")


def _world_readable(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _out(command: list[str], cwd: Path | None = None) -> bytes:
    done = subprocess.run(command, cwd=cwd, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.decode(errors='replace')[-1000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
