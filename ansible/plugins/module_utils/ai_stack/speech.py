"""Giving whisper-api its model: the image's own `whisper_api.model_fetch`, run once, into the volume."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from .ollama import ModelError
from .progress import Progress

# Written by whisper_api.model_fetch when everything is there: {"model", "path" within the volume}
_MARK = "fetched.json"


def has(volume: Path, model: str) -> bool:
    """Whether the volume's directory `volume` holds `model` whole."""
    try:
        marks = json.loads((volume / _MARK).read_bytes())
        return bool((volume / marks[model] / "model.bin").exists())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def fetch(model: str, run_arguments: list[str], progress: Progress) -> None:
    """Fetch `model` with `docker run` and `run_arguments`, which end with the command that wants its name.

    Raises:
        ModelError: with the fetcher's own last words.
    """
    command = ["docker", "run", "--rm", *run_arguments, model]
    progress.say(f"fetching {model}", now=True)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        assert process.stdout is not None  # noqa: S101  (asked for one line above)
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            progress.say(f"fetching {model}", int(said.get("done_bytes", 0)), int(said.get("total_bytes", 0)))
        status = process.wait()
        errors.seek(0)
        # Docker's own warnings (limits that this kernel has not) are not what went wrong.
        words = [line for line in errors.read().splitlines() if line.strip() and not line.startswith("WARNING: ")]
    if status != 0:
        raise ModelError(f"The speech model {model} cannot be fetched. {' '.join(words[-3:])[-800:]}")
