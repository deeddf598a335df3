"""Our gateway as it runs in the local stack: one uvicorn process, keys, access log and metrics on."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support.stack import free_port

from bench.process import pinned, stop, wait_for_port
from bench.upstream import MODEL, Upstream

KEY = "bench-0123456789abcdef0123456789abcdef"


@contextlib.contextmanager
def serving(directory: Path, upstream: Upstream, cores: tuple[int, ...]) -> Iterator[int]:
    """Run the gateway with two backends, models ``bench`` and ``bench-stream``; gives its port."""
    directory.mkdir(parents=True)
    keys, backends, port = directory / "api.key", directory / "backends.json", free_port()
    keys.write_text(KEY + "\n")
    keys.chmod(0o600)
    backends.write_text(json.dumps({"backends": _backends(upstream)}))
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    environment |= {"PORT": str(port), "API_KEYS_FILE": str(keys), "BACKENDS_FILE": str(backends)}
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            pinned(cores, [sys.executable, "-m", "gateway"]),
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, directory / "log")
        yield port
    finally:
        stop(process)


def _backends(upstream: Upstream) -> list[dict[str, object]]:
    return [
        {"name": name, "kind": "openai", "url": f"http://127.0.0.1:{port}", "api_key_file": None, "models": [model]}
        for name, model, port in (
            ("llm", MODEL, upstream.port),
            ("llm-stream", f"{MODEL}-stream", upstream.stream_port),
        )
    ]
