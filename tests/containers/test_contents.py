"""What is in the images, and what is not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import docker
import pytest
import trustme

from .conftest import TOP
from .daemon import layers

pytestmark = pytest.mark.host

USERS = {"gateway": "10001:10001", "whisper-api": "10002:10002", "whisper-api-cuda": "10002:10002"}
LABEL = "org.opencontainers.image."
# What a stage that only runs has no use for; on the base image's own account they are its makers' business.
TOOLS = re.compile(r"opt/.*(?:/(?:pip|uv|setuptools|wheel)(?:-[^/]*)?(?:/|$)|/tests?/|\.(?:pyi|pyx|pxd|a|h)$)")
BUILT_HERE = re.compile(r"(?:^|/)(?:direct_url\.json|uv_cache\.json|pip\.conf|uv\.toml|\.netrc|\.git(?:/|$))")


@pytest.mark.promise("S0.12")
def test_an_image_says_who_it_is_and_runs_as_nobody_special(
    images: dict[str, str], engine: docker.DockerClient
) -> None:
    version = re.search(r'^version = "(.*)"', (TOP / "pyproject.toml").read_text(), re.MULTILINE)
    for name, reference in images.items():
        config = engine.images.get(reference).attrs["Config"]
        assert config["User"] == USERS[name]
        assert config["Labels"][LABEL + "title"] == name.removesuffix("-cuda")
        assert config["Labels"][LABEL + "licenses"] == "MIT"
        assert re.fullmatch(r"[0-9a-f]{40}", config["Labels"][LABEL + "revision"])
        assert version
        assert config["Labels"][LABEL + "version"] in {version[1], "edge"}
        assert config["Labels"][LABEL + "source"].startswith("https://")
        assert config["Entrypoint"][0] == "dumb-init"
        assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "service_kit.healthcheck"]
        assert not config.get("Volumes"), "a volume that nobody named is one that nobody finds again"


@pytest.mark.promise("S0.12")
def test_no_layer_holds_what_only_the_build_needs(images: dict[str, str]) -> None:
    for name, reference in images.items():
        found = {member.name for member, _ in layers(reference)}
        assert any(path.startswith("opt/app/service_kit/") and path.endswith(".pyc") for path in found)
        assert [path for path in found if TOOLS.search(path)] == [], name
        assert [path for path in found if BUILT_HERE.search(path)] == [], name
        stale = [path for path in found if path.startswith("opt/") and re.search(r"\.opt-\d\.pyc$", path)]
        assert stale == [], name


@pytest.mark.promise("S0.12")
def test_the_ca_of_a_build_stays_outside(
    gateway_image: str, build_environment: dict[str, str], engine: docker.DockerClient, tmp_path: Path
) -> None:
    """Built anew, so that the secret is really used, with a certificate in it that is nowhere else."""
    canary = trustme.CA().cert_pem.bytes()
    bundle = tmp_path / "ca.pem"
    own = build_environment.get("AI_EXTRA_CA_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    bundle.write_bytes((Path(own).read_bytes() if Path(own).exists() else b"") + canary)
    command = [
        str(TOP / "images" / "build"),
        "--fresh",
        "--ca",
        str(bundle),
        "--prefix",
        "ai-services-canary",
        "gateway",
    ]
    built = subprocess.run(command, env=build_environment, stdout=subprocess.PIPE, text=True, check=True)
    reference = built.stdout.split("\t")[1]
    try:
        lines = [line for line in canary.split(b"\n") if line and not line.startswith(b"-")]
        for member, content in layers(reference):
            assert not any(line in content for line in lines[2:4]), f"{member.name} holds the build's CA"
            assert str(bundle).encode() not in content, f"{member.name} names the build's CA"
        assert "secrets" not in str(engine.images.get(reference).history())
    finally:
        engine.images.remove(reference, force=True)


@pytest.mark.promise("S0.12")
def test_what_changed_nothing_builds_nothing(gateway_image: str, build_environment: dict[str, str]) -> None:
    """The same id again, in the middle of a lab too; and a mistake is named."""
    command = [str(TOP / "images" / "build"), "gateway"]
    twice = [
        subprocess.run(command, env=build_environment, stdout=subprocess.PIPE, check=True).stdout for _ in range(2)
    ]
    assert twice[0] == twice[1]
    for wrong, says in (
        (["nothing"], "there is no image nothing"),
        (["--base"], "--base needs a value"),
        (["--ca", "/nowhere", "gateway"], "/nowhere cannot be read"),
    ):
        done = subprocess.run([TOP / "images" / "build", *wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert says in done.stderr


def test_the_page_states_the_sizes(images: dict[str, str], engine: docker.DockerClient) -> None:
    """docs/images.md says what an image adds to its base, on amd64; this measures it."""
    page = (TOP / "docs" / "images.md").read_text()
    for name, reference in images.items():
        image = engine.images.get(reference)
        if image.attrs["Architecture"] != "amd64":
            pytest.skip("the page states the sizes on amd64")
        stated = re.search(rf"^\| `{name}` +\|[^|]*\| +(\d+) MB +\|", page, re.MULTILINE)
        assert stated, f"docs/images.md states no size for {name}"
        history = image.history()  # newest first; our first step makes the user
        first = next(index for index, layer in enumerate(history) if "groupadd --gid" in layer["CreatedBy"])
        ours = sum(layer["Size"] for layer in history[: first + 1])
        assert ours / 1e6 == pytest.approx(int(stated[1]), rel=0.1), name


def test_a_release_pins_its_images(tmp_path: Path) -> None:
    digest = "sha256:" + "ab" * 32
    published = []
    for name, tag in (("gateway", "1.2.3"), ("whisper-api", "1.2.3"), ("whisper-api-cuda", "1.2.3-cuda")):
        path = tmp_path / f"published-{name}.tsv"
        path.write_text(f"{name}\tghcr.io/somebody/{name.removesuffix('-cuda')}:{tag}@{digest}\n")
        published.append(path)
    script = TOP / "images" / "digests"
    subprocess.run([script, "1.2.3", *published, tmp_path], check=True)
    cuda = (tmp_path / "ai-images-cuda.yml").read_text()
    assert f"ai_whisper_api_image: ghcr.io/somebody/whisper-api:1.2.3-cuda@{digest}\n" in cuda
    assert f"ai_gateway_image: ghcr.io/somebody/gateway:1.2.3@{digest}\n" in cuda
    assert '"whisper-api": "ghcr.io/somebody/whisper-api:1.2.3@' in (tmp_path / "images.json").read_text()
    shutil.copyfile(published[0], published[1])
    done = subprocess.run([script, "1.2.3", *published, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no line names the image whisper-api" in done.stderr
