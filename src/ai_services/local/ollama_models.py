"""Giving an Ollama its model: pulled from its library, or imported from a GGUF file on this machine.

`create` goes straight to Ollama. The gateway refuses that route to everybody.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.local.state import Llm

if TYPE_CHECKING:
    from ollama import Client


def provide(llm: Llm, url: str, screen: Screen) -> None:
    """Make sure that the Ollama at `url` has `llm.model`.

    Raises:
        OperatorError: it cannot be pulled or imported.
    """
    import httpx
    import ollama

    # Loopback needs no proxy; an OLLAMA_HOST elsewhere may.
    client = ollama.Client(host=url, trust_env=not llm.managed, timeout=None)
    try:
        if _has(client, llm.model):
            return
        if llm.path:
            _import(client, llm, Path(llm.path), screen)
        else:
            _pull(client, llm.model, screen)
    except ollama.ResponseError as error:
        raise OperatorError(
            f"Ollama at {url} cannot provide {llm.model}: {error.error}.",
            hint="Check the name in Ollama's library and that this machine reaches it; "
            "the embedded model needs neither: ./ai up --llm gemma3:270m",
            exit_code=BLOCKED,
        ) from error
    except (httpx.HTTPError, ConnectionError) as error:
        raise OperatorError(
            f"Ollama at {url} broke off while it was given {llm.model}: {error}.",
            hint="Call ./ai up again: what has arrived is kept.",
        ) from error


def _has(client: Client, model: str) -> bool:
    wanted = model if ":" in model.rpartition("/")[2] else f"{model}:latest"
    return any((found.model or "").lower() == wanted.lower() for found in client.list().models)


def _pull(client: Client, model: str, screen: Screen) -> None:
    with screen.transfer(f"pulling {model}", None) as advance:
        for step in client.pull(model, stream=True):
            if step.total and step.completed:
                advance(step.completed, step.total)


def _import(client: Client, llm: Llm, file: Path, screen: Screen) -> None:
    screen.say(f"Importing {llm.model} into Ollama ({file.stat().st_size >> 20} MiB)")
    blob = client.create_blob(file)
    parameters: dict[str, Any] = {}
    if llm.stop:
        parameters["stop"] = llm.stop
    if llm.max_tokens:
        parameters["num_predict"] = llm.max_tokens
    client.create(
        model=llm.model,
        files={file.name: blob},
        template=_template(llm),
        parameters=parameters or None,
    )


def _template(llm: Llm) -> str | None:
    # Ollama's templates are Go's; this one says what the Jinja template of the embedded base model says.
    if not llm.chat_template:
        return None
    return (
        "The following is a conversation with a helpful, concise assistant.\n"
        "{{- range .Messages }}"
        '{{- if eq .Role "system" }}\n{{ .Content }}\n'
        '{{- else if eq .Role "user" }}\n\nUser: {{ .Content }}\n'
        "{{- else }}\nAssistant: {{ .Content }}\n{{- end }}"
        "{{- end }}\nAssistant:"
    )
