"""The front door of a running stack as a client of the measurements sees it: one session, the key read once."""

import json
from pathlib import Path
from typing import Any

import requests
from support.stack import Stack


class Door:
    """Requests through the gateway of ``stack``. Raises requests.RequestException on anything but success."""

    def __init__(self, stack: Stack) -> None:
        self._home = stack.home
        self._url = stack.url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.update(stack.auth)

    def engine(self) -> dict[str, Any]:
        """How the engine was loaded: device, compute_type, cpu_threads, batch_size, as whisper-api logged it."""
        for line in (self._home / "logs" / "whisper-api.log").read_text().splitlines():
            if '"event":"model_loaded"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError("whisper-api's log does not say how its model was loaded")

    def transcribe(self, file: Path) -> dict[str, Any]:
        """The answer of ``/transcribe``."""
        with file.open("rb") as audio:
            return self._json(self._session.post(f"{self._url}/transcribe", files={"file": audio}, timeout=600))

    def ask(self, question: str) -> str:
        """One chat answer of the only language model."""
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 16}
        answer = self._json(self._session.post(f"{self._url}/v1/chat/completions", json=body, timeout=300))
        return str(answer["choices"][0]["message"]["content"])

    def speech_model(self) -> str:
        """The directory of the speech model, as the operator noted it when it started the stack."""
        return str(json.loads((self._home / "run" / "stack.json").read_text())["speech"]["path"])

    @staticmethod
    def _json(answer: requests.Response) -> dict[str, Any]:
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
