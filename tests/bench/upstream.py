"""The backend of the chat measurement: a plain nginx with a fixed answer, so that only the proxies differ."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.stack import free_port

from bench.process import pinned, stop, wait_for_port

ANSWER = "The capital of France is Paris."
MODEL = "bench"
_CREATED = 1_760_000_000


@dataclass(frozen=True)
class Upstream:
    """Two doors of one nginx: ``port`` answers JSON, ``stream_port`` server-sent events, whatever is asked."""

    port: int
    stream_port: int
    version: str


@contextlib.contextmanager
def serving(directory: Path, cores: tuple[int, ...]) -> Iterator[Upstream]:
    """Run nginx out of ``directory`` on free ports until the block ends.

    Raises FileNotFoundError when nginx is not installed.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if nginx is None:
        raise FileNotFoundError(
            "nginx, the fixed upstream of this measurement, is not installed: apt install nginx-light"
        )
    version = (
        subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr.rpartition("/")[2].strip()
    )
    upstream = Upstream(free_port(), free_port(), version)
    directory.mkdir(parents=True)
    config = directory / "nginx.conf"
    config.write_text(_config(directory, upstream))
    command = [nginx, "-p", str(directory), "-c", str(config), "-e", str(directory / "error.log")]
    process = subprocess.Popen(pinned(cores, command))
    try:
        wait_for_port(upstream.port, process, directory / "error.log")
        yield upstream
    finally:
        stop(process)


def _config(directory: Path, upstream: Upstream) -> str:
    temp_paths = "".join(
        f"{kind}_temp_path {directory}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
{temp_paths}
access_log off;
keepalive_requests 1000000000;
keepalive_timeout 1h;
server {{
    listen 127.0.0.1:{upstream.port};
    location / {{ default_type application/json; return 200 {_quoted(_whole_answer())}; }}
}}
server {{
    listen 127.0.0.1:{upstream.stream_port};
    location / {{ default_type text/event-stream; return 200 {_quoted(_streamed_answer())}; }}
}}
}}
"""


def _quoted(text: str) -> str:
    """As an nginx string. Our answers hold no ``$`` and no apostrophe, which would need more."""
    assert "'" not in text
    assert "$" not in text
    return "'" + text.replace("\\", "\\\\") + "'"


def _whole_answer() -> str:
    message = {"role": "assistant", "content": ANSWER}
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": _CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 24, "completion_tokens": 8, "total_tokens": 32},
        }
    )


def _streamed_answer() -> str:
    deltas: list[dict[str, str]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": f"{word} "} for word in ANSWER.split()]
    events = [_event(delta, None) for delta in deltas] + [_event({}, "stop")]
    return "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])


def _event(delta: dict[str, str], finish_reason: str | None) -> str:
    return json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion.chunk",
            "created": _CREATED,
            "model": MODEL,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }
    )
