"""`python -m whisper_api.model_fetch`: the speech model is there before anything is stopped (S0.6, S3.4)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ai_stack import speech

MODEL = b"m" * 5000


@pytest.fixture
def hub(hub_standin: Any) -> Iterator[Any]:
    """A hub with one model, one that is gated, and one that faster-whisper cannot load."""
    repositories = {
        "acme/faster-whisper-x": hub_standin.Repository({"model.bin": MODEL, "config.json": b"{}", "README.md": b"no"}),
        "acme/gated": hub_standin.Repository({"model.bin": MODEL}, gated=True),
        "acme/torch-only": hub_standin.Repository({"config.json": b"{}", "model.safetensors": MODEL}),
    }
    with hub_standin.running(repositories) as running:
        yield running


def fetch(hub: Any, home: Path, model: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home), **more}
    return subprocess.run(
        [sys.executable, "-m", "whisper_api.model_fetch", model],
        env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_a_fetched_model_is_whole_and_the_host_sees_it_without_asking_anybody(hub: Any, tmp_path: Path) -> None:
    assert not speech.has(tmp_path, "acme/faster-whisper-x")
    done = fetch(hub, tmp_path, "acme/faster-whisper-x")
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert told[-2] == {"done_bytes": len(MODEL) + 2, "total_bytes": len(MODEL) + 2}, "what is not needed is left there"
    assert Path(told[-1]["path"], "model.bin").read_bytes() == MODEL
    hub.down = True
    assert speech.has(tmp_path, "acme/faster-whisper-x")


def test_the_host_sees_when_a_models_file_is_gone(hub: Any, tmp_path: Path) -> None:
    fetch(hub, tmp_path, "acme/faster-whisper-x")
    for blob in tmp_path.rglob("model.bin"):
        blob.unlink()
    assert not speech.has(tmp_path, "acme/faster-whisper-x")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("acme/gated", "ai_huggingface_token_file"),
        ("acme/nothing", "check the name"),
        ("acme/torch-only", "no model.bin"),
        ("enormous", "large-v3-turbo"),
    ],
)
def test_what_cannot_be_had_is_told_with_what_to_do(hub: Any, tmp_path: Path, model: str, says: str) -> None:
    done = fetch(hub, tmp_path, model)
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not speech.has(tmp_path, model)


def test_a_token_file_opens_a_gated_model_and_is_not_shown(hub: Any, hub_standin: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(hub_standin.TOKEN + "\n")
    done = fetch(hub, tmp_path / "home", "acme/gated", HF_TOKEN_PATH=str(token))
    assert done.returncode == 0, done.stderr
    assert hub_standin.TOKEN not in done.stdout + done.stderr
