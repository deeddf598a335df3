"""The engine's life: killed at any moment, loaded late, unloaded, not loadable; and the server's own end."""

from __future__ import annotations

import concurrent.futures
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from support import speech
from support.whisper import MODEL, WhisperServer, free_port, whisper_server

from .conftest import Sounds


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperServer]:
    """A server whose engine is going to be killed."""
    with whisper_server(tmp_path_factory.mktemp("mortal")) as running:
        yield running


@pytest.fixture(scope="module")
def minute(sounds: Sounds) -> tuple[Path, str]:
    said = speech.say_for(45)
    return sounds.spoken(said), said.text


def _kill_engine(server: WhisperServer) -> int:
    pid: int = server.health()["engine"]["pid"]
    os.kill(pid, signal.SIGKILL)
    server.wait_until(lambda: server.health()["engine"]["pid"] != pid)
    return pid


@pytest.mark.promise("S3.1")
def test_the_engine_killed_in_the_middle_of_a_task_loses_nothing(
    mortal: WhisperServer, sounds: Sounds, minute: tuple[Path, str]
) -> None:
    """The task is tried again, and everybody who waits is served."""
    file, text = minute
    restarts = mortal.health()["engine"]["restarts"]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        running = pool.submit(mortal.transcribe, file)
        mortal.wait_until(lambda: mortal.queue()["running"] == 1)
        said = [speech.say(sentence) for sentence in speech.SENTENCES[:3]]
        waiting = [pool.submit(mortal.transcribe, sounds.spoken(one)) for one in said]
        mortal.wait_until(lambda: mortal.queue()["waiting"] == 3)
        _kill_engine(mortal)
        assert speech.word_error_rate(text, running.result().json()["text"]) <= 0.15
        for one, answer in zip(said, waiting, strict=True):
            assert speech.word_error_rate(one.text, answer.result().json()["text"]) <= 0.2
    assert mortal.health()["engine"]["restarts"] == restarts + 1


@pytest.mark.promise("S3.1")
def test_an_idle_engine_that_is_killed_is_replaced(
    mortal: WhisperServer, sounds: Sounds, sentence: speech.Speech
) -> None:
    mortal.wait_until(lambda: mortal.health()["engine"]["state"] == "ready")
    _kill_engine(mortal)
    mortal.wait_until(lambda: mortal.health()["engine"]["state"] == "ready")
    assert mortal.transcribe(sounds.spoken(sentence)).status_code == 200


@pytest.mark.promise("S3.1")
def test_a_task_whose_engine_is_killed_twice_gets_a_clear_answer(
    mortal: WhisperServer, sounds: Sounds, sentence: speech.Speech, minute: tuple[Path, str]
) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        doomed = pool.submit(mortal.transcribe, minute[0])
        mortal.wait_until(lambda: mortal.queue()["running"] == 1)
        patient = pool.submit(mortal.transcribe, sounds.spoken(sentence))
        mortal.wait_until(lambda: mortal.queue()["waiting"] == 1)
        for _ in range(2):
            mortal.wait_until(lambda: mortal.health()["engine"]["state"] == "ready")
            _kill_engine(mortal)
        answer = doomed.result()
        assert (answer.status_code, answer.json()["code"]) == (503, "engine_lost")
        assert int(answer.headers["retry-after"]) >= 1
        assert patient.result().status_code == 200


