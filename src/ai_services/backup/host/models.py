"""Which models are on a host: names and digests, so that a restore brings the same ones. Models are not saved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from ai_services.backup.host.archive import is_model


def listed(ollama: Path | None, huggingface: Path | None) -> list[dict[str, str]]:
    """Return `engine`, `name` and `digest` of each; the arguments are the directories of the volumes, if there.

    What somebody left there under a name that no engine takes is no model.
    """
    found = [*(_ollama(ollama) if ollama else ()), *(_speech(huggingface) if huggingface else ())]
    return [model for model in found if is_model(model)]


def _ollama(volume: Path) -> Iterator[dict[str, str]]:
    manifests = volume / "models" / "manifests"
    for path in sorted(manifests.rglob("*")):
        if not path.is_file():
            continue
        host, *folders, tag = path.relative_to(manifests).parts
        name = "/".join(folders)
        name = name.removeprefix("library/") if host == "registry.ollama.ai" else f"{host}/{name}"
        # What `ollama list` shows is the beginning of this.
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        yield {"engine": "ollama", "name": f"{name}:{tag}", "digest": f"sha256:{digest}"}


def _speech(volume: Path) -> Iterator[dict[str, str]]:
    try:
        marks = json.loads((volume / "fetched.json").read_bytes())
    except (OSError, ValueError):
        return
    for name, place in sorted(marks.items()) if isinstance(marks, dict) else ():
        # …/snapshots/<commit>: the revision is the last word of the path within the hub's cache.
        yield {"engine": "whisper", "name": str(name), "digest": str(place).rstrip("/").rsplit("/", 1)[-1]}
