"""A model that is named instead of mounted: fetched once from a real HTTP server that speaks like the hub (S3.4)."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import requests
from support import speech
from support.whisper import MODEL_PATH, WhisperServer, whisper_server

from .conftest import Sounds

REPOSITORY = "Systran/faster-whisper-tiny.en"


def _standin() -> ModuleType:
    # by its path: a folder called `operator` cannot be a package beside the standard library's module of that name
    path = Path(__file__).parents[3] / "tests" / "operator" / "hub_standin.py"
    spec = importlib.util.spec_from_file_location("hub_standin", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def hub() -> Iterator[Any]:
    """A hub that has tiny.en."""
    standin = _standin()
    files = {file.name: file.read_bytes() for file in MODEL_PATH.iterdir()}
    with standin.running({REPOSITORY: standin.Repository(files)}) as running:
        yield running


def _settings(hub: Any, home: Path, offline: bool = False) -> dict[str, str]:
    return {
        "WHISPER_MODEL": "tiny.en",
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": str(int(offline)),
    }


def _events(server: WhisperServer, name: str) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return [event for event in events if event["event"] == name]


@pytest.mark.promise("S3.4")
@pytest.mark.long
def test_a_model_is_fetched_once_and_then_nobody_is_asked(
    hub: Any, sounds: Sounds, sentence: speech.Speech, tmp_path: Path
) -> None:
    home = tmp_path / "cache"
    size_mib = sum(file.stat().st_size for file in MODEL_PATH.iterdir()) // 1024**2
    with whisper_server(tmp_path, ready=True, **_settings(hub, home)) as server:
        assert "window" in server.transcribe(sounds.spoken(sentence)).json()["text"]
        last = _events(server, "model_fetched")[-1]
        assert (last["done_mib"], last["total_mib"]) == (size_mib, size_mib)
        assert server.health()["model"] == "tiny.en"
    asked = len(hub.asked)
    hub.down = True
    with whisper_server(tmp_path, ready=True, **_settings(hub, home)) as server:
        assert _events(server, "model_fetched") == []
    # a copy that others put there is as good
    (home / "fetched.json").unlink()
    with whisper_server(tmp_path, ready=True, **_settings(hub, home, offline=True)) as server:
        assert server.health()["status"] == "ok"
    assert len(hub.asked) == asked


@pytest.mark.promise("S3.4")
@pytest.mark.long
def test_how_far_a_download_is_can_be_seen(hub: Any, tmp_path: Path) -> None:
    """By who asks for readiness, and in the log; a slow download is no stalled engine."""
    hub.stall_after = 30 * 1024**2
    settings = _settings(hub, tmp_path / "cache") | {"ENGINE_STALL_S": "5"}
    with whisper_server(tmp_path, ready=False, **settings) as server:
        assert hub.stalled.wait(60)

        def detail() -> str:
            checks = requests.get(server.url + "/readyz", timeout=5).json()["checks"]
            return str(checks["engine"]["detail"])

        server.wait_until(lambda: re.fullmatch(r"fetched [1-6]\d of \d+ MiB of the model", detail()))
        hub.stall_after = None
        hub.go_on.set()
        server.wait_until(lambda: requests.get(server.url + "/readyz", timeout=5).status_code == 200, 60)
        assert server.health()["engine"]["restarts"] == 0


@pytest.mark.promise("S3.4")
def test_a_model_that_the_hub_lacks_is_named(hub: Any, tmp_path: Path) -> None:
    settings = _settings(hub, tmp_path / "cache") | {"WHISPER_MODEL": "somebody/nothing"}
    with whisper_server(tmp_path, ready=False, **settings) as server:
        server.wait_until(lambda: server.health()["engine"]["state"] == "failed", 60)
        failure = server.health()["engine"]["failure"]
        assert f"{hub.url} has no somebody/nothing: check the name" in failure
