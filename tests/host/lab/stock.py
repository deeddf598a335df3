"""The registries, filled as they would be on release day: our images, Ollama's, and a language model."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from host.lab import engine, stores
from host.lab.configuration import GITHUB_USER
from host.lab.place import GHCR, REPOSITORY, Lab, LabError, remark

SERVICES = ("gateway", "whisper-api")
# as `images/build` lays them out; the release's version is in the reference it prints
OLLAMA = "ollama/ollama:0.24.0"
CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")


def ensure(lab: Lab) -> dict[str, str]:
    """Build what is missing and push all; answers the digest of each image by the name under which hosts pull it.

    Raises:
        LabError: an image could not be built or pushed.
    """
    remark("building the images (minutes the first time)")
    base = _lines([REPOSITORY / ".ci" / "build-base"])[-1]
    command: list[str | Path] = [REPOSITORY / "images" / "build", "--base", base]
    if ca := next((os.environ[name] for name in CA_FILES if os.environ.get(name)), None):
        command += ["--ca", ca]
    pushed: dict[str, str] = {}
    for line in _lines([*command, *SERVICES]):
        name, reference, _ = line.split("\t")
        target = f"{GHCR}/{GITHUB_USER}/{name}:{reference.rpartition(':')[2]}"
        pushed[target] = stores.push_image(lab, reference, target)
    build_ollama = REPOSITORY / "tests" / "host" / "lab" / "ollama" / "build"
    _lines([build_ollama, base, stores.ollama_binary(), OLLAMA])
    pushed[f"docker.io/{OLLAMA}"] = stores.push_image(lab, OLLAMA, f"docker.io/{OLLAMA}")
    stores.ensure_model(lab)
    return pushed


def _lines(command: list[str | Path]) -> list[str]:
    """Standard output of a build script, by lines; its own progress is on standard error."""
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DOCKER": engine.CLIENT},
    )
    if done.returncode != 0:
        raise LabError(f"{Path(command[0]).name} failed:\n{done.stderr[-3000:]}")
    return done.stdout.splitlines()
