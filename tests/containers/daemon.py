"""Containers of our images, run as a host runs them: read-only, without capabilities, secrets as files."""

from __future__ import annotations

import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import requests
from docker.models.containers import Container

KEY = "key-of-the-image-tests-0123456789"
HEALTHY_S = 90


class Running:
    """One running container; `url` is its address from this machine."""

    def __init__(self, container: Container, port: int) -> None:
        self.container = container
        self.port = port

    @property
    def address(self) -> str:
        """Address in the network that the container is in."""
        self.container.reload()
        (network,) = self.container.attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.address}:{self.port}"

    @property
    def log(self) -> str:
        """All that it printed."""
        return b"".join(self.container.logs(stream=True, follow=False)).decode(errors="replace")

    @property
    def health(self) -> dict[str, Any]:
        """What the container engine knows: Status, and Log with the probes' words."""
        self.container.reload()
        health: dict[str, Any] = self.container.attrs["State"]["Health"]
        return health

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST with the key."""
        return requests.post(self.url + path, headers={"Authorization": f"Bearer {KEY}"}, timeout=120, **options)

    def run(self, command: str) -> str:
        """The output of a shell command in the container. AssertionError when it fails."""
        status, output = self.attempt("sh", "-c", command)
        assert status == 0, output
        return output

    def attempt(self, *command: str) -> tuple[int, str]:
        """Exit status and output of a command in the container."""
        done = self.container.exec_run(list(command))
        assert isinstance(done.output, bytes)
        return int(done.exit_code or 0), done.output.decode(errors="replace")

    def wait_until(self, true: Callable[[], Any], timeout_s: float = HEALTHY_S) -> None:
        """Poll `true`; AssertionError with the log's end when it does not come, or the container has ended."""
        deadline = time.monotonic() + timeout_s
        while not true():
            self.container.reload()
            if time.monotonic() > deadline or self.container.status != "running":
                raise AssertionError(f"not reached; {self.container.status}; the log ends with\n{self.log[-3000:]}")
            time.sleep(0.1)

    def wait_healthy(self) -> None:
        """Until the image's own health check says so."""
        self.wait_until(lambda: self.health["Status"] == "healthy")

    def stop(self, grace_s: int) -> tuple[int, float]:
        """Exit status and seconds from SIGTERM to the end; after `grace_s` it is killed (137)."""
        begun = time.monotonic()
        self.container.stop(timeout=grace_s)
        return int(self.container.wait()["StatusCode"]), time.monotonic() - begun


def client() -> docker.DockerClient:
    """The engine of this machine. Raises docker.errors.DockerException where there is none."""
    return docker.from_env()


@contextmanager
def running(
    image: str, port: int, *, files: dict[str, Path] | None = None, network: str = "bridge", **environment: str
) -> Iterator[Running]:
    """A container with `files` (path inside: file or folder here, read-only), its health asked every second."""
    container = client().containers.run(
        image,
        detach=True,
        network=network,
        environment=environment,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        tmpfs={"/tmp": "size=512m,mode=1777"},
        pids_limit=256,
        volumes={str(here): {"bind": there, "mode": "ro"} for there, here in (files or {}).items()},
        healthcheck={"interval": 1_000_000_000},
    )
    try:
        yield Running(container, port)
    finally:
        container.remove(force=True, v=True)


def readable(path: Path, text: str) -> Path:
    """A file with `text` that the users of all containers can read, in folders that they may pass."""
    path.write_text(text)
    path.chmod(0o444)
    for folder in path.parents[:3]:
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    return path


def layers(image: str) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Every file of every layer of `image`, those too that a later layer hides; and the image's own description."""
    with tempfile.TemporaryFile() as saved:
        for piece in client().images.get(image).save():
            saved.write(piece)
        saved.seek(0)
        with tarfile.open(fileobj=saved) as outer:
            for member in outer.getmembers():
                if member.isfile():
                    yield from _files(outer, member)


def _files(outer: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """What `member` holds when it is a layer; itself when it is a description."""
    opened = outer.extractfile(member)
    assert opened is not None
    try:
        with tarfile.open(fileobj=opened) as layer:
            for inner in layer:
                held = layer.extractfile(inner) if inner.isfile() else None
                yield inner, held.read() if held else b""
    except tarfile.ReadError:
        opened.seek(0)
        yield member, opened.read()
