"""Giving the host's Ollama its models: room looked for first, pulled with progress, and made to speak once."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Engine
from .progress import Progress

LIBRARY = "registry.ollama.ai"
PORT = 11434
MIB = 1024 * 1024
# What a host needs beside the model itself to go on breathing: logs, uploads, the next image's layers.
RESERVE_MIB = 2048
_QUICK_TIMEOUT_S = 20
# Ollama says something at least every few seconds while it pulls, but nothing while it checks a large file's sum.
_PULL_SILENCE_S = 900
_FIRST_WORD_S = 600
_START_TIMEOUT_S = 60
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class ModelError(Exception):
    """A model cannot be had or does not work; the message says why and what to do."""


@dataclass(frozen=True)
class Name:
    """An Ollama model's name, taken apart as Ollama does: [host/][namespace/]model[:tag]."""

    host: str
    path: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Name:
        """Take `text` apart; what is not said is Ollama's own library and `latest`."""
        head, colon, tag = text.rpartition(":")
        if not colon or "/" in tag:
            head, tag = text, "latest"
        parts = head.split("/")
        if len(parts) == 1:
            return cls(LIBRARY, f"library/{head}", tag)
        if len(parts) == 2:
            return cls(LIBRARY, head, tag)
        return cls(parts[0], "/".join(parts[1:]), tag)


def size_bytes(model: str) -> int | None:
    """Size of `model` as its library states it; None where the library cannot be asked or keeps it to itself."""
    name = Name.parse(model)
    try:
        connection = http.client.HTTPSConnection(
            name.host, timeout=_QUICK_TIMEOUT_S, context=ssl.create_default_context()
        )
        with contextlib.closing(connection):
            connection.request("GET", f"/v2/{name.path}/manifests/{name.tag}", headers={"Accept": _MANIFEST})
            answer = connection.getresponse()
            if answer.status != 200:
                return None
            manifest = json.loads(answer.read(4 * MIB))
        return sum(int(layer["size"]) for layer in [manifest["config"], *manifest["layers"]])
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return None


def check_room(model: str, place: Path, needed_bytes: int) -> None:
    """Raise ModelError where `place` has not room for `needed_bytes` and the reserve."""
    free_mib = shutil.disk_usage(place).free // MIB
    needed_mib = needed_bytes // MIB
    if free_mib < needed_mib + RESERVE_MIB:
        raise ModelError(
            f"{model} needs {needed_mib} MiB and the host {RESERVE_MIB} MiB beside it, but {place} has only "
            f"{free_mib} MiB free. Free some room there, or choose a smaller model."
        )


class Ollama:
    """A running Ollama at `address`."""

    def __init__(self, address: str) -> None:
        self._address = address

    def models(self) -> list[str]:
        """Names of the models it has."""
        found = self._call("GET", "/api/tags", None, _QUICK_TIMEOUT_S)
        return [str(model["name"]) for model in found.get("models", [])]

    def has(self, model: str) -> bool:
        """Whether it has `model`."""
        short = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
        return any(found.lower() == short.lower() for found in self.models())

    def pull(self, model: str, progress: Progress) -> None:
        """Pull `model`. Raises ModelError with Ollama's words."""
        layers: dict[str, tuple[int, int]] = {}
        progress.say(f"pulling {model}", now=True)
        last: dict[str, Any] = {}
        for last in self._stream("/api/pull", {"model": model}, _PULL_SILENCE_S):
            if "error" in last:
                raise ModelError(_in_plain_words(model, str(last["error"])))
            if last.get("total"):
                layers[str(last.get("digest"))] = (int(last.get("completed", 0)), int(last["total"]))
                done, total = (sum(column) for column in zip(*layers.values(), strict=True))
                progress.say(f"pulling {model}", done, total)
            else:
                progress.say(f"{model}: {last.get('status', '')}")
        if last.get("status") != "success":
            raise ModelError(f"The pull of {model} ended without success. Deploy again: what has arrived is kept.")

    def prove(self, model: str) -> str:
        """Let `model` speak a few words and return them. Raises ModelError where it cannot."""
        self._call("POST", "/api/show", {"model": model}, _QUICK_TIMEOUT_S)
        said = self._call(
            "POST",
            "/api/generate",
            {"model": model, "prompt": "Hi", "stream": False, "options": {"num_predict": 8}},
            _FIRST_WORD_S,
        )
        if not said.get("done") or not said.get("eval_count"):
            raise ModelError(f"{model} is here, but says nothing. Look at docker logs ollama.")
        return str(said.get("response", ""))

    def _call(self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float) -> dict[str, Any]:
        with self._answered(method, path, body, timeout_s) as answer:
            raw = answer.read()
        found: dict[str, Any] = json.loads(raw)
        if answer.status != 200:
            raise ModelError(f"Ollama answers {answer.status} to {path}: {found.get('error', raw[:300])}")
        return found

    def _stream(self, path: str, body: dict[str, Any], silence_s: float) -> Iterator[dict[str, Any]]:
        with self._answered("POST", path, body, silence_s) as answer:
            for line in answer:
                if line.strip():
                    yield json.loads(line)

    @contextlib.contextmanager
    def _answered(
        self, method: str, path: str, body: dict[str, Any] | None, timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self._address, PORT, timeout=timeout_s)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            yield connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ModelError(
                f"Ollama broke off at {path}: {error}. Look at docker logs ollama, then deploy again."
            ) from error
        finally:
            connection.close()


