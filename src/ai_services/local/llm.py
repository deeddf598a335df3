"""Which program answers for the language model: Ollama or llama.cpp, decided once per `up` and said in one line."""

from __future__ import annotations

import http.client
import json
import os
import shutil
from dataclasses import dataclass
from urllib.parse import urlsplit

from ai_services.exits import BLOCKED, USAGE, OperatorError
from ai_services.local.state import BackendKind


@dataclass(frozen=True)
class Backend:
    """The decision. `url` is set when an Ollama of somebody else answers there; then nothing is started."""

    kind: BackendKind
    reason: str
    url: str = ""

    @property
    def managed(self) -> bool:
        """Whether this stack starts and stops it."""
        return not self.url


def ollama_host() -> str | None:
    """Return OLLAMA_HOST as an address, completed as Ollama's own programs do; None if it is not set."""
    raw = os.environ.get("OLLAMA_HOST", "").strip()
    if not raw:
        return None
    scheme, found, rest = raw.partition("://")
    if not found:
        scheme, rest = "http", raw
    parts = urlsplit(f"{scheme}://{rest}")
    host = parts.hostname or "127.0.0.1"
    if host in ("0.0.0.0", "::"):  # noqa: S104  # a server's setting; its clients use loopback
        host = "127.0.0.1"
    standard = {"http": 80, "https": 443}[scheme] if found and scheme in ("http", "https") else 11434
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or standard}{parts.path.rstrip('/')}"


def ollama_version(url: str, timeout_s: float = 3.0) -> str | None:
    """Return the version of the Ollama that answers at `url`, or None."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path}/api/version")
        answer = connection.getresponse()
        version = json.loads(answer.read())["version"] if answer.status == 200 else None
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return str(version) if version else None


def ollama_binary() -> str:
    """Return the path of the installed Ollama, or an empty string."""
    return shutil.which("ollama") or ""


def choose(forced: BackendKind | None = None) -> Backend:
    """Decide the backend.

    OLLAMA_HOST that answers, else an installed `ollama`, else llama.cpp; `forced` leaves only its own kind.

    Raises:
        OperatorError: Ollama is demanded and there is none.
    """
    if forced == "llama.cpp":
        return Backend("llama.cpp", "asked for by --llm-backend")
    url = ollama_host()
    if url and (version := ollama_version(url)):
        return Backend("ollama", f"OLLAMA_HOST answers at {url}, version {version}", url)
    silent = f"OLLAMA_HOST={os.environ['OLLAMA_HOST']} does not answer" if url else ""
    if binary := ollama_binary():
        return Backend("ollama", f"{silent}; {binary} is installed" if silent else f"{binary} is installed")
    if forced == "ollama":
        raise OperatorError(
            f"Ollama is asked for, but {silent or 'OLLAMA_HOST is not set'} and no ollama is on the PATH.",
            hint="Install Ollama, or use the embedded backend: ./ai up --llm-backend llama.cpp",
            exit_code=BLOCKED,
        )
    return Backend("llama.cpp", f"{silent or 'OLLAMA_HOST is not set'}, and no ollama is on the PATH")


def parse_kind(text: str | None) -> BackendKind | None:
    """Return what --llm-backend names."""
    if text is None or text == "auto":
        return None
    if text in ("llama.cpp", "llamacpp", "llama"):
        return "llama.cpp"
    if text == "ollama":
        return "ollama"
    raise OperatorError(f"--llm-backend {text} is unknown.", hint="Say auto, ollama or llama.cpp.", exit_code=USAGE)
