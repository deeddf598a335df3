"""The lab's outside world answers as the one outside does, as far as hosts can tell; asked as hosts ask."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from host.lab import configuration, disks, engine, hosts, internet, names, stores
from host.lab.deployment import Operator
from host.lab.place import INTERNET_NUMBER, Lab, LabError, address

pytestmark = [pytest.mark.host, pytest.mark.timeout(600)]

NAME = "visitor"


@pytest.fixture(scope="module")
def visitor(lab: Lab) -> Iterator[str]:
    """A bare host with the lab's authority in its store; the container's name."""
    hosts.remove(lab, NAME)
    hosts.start(lab, NAME, suite="trixie")
    container = lab.container(NAME)
    for number, part in enumerate(lab.trusted.read_text().split("-----BEGIN ")[1:]):
        path = f"/usr/local/share/ca-certificates/lab-{number}.crt"
        engine.run_in(container, ["tee", path], stdin=f"-----BEGIN {part}")
    engine.run_in(container, ["update-ca-certificates"])
    yield container
    hosts.remove(lab, NAME)


def status(visitor: str, url: str, *, user: str | None = None) -> int:
    """The HTTP status of a GET from the visitor; `user` is NAME:PASSWORD."""
    basic = base64.b64encode(user.encode()).decode() if user else ""
    script = (
        "import sys,urllib.request as u,urllib.error as e\n"
        "r=u.Request(sys.argv[1],headers={'Authorization':'Basic '+sys.argv[2]} if sys.argv[2] else {})\n"
        f"r.add_header('Accept','{stores.MANIFEST}, */*')\n"
        "try: print(u.urlopen(r,timeout=20).status)\n"
        "except e.HTTPError as error: print(error.code)\n"
    )
    return int(engine.run_in(visitor, ["python3", "-c", script, url, basic]))


def get(visitor: str, url: str) -> str:
    script = (
        "import sys,urllib.request as u\n"
        f"r=u.Request(sys.argv[1],headers={{'Accept':'{stores.MANIFEST}, */*'}})\n"
        "sys.stdout.write(u.urlopen(r,timeout=60).read().decode())\n"
    )
    return engine.run_in(visitor, ["python3", "-c", script, url])


def test_a_host_is_a_machine_as_a_provider_gives_it(visitor: str) -> None:
    assert engine.run_in(visitor, ["systemctl", "is-system-running"]).strip() == "running"
    assert engine.run_in(visitor, ["sh", "-c", "command -v docker nginx certbot curl gpg"], check=False) == ""


def test_hosts_have_keys_and_identities_of_their_own(lab: Lab, visitor: str) -> None:
    hosts.start(lab, "twin", suite="trixie")
    try:
        for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub"):
            own, other = (engine.run_in(one, ["cat", path]) for one in (visitor, lab.container("twin")))
            assert own.strip()
            assert own != other
    finally:
        hosts.remove(lab, "twin")


def test_a_host_with_another_key_is_not_spoken_to(lab: Lab, visitor: str) -> None:
    operator = Operator(lab, NAME, lab.folder / "operators" / NAME)
    login = ["ssh", "-F", str(lab.ssh_config), "-o", "BatchMode=yes", NAME, "true"]
    assert operator.run(*login).status == 0
    engine.run_in(visitor, ["sh", "-c", "rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh"])
    try:
        assert "Host key verification failed" in operator.run(*login).text
    finally:
        hosts.write_lists(lab)
    assert operator.run(*login).status == 0


def test_a_reboot_keeps_the_disk_and_forgets_the_memory(lab: Lab, visitor: str) -> None:
    engine.run_in(
        visitor, ["sh", "-c", "echo kept >/srv/kept; echo gone >/run/gone; echo '192.0.2.7 own' >>/etc/hosts"]
    )
    hosts.reboot(lab, NAME)
    assert engine.run_in(visitor, ["cat", "/srv/kept"]) == "kept\n"
    assert "192.0.2.7 own" in engine.run_in(visitor, ["cat", "/etc/hosts"])
    assert engine.run_in(visitor, ["sh", "-c", "ls /run/gone"], check=False) == ""


def test_a_name_follows_what_the_dns_server_is_told(lab: Lab, visitor: str) -> None:
    server = address(internet.network_of(lab), INTERNET_NUMBER)
    lookup = ["sh", "-c", "getent ahostsv4 moving.lab.test | cut -d' ' -f1 | uniq"]
    for target in ("192.0.2.1", "192.0.2.2"):
        names.point(lab, server, "moving", target)
        assert engine.run_in(visitor, lookup).strip() == target
    names.point(lab, server, "moving", None)
    assert engine.run_in(visitor, lookup) == ""


def test_ghcr_asks_for_the_token(lab: Lab, visitor: str) -> None:
    url, token = "https://ghcr.io/v2/", (lab.secrets / "ghcr_token").read_text().strip()
    assert status(visitor, url) == 401
    assert status(visitor, url, user=f"{configuration.GITHUB_USER}:wrong") == 401
    assert status(visitor, url, user=f"{configuration.GITHUB_USER}:{token}") == 200


def test_registries_hold_what_a_release_needs(visitor: str) -> None:
    manifest = json.loads(
        get(visitor, f"https://registry.ollama.ai/v2/library/{stores.MODEL.replace(':', '/manifests/')}")
    )
    assert {layer["mediaType"] for layer in manifest["layers"]} >= {"application/vnd.ollama.image.model"}
    assert status(visitor, "https://registry-1.docker.io/v2/ollama/ollama/manifests/0.24.0") == 200


def test_nobody_pushes_from_a_host(visitor: str) -> None:
    script = (
        "import urllib.request as u,urllib.error as e\n"
        "try: print(u.urlopen(u.Request('https://registry-1.docker.io/v2/x/y/blobs/uploads/',method='POST')).status)\n"
        "except e.HTTPError as error: print(error.code)\n"
    )
    assert engine.run_in(visitor, ["python3", "-c", script]).strip() == "405"


def test_the_hub_has_the_speech_model(visitor: str) -> None:
    described = json.loads(get(visitor, "https://huggingface.co/api/models/Systran/faster-whisper-tiny.en"))
    assert "model.bin" in {file["rfilename"] for file in described["siblings"]}


def test_the_certificate_authority_speaks_acme(visitor: str) -> None:
    assert json.loads(get(visitor, "https://acme.lab.test/dir"))["newOrder"].startswith("https://acme.lab.test/")


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("https://download.docker.com/linux/debian trixie stable", "docker-ce"),
        ("https://developer.download.nvidia.com/compute/cuda/repos/debian13/x86_64/ /", "nvidia-driver-cuda"),
        ("https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /", "nvidia-container-toolkit"),
    ],
)
def test_apt_trusts_a_repository_by_its_key_and_not_without(visitor: str, line: str, package: str) -> None:
    key = get(visitor, "https://download.docker.com/linux/debian/gpg")
    engine.run_in(visitor, ["tee", "/etc/apt/keyrings/lab.asc"], stdin=key)
    source = "/etc/apt/sources.list.d/tried.list"
    only = ["-o", f"Dir::Etc::sourcelist={source}", "-o", "Dir::Etc::sourceparts=-"]
    try:
        engine.run_in(visitor, ["tee", source], stdin=f"deb {line}\n")
        refused = engine.call("exec", visitor, "apt-get", "update", *only, check=False)
        assert refused.returncode != 0
        engine.run_in(visitor, ["tee", source], stdin=f"deb [signed-by=/etc/apt/keyrings/lab.asc] {line}\n")
        engine.run_in(visitor, ["apt-get", "update", *only])
        assert "Candidate: (none)" not in engine.run_in(visitor, ["apt-cache", "policy", package])
    finally:
        engine.run_in(visitor, ["sh", "-c", f"rm -f {source} /etc/apt/keyrings/lab.asc"])


def test_debians_packages_come_through_the_cache(lab: Lab, visitor: str) -> None:
    engine.run_in(visitor, ["sh", "-c", "apt-get update -q && cd /tmp && apt-get download -q hello"])
    kept = engine.run_in(lab.container("internet"), ["sh", "-c", "grep -rlaF /pool/main/h/hello/ /var/lib/lab/debian"])
    assert kept.strip()


def test_this_machine_has_the_labs_names_only_inside(lab: Lab) -> None:
    before = Path("/etc/resolv.conf").read_text()
    operator = Operator(lab, NAME, lab.folder / "operators" / NAME)
    own = address(internet.network_of(lab), INTERNET_NUMBER)
    assert operator.run("getent", "hosts", "ghcr.io").text.split()[0] == own
    assert Path("/etc/resolv.conf").read_text() == before


def test_a_disk_of_its_own_runs_full_survives_a_power_loss_and_harms_nobody(lab: Lab) -> None:
    name = "small"
    hosts.remove(lab, name)
    hosts.start(lab, name, suite="trixie", disks_mib={"/opt": 64})
    container = lab.container(name)
    try:
        with pytest.raises(LabError):
            disks.fill(container, "/var")
        disks.fill(container, "/opt")
        write = ["sh", "-c", "head -c 4096 /dev/zero >/opt/one-more && sync -f /opt"]
        assert "No space left" in engine.call("exec", container, *write, check=False).stderr
        engine.run_in(container, ["sh", "-c", "head -c 4096 /dev/zero >/var/one-more && sync -f /var"])
        disks.empty(container, "/opt")
        engine.run_in(container, write)
        engine.call("kill", "--signal", "KILL", container)
        engine.call("start", container)
        hosts.wait(lab, name)
        assert engine.run_in(container, ["stat", "-c", "%s", "/opt/one-more"]).strip() == "4096"
    finally:
        hosts.remove(lab, name)
    assert engine.inspect("volume", f"{container}-opt") is None
