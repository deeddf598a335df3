"""What the lab's registries hold: images of this machine's Docker, and models as Ollama's library keeps them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from ai_services.console import Screen
from ai_services.local import ollama_models, ports
from ai_services.local.state import Llm
from ai_services.models import catalogue, fetch, resolve
from host.lab import base_images, engine, internet
from host.lab.place import DOCKER_HUB, GHCR, REPOSITORY, Lab, LabError, remark

START_TIMEOUT_S = 30
HTTP_TIMEOUT_S = 60
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
# The one language model that this machine has offline, under the name it has in Ollama's library.
MODEL = "gemma3:270m"


def push_image(lab: Lab, reference: str, name: str) -> str:
    """Push this machine's image `reference` so that hosts pull it as `name`; answers its digest.

    `name` may begin with ghcr.io/ or docker.io/; both doors lead to one store.

    Raises:
        LabError: there is no such image, or Docker refused.
    """
    path = name.removeprefix(f"{GHCR}/").removeprefix("docker.io/").removeprefix(f"{DOCKER_HUB}/")
    here = f"127.0.0.1:{internet.push_port(lab)}/{path}"
    engine.call("tag", reference, here)
    engine.call("push", "--quiet", here)
    found = engine.inspect("image", here) or {}
    engine.call("rmi", here)
    repository = here.rpartition(":")[0]
    digest = next((one for one in found.get("RepoDigests") or [] if one.startswith(f"{repository}@")), "")
    return digest.rpartition("@")[2]


def push_failing_image(lab: Lab, name: str) -> str:
    """Push, as `name`, an image that starts and ends at once, over and over; answers its digest."""
    lines = f"FROM {base_images.base_image(internet.SUITE)}\nCMD echo this cannot work; exit 1\n"
    made = engine.call("build", "--quiet", "-", stdin=lines)
    return push_image(lab, made.stdout.strip(), name)


def push_variant(lab: Lab, of: str, name: str, mark: str) -> str:
    """Push, as `name`, an image that does what `of` (one that the registry has) does; `mark` gives it its digest."""
    here = f"127.0.0.1:{internet.push_port(lab)}/{of.removeprefix(f'{GHCR}/')}"
    engine.call("pull", "--quiet", here)
    made = engine.call("build", "--quiet", "-", stdin=f"FROM {here}\nLABEL lab.variant={mark}\n")
    engine.call("rmi", here)
    return push_image(lab, made.stdout.strip(), name)


def ensure_model(lab: Lab) -> None:
    """Have MODEL in the library, put there as its makers would: created by a real Ollama, blob by blob.

    Raises:
        LabError: there is no Ollama to create it, or the registry refused.
    """
    url = f"http://127.0.0.1:{internet.push_port(lab)}/v2/library/{MODEL.partition(':')[0]}"
    tag = MODEL.partition(":")[2]
    if requests.head(f"{url}/manifests/{tag}", headers={"Accept": MANIFEST}, timeout=HTTP_TIMEOUT_S).ok:
        return
    remark(f"putting {MODEL} into the library")
    with tempfile.TemporaryDirectory(prefix="lab-model-") as folder:
        store = Path(folder)
        _create(store)
        manifest = store / "manifests" / "registry.ollama.ai" / "library" / MODEL.replace(":", "/")
        content = json.loads(manifest.read_text())
        for layer in [content["config"], *content["layers"]]:
            _push_blob(url, layer["digest"], store / "blobs" / layer["digest"].replace(":", "-"))
        done = requests.put(
            f"{url}/manifests/{tag}",
            data=manifest.read_bytes(),
            headers={"Content-Type": MANIFEST},
            timeout=HTTP_TIMEOUT_S,
        )
        if not done.ok:
            raise LabError(f"the lab's registry refused the manifest of {MODEL}: {done.status_code} {done.text[:400]}")


def ollama_binary() -> Path:
    """The real Ollama: the one that AI_TEST_OLLAMA names, or the one that .ci/build-ollama keeps.

    Raises:
        LabError: it could not be built.
    """
    if named := os.environ.get("AI_TEST_OLLAMA"):
        return Path(named)
    built = subprocess.run([REPOSITORY / ".ci" / "build-ollama"], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        raise LabError(f"the lab needs a real Ollama:\n{built.stderr[-1000:]}")
    return Path(built.stdout.strip())


def _create(store: Path) -> None:
    entry = catalogue.find(MODEL, "llm")
    assert entry is not None
    screen = Screen()
    reference = resolve.llm(MODEL, "llama.cpp")
    fetched = store / "fetched"
    fetched.mkdir()
    port = ports.free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "OLLAMA_HOST": url, "OLLAMA_MODELS": str(store), "HOME": str(store)}
    with (store / "log").open("wb") as log:
        server = subprocess.Popen([ollama_binary(), "serve"], env=environment, stdout=log, stderr=log)
    try:
        _answering(url, server)
        llm = Llm(
            MODEL, "ollama", "the lab's library", url=url, path=str(fetch.fetch(reference, fetched, screen)),
            chat_template=entry.chat_template, stop=list(entry.stop), max_tokens=entry.max_tokens,
        )  # fmt: skip
        ollama_models.provide(llm, url, screen)
    finally:
        server.terminate()
        server.wait()


def _answering(url: str, server: subprocess.Popen[Any]) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(url, timeout=1).raise_for_status()
        except requests.RequestException as error:
            if server.poll() is not None or time.monotonic() > until:
                raise LabError(f"the real Ollama does not answer at {url}") from error
            time.sleep(0.1)
        else:
            return


def _push_blob(url: str, digest: str, path: Path) -> None:
    if requests.head(f"{url}/blobs/{digest}", timeout=HTTP_TIMEOUT_S).ok:
        return
    assert f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" == digest
    begun = requests.post(f"{url}/blobs/uploads/", timeout=HTTP_TIMEOUT_S)
    place = urljoin(begun.url, begun.headers["Location"])
    with path.open("rb") as opened:
        done = requests.put(
            f"{place}{'&' if '?' in place else '?'}digest={digest}", data=opened,
            headers={"Content-Type": "application/octet-stream"}, timeout=HTTP_TIMEOUT_S,
        )  # fmt: skip
    if not done.ok:
        raise LabError(f"the lab's registry refused {digest}: {done.status_code} {done.text[:400]}")
