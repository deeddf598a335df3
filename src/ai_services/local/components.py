"""The components of the local stack, one row each. What joins the stack joins this table.

A row says how a component is started and when it counts as ready; supervising, waiting, showing, logging and
stopping are the same for all. jobs, PostgreSQL and the dashboard have their places here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ai_services.local.home import Home
from ai_services.local.state import Stack


@dataclass(frozen=True)
class Component:
    """One row.

    `command` and `environment` build from the settled stack; neither may hold a secret, only paths to one.
    `probe` is a path on the component's port that answers 200 once it can work. `files` are JSON documents that
    are written to AI_HOME/run under these names before the start.
    `runs` is false when the part is played by somebody else's process. `first` names the rows that must be
    ready before this one starts. `stop_s` is how long it may take to finish its requests.
    """

    name: str
    summary: str
    command: Callable[[Stack, Home], Sequence[str]]
    environment: Callable[[Stack, Home], Mapping[str, str]]
    probe: str
    files: Callable[[Stack, Home], Mapping[str, Any]] = lambda *_: {}
    model: Callable[[Stack], str | None] = lambda _: None
    runs: Callable[[Stack], bool] = lambda _: True
    first: tuple[str, ...] = ()
    ready_timeout_s: float = 60
    stop_s: int = 15

    def port(self, stack: Stack) -> int:
        """Return the port the component listens on, always on 127.0.0.1 but for the front door."""
        return stack.ports[self.name]


def _module(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", name, *arguments]


def _service(stack: Stack, component: str, keys: Any) -> dict[str, str]:
    return {
        "LISTEN": stack.host if component == "gateway" else "127.0.0.1",
        "PORT": str(stack.ports[component]),
        "AUTH": "on",
        "API_KEYS_FILE": str(keys),
        "SHUTDOWN_GRACE_S": "10",
    }


def _whisper_environment(stack: Stack, home: Home) -> dict[str, str]:
    return {
        **_service(stack, "whisper-api", home.internal_key_file),
        "WHISPER_MODEL": stack.speech.path,
        "WHISPER_MODEL_NAME": stack.speech.model,
        "LOAD_MODEL_ON_STARTUP": "true",
        "TEMP_DIR": str(home.tmp),
    }


def _llm_files(stack: Stack, home: Home) -> dict[str, Any]:
    if stack.llm.backend == "ollama":
        return {}
    return {
        "llama.json": {
            "model_path": stack.llm.path,
            "name": stack.llm.model,
            "port": stack.ports["llm"],
            "api_key_file": str(home.internal_key_file),
            "context": stack.llm.context,
            "chat_template": stack.llm.chat_template,
            "stop": stack.llm.stop,
            "max_tokens": stack.llm.max_tokens,
            "unload_after_s": stack.asked.get("unload_after_s") or -1,
        }
    }


def _gateway_environment(stack: Stack, home: Home) -> dict[str, str]:
    return {**_service(stack, "gateway", home.api_key_file), "BACKENDS_FILE": str(home.run / "backends.json")}


def _llm_command(stack: Stack, home: Home) -> list[str]:
    if stack.llm.backend == "ollama":
        from ai_services.local.llm import ollama_binary

        return [ollama_binary(), "serve"]
    return _module("ai_services.local.llama_server", str(home.run / "llama.json"))


def _llm_environment(stack: Stack, home: Home) -> dict[str, str]:
    if stack.llm.backend != "ollama":
        return {}
    return {
        "OLLAMA_HOST": f"127.0.0.1:{stack.ports['llm']}",
        "OLLAMA_MODELS": str(home.models / "ollama"),
        # Ollama keeps a key pair in ~/.ollama; everything of this stack stays under AI_HOME.
        "HOME": str(home.models),
        "OLLAMA_NO_CLOUD": "1",
    }


COMPONENTS: Final[tuple[Component, ...]] = (
    Component(
        name="whisper-api",
        summary="speech to text",
        command=lambda *_: _module("whisper_api"),
        environment=_whisper_environment,
        probe="/readyz",
        model=lambda stack: stack.speech.model,
        ready_timeout_s=180,
    ),
    Component(
        name="llm",
        summary="language model",
        command=_llm_command,
        environment=_llm_environment,
        files=_llm_files,
        probe="/health",
        model=lambda stack: stack.llm.model,
        runs=lambda stack: stack.llm.managed,
        ready_timeout_s=300,
    ),
    Component(
        name="gateway",
        summary="front door",
        command=lambda *_: _module("gateway"),
        environment=_gateway_environment,
        files=lambda stack, home: {"backends.json": backends(stack, home)},
        probe="/readyz",
    ),
)

# Names that would change who may call a service, where it listens or what it loads, if the caller's shell
# happened to have them. Everything else a service can be tuned with (COMPUTE_TYPE, CPU_THREADS, ...) is inherited.
NOT_INHERITED: Final = (
    *("LISTEN", "PORT", "AUTH", "API_KEYS_FILE", "OPENAI_API_KEYS", "API_TOKEN", "TEXT_GEN_API_TOKEN"),
    *("AI_SERVICE_TOKEN", "BACKENDS_FILE", "WHISPER_MODEL", "WHISPER_MODEL_NAME", "TEMP_DIR"),
    *("ADMIN_KEYS_FILE", "OLD_API", "OLD_API_KEYLESS"),
    *("OLLAMA_HOST", "OLLAMA_MODELS", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"),
)


def running(stack: Stack) -> list[Component]:
    """Return the rows that this stack runs as its own processes, in the order in which they may start."""
    return [component for component in COMPONENTS if component.runs(stack)]


def probe_path(component: Component, stack: Stack) -> str:
    """Return the readiness path of the row; Ollama has another one than our own services."""
    if component.name == "llm" and stack.llm.backend == "ollama":
        return "/api/version"
    return component.probe


def plan(stack: Stack, home: Home) -> dict[str, dict[str, Any]]:
    """Return what `launch` needs per component. It holds paths to secrets, never a secret."""
    return {
        component.name: {
            "command": list(component.command(stack, home)),
            "environment": {
                "TMPDIR": str(home.tmp),
                "PYTHONSAFEPATH": "1",
                "PYTHONUNBUFFERED": "1",
                **component.environment(stack, home),
            },
            "unset": list(NOT_INHERITED),
        }
        for component in running(stack)
    }


def backends(stack: Stack, home: Home) -> dict[str, Any]:
    """Return the gateway's registry of backends for this stack."""
    internal = str(home.internal_key_file)
    ollama = stack.llm.backend == "ollama"
    return {
        "backends": [
            {
                "name": "whisper-api",
                "kind": "whisper",
                "url": f"http://127.0.0.1:{stack.ports['whisper-api']}",
                "api_key_file": internal,
                "models": [stack.speech.model],
            },
            {
                "name": "llm",
                "kind": "ollama" if ollama else "openai",
                "url": stack.llm.url or f"http://127.0.0.1:{stack.ports['llm']}",
                "api_key_file": None if ollama else internal,
                "models": [] if ollama else [stack.llm.model],
            },
        ]
    }
