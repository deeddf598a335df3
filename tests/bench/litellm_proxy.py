"""LiteLLM's proxy, the one we compare with: its own virtual environment, and the settings its handbook gives for speed.

Settings: one worker a core (their advice) under Granian, which measured 0 to 10 % faster here than their default,
uvicorn; ``LITELLM_MODE=PRODUCTION``, logs at ERROR, no database, no callbacks, no retries, the price list from the
package. Their Rust core (``LITELLM_RUST``) is left off: for an OpenAI-speaking backend it measured 10 to 25 % slower.
The key check is on, as it is in our gateway; our access log and metrics have no counterpart switched on here.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml
from support.stack import free_port

from bench.process import pinned, stop, wait_for_port
from bench.upstream import MODEL, Upstream

KEY = "sk-bench-0123456789abcdef"
_ROOT = Path(__file__).resolve().parents[2]
_LOCK = _ROOT / "requirements" / "bench.txt"


def install() -> Path:
    """The environment's ``bin`` directory, made once per content of the lock in the user's cache directory.

    Raises subprocess.CalledProcessError when the packages cannot be had (no network on the first run).
    """
    digest = hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    environment = cache / "ai-services" / f"bench-litellm-{digest}"
    done = environment / "installed"
    if not done.exists():
        print(f"installing LiteLLM's proxy into {environment} (once)", file=sys.stderr)
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, environment], check=True)
        python = environment / "bin" / "python"
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", _LOCK], check=True
        )
        done.touch()
    return environment / "bin"


def version(bin_dir: Path) -> str:
    """LiteLLM's own version number."""
    code = "import importlib.metadata as m; print(m.version('litellm'))"
    return subprocess.run([bin_dir / "python", "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@contextlib.contextmanager
def serving(bin_dir: Path, directory: Path, upstream: Upstream, cores: tuple[int, ...]) -> Iterator[int]:
    """Run the proxy with two models, ``bench`` and ``bench-stream``; gives its port."""
    directory.mkdir(parents=True)
    config = directory / "config.yaml"
    config.write_text(yaml.safe_dump(_config(upstream)))
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--config", str(config), "--num_workers", "1"]
    options.append("--run_granian")
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            pinned(cores, [str(bin_dir / "litellm"), *options]),
            env=_environment(directory),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for_port(port, process, directory / "log")
        yield port
    finally:
        stop(process)


def _config(upstream: Upstream) -> dict[str, object]:
    return {
        "model_list": [
            {
                "model_name": name,
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": f"http://127.0.0.1:{port}/v1",
                    "api_key": "unused",
                },
            }
            for name, port in ((MODEL, upstream.port), (f"{MODEL}-stream", upstream.stream_port))
        ],
        "litellm_settings": {"set_verbose": False, "request_timeout": 60, "num_retries": 0, "telemetry": False},
        "router_settings": {"routing_strategy": "simple-shuffle", "num_retries": 0},
        "general_settings": {"master_key": KEY, "background_health_checks": False},
    }


def _environment(directory: Path) -> dict[str, str]:
    # A clean one: provider keys or LITELLM_* of the user's shell must not change what is measured.
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "SSL_CERT_FILE") if name in os.environ}
    return kept | {
        "HOME": str(directory),
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
