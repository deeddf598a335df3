"""What is known about a running stack, kept in AI_HOME/run/stack.json from the first process to the last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from ai_services.local.home import Home, write_json

Phase = Literal["starting", "up"]
BackendKind = Literal["ollama", "llama.cpp"]


@dataclass
class Speech:
    """The speech model: its name for clients and the directory it is loaded from."""

    model: str
    path: str
    memory_mib: int = 0


@dataclass
class Llm:
    """The language model and what serves it.

    `managed` is false when somebody else's Ollama answers at `url`; then nothing here starts or stops it.
    `path` is the GGUF file, or None for a model that Ollama holds itself.
    """

    model: str
    backend: BackendKind
    reason: str
    managed: bool = True
    url: str = ""
    path: str | None = None
    context: int = 8192
    chat_template: str | None = None
    stop: list[str] = field(default_factory=list)
    max_tokens: int | None = None
    memory_mib: int = 0


@dataclass
class Stack:
    """One local stack, as planned and as started. Times are UTC in ISO 8601; ports are on `host` or loopback."""

    version: str
    home: str
    host: str
    port: int
    speech: Speech
    llm: Llm
    ports: dict[str, int]
    socket: str
    started_at: str
    phase: Phase = "starting"
    supervisor_pid: int | None = None
    supervisor_created: float | None = None
    asked: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Address of the front door as this machine's user reaches it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104  # compared, not bound
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"

    def save(self, home: Home) -> None:
        """Write the state; readers see it whole or not at all."""
        write_json(home.state_file, asdict(self))

    @classmethod
    def load(cls, home: Home) -> Stack | None:
        """Return what runs in `home`, or None when nothing was started there or the file is of no use."""
        try:
            raw = json.loads(home.state_file.read_text(encoding="utf-8"))
            raw["speech"] = Speech(**_known(Speech, raw["speech"]))
            raw["llm"] = Llm(**_known(Llm, raw["llm"]))
            return cls(**_known(cls, raw))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _known(kind: type, raw: dict[str, Any]) -> dict[str, Any]:
    # A newer version may have written more; what this one does not know it does not need.
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in raw.items() if name in names}
