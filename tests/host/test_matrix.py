"""B.3: whatever happens at whatever step, old or new serves, and the next run goes on.

One chain brings about one fault at each step of a change; AI_MATRIX=all runs as many chains as there are faults, which
is every fault at every step, and writes docs/fault-matrix.md. The gate runs the first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from ai_stack.change import STEPS as ACTIVATION_STEPS
from support import audio, speech

from ai_services.migrate.steps import NAMES as MIGRATION_STEPS
from ai_services.migrate.undo import UNDO
from host import story
from host.lab import engine, hosts, stores
from host.lab.deployment import Operator
from host.lab.old import kinds
from host.lab.old.kinds import Truth
from host.lab.place import Lab
from host.load import Chat, Load, Plan, Upload
from host.load_report import Failure
from host.matrix import chain, table
from host.matrix.faults import DISKS_MIB, FAULTS, Scene
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.timeout(3000)]

WHOLE = os.environ.get("AI_MATRIX") == "all"
OFFSETS = range(len(FAULTS)) if WHOLE else range(1)
# Between two requests of one kind: the change shall have most of two cores, and the callers never be away for long.
REST_S = 3.0
STEPS = {
    "migrate": tuple(f"migrate:{name}" for name in MIGRATION_STEPS),
    "upgrade": (
        "stage", "gateway:start", "gateway:switch", "gateway:drain", "gateway:stop", "engine:whisper-api",
        "engine:ollama",
    ),
    # Engines first: the newer gateway can let their callers wait.
    "rollback": (
        "engine:whisper-api", "engine:ollama", "gateway:start", "gateway:switch", "gateway:drain", "gateway:stop",
    ),
    "migrate --rollback": tuple(f"migrate:{step.name}" for step in UNDO),
}  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """What is transcribed: a file, and a word that must come back."""

    path: Path
    word: str


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    said = speech.say_sentences(1)
    path = audio.write(tmp_path_factory.mktemp("matrix") / "said.wav", said.pcm, said.rate)
    return Recording(path, max(speech.normalise(said.text).split(), key=len))


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """The tables of the documentation, after a run of the whole."""
    yield
    if WHOLE:
        table.write(STEPS)


def test_the_steps_of_the_matrix_are_those_of_the_changes() -> None:
    known = {name.partition("SERVICE")[0] for name in ACTIVATION_STEPS}
    for step in STEPS["upgrade"] + STEPS["rollback"]:
        assert step in known or f"{step.partition(':')[0]}:" in known, step


@dataclass(frozen=True)
class Old:
    """A host with an old service, its operator, and callers of the old API."""

    truth: Truth
    scene: Scene
    plan: Plan

    def serving(self) -> str:
        """Which of old and new answers."""
        self.scene.until_it_answers()
        look = ["docker", "inspect", "-f", "{{.State.Running}}", *self.truth.containers]
        return "old" if "true" in engine.run_in(self.scene.container, look) else "new"

    def walk(self, change: str, offset: int, *options: str) -> None:
        """Carry a change out with its faults while callers are at work, and keep what came of it."""
        operator = self.scene.operator
        words = ["migrate", *operator.target(), "--config", str(operator.config), "--yes", *options]
        with Load(self.plan) as load:
            load.until_each(1)
            cells = chain.walk(operator, words, table.diagonal(STEPS[change], offset), self.serving, self.scene)
            load.until_each(2)
        _nobody_failed(load, self.scene)
        _keep(change, cells)


@pytest.fixture
def old(lab: Lab, tmp_path: Path, recording: Recording) -> Iterator[Old]:
    """A container by `docker run`, the least that an old host can be."""
    name = "chain"
    kinds.remove(lab, name)
    truth = kinds.start(lab, name, "asr-run", disks_mib=DISKS_MIB)
    operator = Operator(lab, name, tmp_path)
    operator.prepare()
    scene = Scene(operator, lambda: _hears(scene, truth.port, recording))
    upload = Upload(str(recording.path), recording.word, path="/asr?output=json", part="audio_file")
    own = {truth.url.split("//")[1].split(":")[0]: hosts.address_of(lab, name)}
    yield Old(truth, scene, Plan(truth.url, (upload,), rest_s=REST_S, resolve=own))
    kinds.remove(lab, name)


@pytest.mark.promise("B.3")
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_migration_with_a_fault_at_every_step(old: Old, offset: int) -> None:
    old.walk("migrate", offset)
    assert old.serving() == "new"
    if WHOLE:
        old.walk("migrate --rollback", offset, "--rollback")
        assert old.serving() == "old"


@pytest.fixture(scope="module")
def host(older_host: Deployed) -> Deployed:
    """A host that serves this version, and has served the one before."""
    operator = older_host.operator
    outcome = operator.ai(
        "upgrade", *operator.target(), "--config", str(operator.config), "--accept", "gateway-container", "--yes"
    )
    assert outcome.status == 0, outcome.text[-6000:]
    return older_host


@pytest.mark.promise("B.3")
@pytest.mark.parametrize("offset", OFFSETS)
def test_an_upgrade_with_a_fault_at_every_step(lab: Lab, host: Deployed, recording: Recording, offset: int) -> None:
    operator = host.operator
    before = current(host.container)
    scene = Scene(operator, lambda: host.curl("/queue/status", "--fail").status == 0)
    # Every component becomes another: two by their images, the third by its limits.
    pairs = ["--set", f"ai_ollama_memory_mib={6000 + offset}"]
    for service in ("gateway", "whisper-api"):
        image = f"ghcr.io/lab/{service}:next"
        stores.push_variant(lab, _image_of(host.container, service), image, f"next-{offset}")
        pairs += ["--set", f"ai_{service.replace('-', '_')}_image={image}"]
    model = operator.settings["ai_ollama_model"]
    upload, chat = Upload(str(recording.path), recording.word), Chat(model)
    plan = Plan(
        host.url, (upload, chat), key=host.key, ca=str(lab.trusted), rest_s=REST_S,
        resolve={operator.domain: hosts.address_of(lab, operator.host)},
    )  # fmt: skip

    def serving() -> str:
        scene.until_it_answers()
        return "old" if current(host.container) == before else "new"

    def walk(change: str, verb: str, *words: str) -> None:
        with Load(plan) as load:
            load.until_each(1)
            line = [verb, *operator.target(), *words]
            cells = chain.walk(operator, line, table.diagonal(STEPS[change], offset), serving, scene)
            load.until_each(2)
        _nobody_failed(load, scene)
        _keep(change, cells)

    walk("upgrade", "deploy", "--config", str(operator.config), "--set", "ai_refresh_images=true", *pairs)
    assert serving() == "new"
    if WHOLE:
        walk("rollback", "rollback", Path(before).name)
        assert serving() == "old"


def current(container: str) -> str:
    """The release that serves."""
    return engine.run_in(container, ["readlink", "/opt/ai/current"]).strip()


def _image_of(container: str, service: str) -> str:
    record: dict[str, Any] = json.loads(engine.run_in(container, ["cat", "/opt/ai/current/release.json"]))
    return str(record["images"][service]).partition("@")[0]


def _hears(scene: Scene, port: int, recording: Recording) -> bool:
    address = hosts.address_of(scene.operator.lab, scene.operator.host)
    try:
        with recording.path.open("rb") as opened:
            answer = requests.post(f"http://{address}:{port}/asr?output=txt", files={"audio_file": opened}, timeout=120)
    except requests.RequestException:
        return False
    return answer.ok and recording.word in speech.normalise(answer.text)


def _nobody_failed(load: Load, scene: Scene) -> None:
    """No request failed but while the machine was off, or was still starting after that."""
    failures = [one for one in load.result.failures if not _was_off(one, scene)]
    assert not failures, "\n".join(one.line() for one in failures[:20])


def _was_off(failure: Failure, scene: Scene) -> bool:
    began = datetime.fromisoformat(failure.at).timestamp()
    return any(began <= to and began + failure.seconds >= since for since, to in scene.off)


def _keep(change: str, cells: list[chain.Cell]) -> None:
    assert len(cells) == len(STEPS[change])
    for cell in cells:
        story.TIMINGS.append((f"{change}: {cell.step}: {cell.fault}: {cell.run}, {cell.after} served", 0.0))
    if WHOLE:
        table.keep(change, cells)
