"""An old host, its owner who migrates it, and the callers of its old API, who must notice nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from support import speech

from host.lab import engine, hosts
from host.lab.configuration import GITHUB_USER
from host.lab.deployment import Operator, Outcome
from host.lab.footprint import Footprint
from host.lab.old import kinds, recorded
from host.lab.old.kinds import Truth
from host.lab.old.locally import caller, files
from host.lab.place import REPOSITORY, Lab
from host.load import Load, Plan, Upload

# A word of the sentence that the load says; the tiny model hears it.
WORD = "window"
SENTENCE = speech.SENTENCES[1]


@dataclass
class Migrating:
    """The host, what is true of it, and who looks after it."""

    lab: Lab
    name: str
    truth: Truth
    operator: Operator
    folder: Path
    outcomes: list[tuple[str, Outcome]] = field(default_factory=list)

    @classmethod
    def begin(cls, lab: Lab, name: str, kind: str, folder: Path, **settings: Any) -> Migrating:
        """A fresh old host of `kind`."""
        kinds.remove(lab, name)
        truth = kinds.start(lab, name, kind)
        operator = Operator(lab, name, folder)
        operator.prepare(**settings)
        return cls(lab, name, truth, operator, folder)

    @property
    def container(self) -> str:
        """For engine.run_in: root on the host, without SSH."""
        return self.lab.container(self.name)

    @property
    def address(self) -> str:
        """The host's address in the lab."""
        return hosts.address_of(self.lab, self.name)

    def migrate(self, *words: str, environment: dict[str, str] | None = None) -> Outcome:
        """`./ai migrate` by the owner, who agrees."""
        outcome = self.operator.ai(
            "migrate", *self.operator.target(), "--config", str(self.operator.config), "--yes", *words,
            environment=environment, timeout_s=3600,
        )  # fmt: skip
        self.outcomes.append((" ".join(words) or "migrate", outcome))
        return outcome

    def migrate_as_ever(self) -> Outcome:
        """The first version's call: IP, owner, token, domain; the token comes by standard input."""
        script = REPOSITORY / "bootstrap" / "ai" / "migrate-to-ai-services.sh"
        config = self.folder / "without-token.yml"
        known = {name: value for name, value in self.operator.settings.items() if name != "ai_ghcr_token_file"}
        config.write_text(yaml.safe_dump(known))
        _, *login = self.operator.target()
        outcome = self.operator.run(
            "sh", "-c", 'token=$1 && shift && exec "$@" <"$token"', "sh", str(self.lab.secrets / "ghcr_token"),
            str(script), self.address, GITHUB_USER, "-", self.operator.domain,
            "--config", str(config), "--yes", *login,
            environment={"SSH_USER": hosts.USER}, timeout_s=3600,
        )  # fmt: skip
        self.outcomes.append((script.name, outcome))
        return outcome

    def load(self, **options: Any) -> Load:
        """Constant load by the old API's callers, at its old address."""
        return Load(
            Plan(
                self.truth.url, (upload(self.truth.api, self._wav()),), ca=str(self.lab.trusted),
                resolve=dict.fromkeys(self.truth.names, self.address), **options,
            )
        )  # fmt: skip

    def differences(self) -> dict[str, list[str]]:
        """By recorded request of the old API: what is otherwise than before."""
        asking = caller(self.truth.url, self.folder)
        asking.verify = str(self.lab.trusted)
        asking.url = self.truth.url
        found = {}
        with names_of(self.truth, self.address):
            for case in recorded.cases(self.truth.api):
                if wrong := asking.differences(case):
                    found[case.name] = wrong
        return found

    def footprint(self) -> Footprint:
        """Everything about the host that a visitor could leave behind."""
        return Footprint.of(self.container)

    def run(self, script: str) -> str:
        """Run a shell script as root on the host."""
        return engine.run_in(self.container, ["bash", "-euo", "pipefail", "-c", script])

    def state(self) -> dict[str, Any]:
        """What the host knows of its migration; empty where there is none."""
        said = self.run("cat /opt/ai/migration/current/state.json 2>/dev/null || echo '{}'")
        found: dict[str, Any] = json.loads(said)
        return found

    def keep_old_doors(self) -> None:
        """Write what the report says into ai.yml, as its reader would."""
        order = self.state()["order"]["settings"]
        names = ("ai_old_api", "ai_old_api_keyless", "ai_old_api_listeners")
        self.operator.settings |= {name: order[name] for name in names}
        self.operator.config.write_text(yaml.safe_dump(self.operator.settings))

    def _wav(self) -> str:
        path = self.folder / "load.wav"
        if not path.exists():
            path.write_bytes(files(self.folder)["wav"])
        return str(path)


def upload(api: str, wav: str) -> Upload:
    """A transcription by the old API."""
    return {
        "asr": Upload(wav, WORD, path="/asr?output=json", part="audio_file"),
        "speaches": Upload(wav, WORD, path="/v1/audio/transcriptions", form={"model": "whisper-1"}),
        "whisper_api": Upload(
            wav, WORD, path="/api/v1/transcribe", text="transcript", then="/api/v1/status?task_id={task_id}"
        ),
        "seed": Upload(wav, WORD),
    }[api]


class names_of:  # noqa: N801 - reads as a sentence: with names_of(truth, address)
    """Let this process find the names of an old host, which only the lab's DNS knows."""

    def __init__(self, truth: Truth, address: str) -> None:
        self._names, self._address = set(truth.names), address

    def __enter__(self) -> None:
        import socket

        self._before = socket.getaddrinfo
        before, names, address = self._before, self._names, self._address

        def found(host: Any, *arguments: Any, **options: Any) -> Any:
            return before(address if host in names else host, *arguments, **options)

        socket.getaddrinfo = found

    def __exit__(self, *_: object) -> None:
        import socket

        socket.getaddrinfo = self._before
