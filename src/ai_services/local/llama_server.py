"""llama.cpp as a component: `python -m ai_services.local.llama_server SETTINGS.json`.

The settings are the fields of `LlamaSettings`; the key is read from the file they name and is never an argument.
Chat, completions and embeddings are served from one model by llama.cpp's own OpenAI server (`xllamacpp`).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class LlamaSettings:
    """What the server is told. `context` is in tokens, shared by `parallel` requests at a time.

    `chat_template` (Jinja), `stop` and `max_tokens` (the most of one answer) are for base models: their file brings
    no chat format of its own, and they do not know when to end.
    `unload_after_s` gives the model's memory back when nobody asked for so long; the next request loads it
    again. -1 keeps it.
    """

    model_path: str
    name: str
    port: int
    api_key_file: str
    context: int = 8192
    parallel: int = 2
    chat_template: str | None = None
    stop: list[str] = field(default_factory=list)
    max_tokens: int | None = None
    unload_after_s: int = -1


def serve(settings: LlamaSettings) -> None:
    """Load the model and serve it on 127.0.0.1 until SIGTERM or SIGINT."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())

    # OpenMP's threads wait by spinning, by default so long that they take the cores from whoever they wait for: beside
    # two busy processes on two cores Gemma 270M made 0.5 tokens a second, with a short spin 33, alone 64 (measured).
    # The library reads this when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import xllamacpp

    key = Path(settings.api_key_file).read_text(encoding="utf-8").strip()
    params = xllamacpp.CommonParams()
    params.model.path = settings.model_path
    params.model_alias = {settings.name}
    params.hostnames = ["127.0.0.1"]
    params.port = settings.port
    params.api_keys = [key]
    params.n_ctx = settings.context
    params.n_parallel = settings.parallel
    # Apart, the sequences of one batch of embeddings come out wrong where their lengths differ (measured).
    params.kv_unified = True
    # The default of 8 GiB for kept prompts is more than many a machine has.
    params.cache_ram_mib = 256
    params.endpoint_metrics = True
    params.ui = False
    params.embedding = True
    params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    params.sleep_idle_seconds = settings.unload_after_s
    if settings.chat_template:
        params.chat_template = settings.chat_template
    if settings.stop:
        params.antiprompt = settings.stop
    if settings.max_tokens:
        params.n_predict = settings.max_tokens
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        raise SystemExit(
            f"llama.cpp cannot serve {settings.model_path} on port {settings.port}: {error}. "
            "The lines above say why: not a GGUF file, too little memory, or the port is taken."
        ) from error
    sys.stdout.write(f"llama.cpp serves {settings.name} at {server.listening_address}\n")
    sys.stdout.flush()
    stopped.wait()
    del server


def main() -> None:
    """Entry point: the one argument is the settings file."""
    raw = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    serve(LlamaSettings(**raw))


if __name__ == "__main__":
    main()