@pytest.mark.promise("S3.1")
def test_the_decoder_that_is_killed_is_replaced(mortal: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    pid = mortal.health()["decoder"]["pid"]
    os.kill(pid, signal.SIGKILL)
    mortal.wait_until(lambda: mortal.health()["decoder"]["pid"] != pid)
    assert mortal.transcribe(sounds.spoken(sentence)).status_code == 200
    assert mortal.health()["decoder"]["pid"] not in {pid, None}


@pytest.mark.promise("S3.4")
def test_a_model_is_loaded_late_and_unloaded_when_idle(sounds: Sounds, sentence: speech.Speech, tmp_path: Path) -> None:
    with whisper_server(tmp_path, LOAD_MODEL_ON_STARTUP="0", UNLOAD_MODEL_AFTER_S="0") as server:
        assert server.health()["status"] == "ok"
        assert server.health()["engine"] == {"state": "stopped", "pid": None, "restarts": 0}
        for _ in range(2):
            assert "window" in server.transcribe(sounds.spoken(sentence)).json()["text"]
            server.wait_until(lambda: server.health()["engine"]["pid"] is None)
        assert server.health()["status"] == "ok"
        assert server.health()["engine"]["restarts"] == 0


@pytest.mark.promise("S3.4")
def test_a_model_that_cannot_be_loaded_says_why(sounds: Sounds, sentence: speech.Speech, tmp_path: Path) -> None:
    model = tmp_path / "no-model"
    model.mkdir()
    with whisper_server(tmp_path, ready=False, WHISPER_MODEL=str(model), WHISPER_MODEL_NAME="nothing") as server:
        server.wait_until(lambda: server.health()["engine"]["state"] == "failed")
        health = requests.get(server.url + "/health", timeout=5)
        assert (health.status_code, health.json()["status"]) == (503, "down")
        assert "model.bin" in health.json()["engine"]["failure"]
        assert requests.get(server.url + "/readyz", timeout=5).status_code == 503
        assert requests.get(server.url + "/healthz", timeout=5).status_code == 200
        answer = server.transcribe(sounds.spoken(sentence))
        assert (answer.status_code, answer.json()["code"]) == (503, "model_not_loaded")
        assert "retry-after" in answer.headers


@pytest.mark.promise("B.2")
def test_ready_means_that_a_sentence_has_been_transcribed(tmp_path: Path) -> None:
    """Whoever replaces a running service by this one needs to know that it works, not that it started."""
    with whisper_server(tmp_path) as server:
        events = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        (heard,) = [event for event in events if event["event"] == "transcribed"]
        assert (heard["audio_s"], heard["segments"]) == (pytest.approx(3.4, abs=0.1), 1)
        assert "proof_without_words" not in server.log


@pytest.mark.promise("B.2")
def test_a_service_that_cannot_transcribe_does_not_become_ready(tmp_path: Path) -> None:
    """The model loads, but no file can be decoded in so short a time."""
    with whisper_server(tmp_path, ready=False, DECODE_TIMEOUT_S="0.000001") as server:
        server.wait_until(lambda: "proof_failed" in server.log)
        answer = requests.get(server.url + "/readyz", timeout=5)
        assert answer.status_code == 503
        assert "took too long" in answer.json()["checks"]["engine"]["detail"]
        assert server.health()["engine"]["state"] == "ready"
        assert server.health()["status"] == "starting"


@pytest.mark.promise("S3.3")
def test_a_killed_server_takes_its_processes_along_and_the_next_one_tidies_up(
    sounds: Sounds, minute: tuple[Path, str], tmp_path: Path
) -> None:
    recordings = tmp_path / "recordings"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            with whisper_server(tmp_path, TEMP_DIR=str(recordings)) as server:
                asked = pool.submit(server.transcribe, minute[0])
                server.wait_until(lambda: server.queue()["running"] == 1)
                children = server.children()
                assert len(children) >= 2
                server.process.kill()
                psutil.wait_procs(children, timeout=10)
                assert not [child for child in children if child.is_running()]
        finally:
            with pytest.raises(requests.ConnectionError):
                asked.result()
    left = list(recordings.glob("whisper-api-*"))
    assert len(left) == 1
    assert list(left[0].glob("*/samples")), "the recording could not be tidied up by a killed server"
    with whisper_server(tmp_path, TEMP_DIR=str(recordings), LOAD_MODEL_ON_STARTUP="0") as server:
        assert not left[0].exists()
        assert len(list(recordings.glob("whisper-api-*"))) == 1
        beside = WhisperServer(server.process, server.port, tmp_path, recordings)
        with whisper_server(tmp_path, TEMP_DIR=str(recordings), LOAD_MODEL_ON_STARTUP="0"):
            assert len(list(recordings.glob("whisper-api-*"))) == 2, "a running server's directory is not swept"
        assert beside.health()["status"] == "ok"
    assert not list(recordings.glob("whisper-api-*"))


@pytest.mark.promise("S3.3")
def test_stopping_leaves_no_process_and_no_file(sounds: Sounds, sentence: speech.Speech, tmp_path: Path) -> None:
    """Somebody is being served when the server is told to stop: they get their answer first."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with whisper_server(tmp_path) as server:
            asked = pool.submit(server.transcribe, sounds.spoken(sentence))
            server.wait_until(lambda: server.queue()["running"] == 1)
            children = server.children()
        assert asked.result().status_code == 200
    assert server.process.returncode == 0
    assert not [child for child in children if child.is_running()]
    assert not list(server.temp_dir.glob("whisper-api-*"))


def test_recordings_are_readable_by_their_owner_only(mortal: WhisperServer, minute: tuple[Path, str]) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(mortal.transcribe, minute[0])
        mortal.wait_until(lambda: mortal.queue()["running"] == 1)
        (directory,) = mortal.recordings()
        assert directory.parent.stat().st_mode & 0o777 == 0o700
        assert directory.stat().st_mode & 0o777 == 0o700
        assert [file.stat().st_mode & 0o777 for file in directory.iterdir()] == [0o600]
        assert asked.result().status_code == 200


@pytest.mark.promise("S3.1")
def test_the_server_itself_loads_nothing_heavy(server: WhisperServer) -> None:
    """Samples and models live in other processes, so the door stays small."""
    libraries = psutil.Process(server.process.pid).memory_maps()
    loaded = {Path(library.path).name.lower() for library in libraries}
    for heavy in ("ctranslate2", "libavcodec", "libavformat", "onnxruntime", "multiarray", "openblas"):
        assert not [name for name in loaded if heavy in name]
    assert server.health()["model"] == MODEL


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"MAX_AUDIO_S": "-1"}, "MAX_AUDIO_S"),
        ({"URL_ALLOW_PRIVATE_NETWORKS": "localhost"}, "URL_ALLOW_PRIVATE_NETWORKS"),
        ({"TEMP_DIR": "/proc/nowhere"}, "TEMP_DIR"),
        ({"API_TOKEN": ""}, "API_KEYS_FILE"),
    ],
)
def test_a_wrong_setting_is_named_and_nothing_starts(environment: dict[str, str], says: str) -> None:
    import subprocess
    import sys

    ended = subprocess.run(
        [sys.executable, "-m", "whisper_api"],
        env={"PATH": os.environ["PATH"], "API_TOKEN": "x", "PORT": str(free_port())} | environment,
        capture_output=True,
        timeout=60,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert says in ended.stderr
