"""A whole local stack of its own for the measurements: ``./ai up`` in a directory that goes away afterwards."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from bench.upstream import free_port


@dataclass(frozen=True)
class RunningStack:
    """The front door of a running stack, with its key already in the session."""

    home: Path
    url: str
    session: requests.Session

    def get(self, path: str) -> Any:
        """JSON of a GET."""
        answer = self.session.get(self.url + path, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def transcribe(self, file: Path) -> dict[str, Any]:
        """The answer of ``/transcribe``."""
        with file.open("rb") as audio:
            answer = self.session.post(f"{self.url}/transcribe", files={"file": audio}, timeout=600)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, question: str) -> str:
        """One chat answer of the only language model."""
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 16}
        answer = self.session.post(f"{self.url}/v1/chat/completions", json=body, timeout=300)
        answer.raise_for_status()
        return str(answer.json()["choices"][0]["message"]["content"])

    def settled(self) -> dict[str, Any]:
        """What the operator decided at start (models, ports), as it keeps it itself."""
        found: dict[str, Any] = json.loads((self.home / "run" / "stack.json").read_text())
        return found


@contextlib.contextmanager
def running() -> Iterator[RunningStack]:
    """Start a stack with the embedded models on a free port; stop it at the end.

    Raises RuntimeError with what ``./ai up`` said when it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="ai-bench-") as directory:
        home = Path(directory).resolve()
        environment = {**os.environ, "AI_HOME": directory}
        environment.pop("OLLAMA_HOST", None)  # somebody else's Ollama is no part of what is measured
        try:
            _ai(environment, "up", "--port", str(free_port()), "--llm-backend", "llama.cpp")
            status = json.loads(_ai(environment, "status", "--json"))
            session = requests.Session()
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {Path(status['api_key_file']).read_text().strip()}"
            yield RunningStack(home, status["url"], session)
        finally:
            _ai(environment, "down")


def _ai(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ai_services.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    if done.returncode:
        raise RuntimeError(f"./ai {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout
