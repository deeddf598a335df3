"""The release before this one, as it was: its own tree, its own images, deployed by its own `ai deploy`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from host.lab import engine, internet, stock, stores
from host.lab.configuration import GITHUB_USER
from host.lab.deployment import Outcome
from host.lab.place import CACHE, GHCR, REPOSITORY, Lab, LabError, remark
from host.story import Deployed

VERSION = "0.1.0"
# The last commit of that version.
COMMIT = "51bc824"
_PACKAGES = ("src", "libs/service_kit", "images/gateway", "images/whisper-api")


@dataclass(frozen=True)
class Before:
    """A checkout of the version before; `is_real` unless this repository's history does not reach back so far."""

    tree: Path
    is_real: bool

    def deploy(self, host: Deployed, *options: str) -> Outcome:
        """`ai deploy` of that checkout, with the Python environment of this one."""
        words = ["-m", "ai_services.cli", "deploy", *host.operator.target(), "--config", str(host.operator.config)]
        if not self.is_real:
            words += ["--set", f"ai_version={VERSION}"]
        path = os.pathsep.join(str(self.tree / package) for package in _PACKAGES)
        return host.operator.run(sys.executable, *words, *options, environment={"PYTHONPATH": path})


def prepare(lab: Lab) -> Before:
    """Have that version's tree, and its images in the registries of `lab`.

    Raises:
        LabError: an image could not be built or pushed.
    """
    before = _checkout()
    base = stock._lines([REPOSITORY / ".ci" / "build-base"])[-1]
    command: list[str | Path] = [
        before.tree / "images" / "build", "--base", base, "--prefix", "ai-services-before", "--version", VERSION,
    ]  # fmt: skip
    if ca := next((os.environ[name] for name in stock.CA_FILES if os.environ.get(name)), None):
        command += ["--ca", ca]
    for line in stock._lines([*command, *stock.SERVICES]):
        name, reference, _ = line.split("\t")
        stores.push_image(lab, reference, f"{GHCR}/{GITHUB_USER}/{name}:{VERSION}")
    return before


def push_deaf_speech(lab: Lab, version: str, name: str) -> str:
    """Push, as `name`, a whisper-api of `version` that hears what makes it healthy, and no more; answers its digest."""
    here = f"127.0.0.1:{internet.push_port(lab)}/{GITHUB_USER}/whisper-api:{version}"
    engine.call("pull", "--quiet", here)
    # Compiled anew: an image's modules are taken as they were compiled, whatever their sources say by now.
    spoil = (
        "import pathlib, py_compile, whisper_api.tasks as t; p = pathlib.Path(t.__file__); "
        "p.write_text(p.read_text() + '\\n\\n_hear = TaskQueue._transcribe\\n\\n\\n"
        'async def _deaf(self, *all_of_it):\\n    if hasattr(self, "heard"):\\n        raise RuntimeError\\n'
        "    self.heard = True\\n    return await _hear(self, *all_of_it)\\n\\n\\nTaskQueue._transcribe = _deaf\\n'); "
        "py_compile.compile(str(p), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)"
    )
    lines = f'FROM {here}\nUSER 0\nRUN ["python", "-c", {json.dumps(spoil)}]\nUSER 10002:10002\n'
    made = engine.call("build", "--quiet", "-", stdin=lines)
    engine.call("rmi", here)
    return stores.push_image(lab, made.stdout.strip(), name)


def _checkout() -> Before:
    there = _git("cat-file", "-e", f"{COMMIT}^{{commit}}").returncode == 0
    commit = COMMIT if there else "HEAD"
    tree = CACHE / f"release-{commit}"
    if not there:
        remark(f"the history does not reach back to {COMMIT}: the present tree stands in for {VERSION}")
    if there and (tree / "ai").is_file():
        return Before(tree, there)
    tree.mkdir(parents=True, exist_ok=True)
    packed = _git("archive", commit)
    if packed.returncode != 0:
        raise LabError(f"git archive {commit} failed: {packed.stderr.decode()[-500:]}")
    subprocess.run(["tar", "-x", "-C", str(tree)], input=packed.stdout, check=True)
    return Before(tree, there)


def _git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, check=False)