@contextlib.contextmanager
def reachable(engine: Engine, container: str, run_arguments: list[str]) -> Iterator[Ollama]:
    """The Ollama in `container`; where none runs, one made for the while with `docker run` and `run_arguments`.

    Raises:
        ModelError: it does not start.
    """
    address = _address(engine, container)
    if address is not None:
        yield Ollama(address)
        return
    name = f"ai-ollama-{secrets.token_hex(4)}"
    command = ["docker", "run", "--detach", "--rm", "--name", name, *run_arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise ModelError(f"An Ollama to pull with does not start: {done.stderr.strip()[-500:]}")
    try:
        yield Ollama(_wait_for(engine, name))
    finally:
        subprocess.run(["docker", "rm", "--force", name], capture_output=True, timeout=60, check=False)


def _wait_for(engine: Engine, name: str) -> str:
    ends_at = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < ends_at:
        address = _address(engine, name)
        with contextlib.suppress(ModelError):
            if address is not None and Ollama(address).models() is not None:
                return address
        time.sleep(0.3)
    words = "\n".join(engine.logs(name, 10)) if engine.container(name) else "it has ended"
    raise ModelError(f"An Ollama to pull with does not answer within {_START_TIMEOUT_S} s: {words}")


def _address(engine: Engine, container: str) -> str | None:
    found = engine.container(container)
    if not found or not found.get("State", {}).get("Running"):
        return None
    networks = found.get("NetworkSettings", {}).get("Networks", {}).values()
    return next((str(network["IPAddress"]) for network in networks if network.get("IPAddress")), None)


def _in_plain_words(model: str, words: str) -> str:
    lower = words.lower()
    if "file does not exist" in lower or "not found" in lower or "manifest" in lower:
        advice = f"The library at {Name.parse(model).host} does not have it: check the name."
    elif "no space left" in lower:
        advice = "The disk is full: free some room, or choose a smaller model."
    elif "certificate" in lower or "x509" in lower:
        advice = "The library's certificate is not trusted here; behind a re-signing proxy set ai_extra_ca_file."
    else:
        advice = "Check that this host reaches the library, then deploy again: what has arrived is kept."
    return f"{model} cannot be pulled: {words}. {advice}"


def is_stored(volume: Path, model: str) -> bool:
    """Whether the volume's directory `volume` (Ollama's .ollama) holds `model` whole, whoever runs or not."""
    name = Name.parse(model)
    manifest = volume / "models" / "manifests" / name.host / name.path / name.tag
    try:
        found = json.loads(manifest.read_bytes())
        digests = [layer["digest"] for layer in [found["config"], *found["layers"]]]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return all((volume / "models" / "blobs" / digest.replace(":", "-")).is_file() for digest in digests)
