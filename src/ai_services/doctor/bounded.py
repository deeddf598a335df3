"""Commands, files and sockets that can neither hang nor flood: every look at a machine goes through here."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND_TIMEOUT_S = 10.0
# More than any command of ours says on a healthy machine; what is beyond is read and dropped.
OUTPUT_LIMIT_BYTES = 2 * 2**20
FILE_LIMIT_BYTES = 2 * 2**20


class Unseen(Exception):  # noqa: N818  # no error of ours: a fact about what can be seen
    """Something could not be looked at; the text says why, for people."""


@dataclass(frozen=True)
class Ran:
    """What a command left behind: exit code, standard output and error (both bounded, odd bytes replaced)."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The last line that is not empty, of the errors first: what a person would quote."""
        for text in (self.err, self.out):
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            if lines:
                return lines[-1][:300]
        return f"exit code {self.code}"


def run(argv: Sequence[str], timeout_s: float = COMMAND_TIMEOUT_S, limit: int = OUTPUT_LIMIT_BYTES) -> Ran:
    """Run a command in its own process group, in the C locale, without input.

    Raises:
        Unseen: it is not installed, cannot be started, or was not done after `timeout_s` (its whole group is killed).
    """
    environment = {**os.environ, "LC_ALL": "C", "LANG": "C", "PATH": _path()}
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise Unseen(f"{argv[0]} is not installed") from None
    except OSError as error:
        raise Unseen(f"{argv[0]} cannot be started: {error.strerror or error}") from None
    texts: dict[str, str] = {"out": "", "err": ""}
    readers = [
        threading.Thread(target=_drain, args=(stream, limit, texts, name), daemon=True)
        for name, stream in (("out", process.stdout), ("err", process.stderr))
    ]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + timeout_s
    try:
        code = process.wait(timeout_s)
        for reader in readers:
            # A grandchild may hold the pipe open after the command itself is done.
            reader.join(max(0.1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise Unseen(f"{' '.join(argv[:3])} gave no answer in {timeout_s:.0f} s") from None
    finally:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    return Ran(code, texts["out"], texts["err"])


def _path() -> str:
    # An ordinary user's PATH on Debian leaves out the sbin directories, where half of what we ask lives.
    return ":".join(dict.fromkeys([*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"]))


def _drain(stream: Any, limit: int, texts: dict[str, str], name: str) -> None:
    kept: list[bytes] = []
    room = limit
    with contextlib.suppress(OSError, ValueError):
        while chunk := stream.read1(65536):
            if room > 0:
                kept.append(chunk[:room])
                room -= len(chunk)
    texts[name] = b"".join(kept).decode("utf-8", "replace")
    with contextlib.suppress(OSError):
        stream.close()


def read(path: Path, limit: int = FILE_LIMIT_BYTES) -> str:
    """Return the first `limit` bytes of a regular file (or of /proc and /sys) as text, odd bytes replaced.

    Raises:
        Unseen: it is not there, not readable, or no file (a named pipe would block for ever).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unseen(f"{path} is not there") from None
    except PermissionError:
        raise Unseen(f"{path} is readable only for root") from None
    except OSError as error:
        raise Unseen(f"{path} cannot be read: {error.strerror or error}") from None
    kept: list[bytes] = []
    with contextlib.closing(os.fdopen(descriptor, "rb", buffering=0)) as stream:
        while limit > 0:
            try:
                chunk = stream.read(min(limit, 65536))
            except OSError as error:
                raise Unseen(f"{path} cannot be read: {error.strerror or error}") from None
            if not chunk:
                break
            kept.append(chunk)
            limit -= len(chunk)
    return b"".join(kept).decode("utf-8", "replace")


def read_or(path: Path, default: str = "") -> str:
    """Return a file's text without surrounding white space, or `default` where it cannot be read."""
    try:
        return read(path).strip()
    except Unseen:
        return default


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        Unseen: it cannot be read, or holds something else.
    """
    return as_object(read(path), str(path))


def as_object(text: str, source: str) -> dict[str, Any]:
    """Return the JSON object that `text` holds; `Unseen`, naming `source`, if it holds anything else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Unseen(f"{source} is not JSON (starts with {text[:40]!r})") from None
    if not isinstance(found, dict):
        raise Unseen(f"{source} holds no JSON object (starts with {text[:40]!r})")
    return found


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def unix_http(
    path: str, method: str, target: str, body: bytes | None = None, timeout_s: float = 10.0, limit: int = 8 * 2**20
) -> tuple[int, bytes]:
    """Ask an HTTP server on a Unix socket. Returns status and body (its first `limit` bytes).

    Raises:
        Unseen: nobody answers there, or not in time.
    """
    connection = _UnixConnection(path, timeout_s)
    return ask(connection, method, target, body, {"Content-Type": "application/json"}, path, timeout_s, limit)[:2]


def ask(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    body: bytes | None,
    headers: Mapping[str, str],
    who: str,
    timeout_s: float,
    limit: int = 8 * 2**20,
) -> tuple[int, bytes, dict[str, str]]:
    """Send one request and read the answer. Returns status, body (bounded by `limit`) and headers in lower case.

    Raises:
        Unseen: no connection, no answer in `timeout_s` (all in all), or something that is no HTTP.
    """
    # A socket's timeout runs per call; a server that sends a byte now and then must not hold us for ever.
    watchdog = threading.Timer(timeout_s, _hang_up, (connection,))
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request(method, target, body=body, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        content = response.read(limit)
        return response.status, content, {name.lower(): value for name, value in response.getheaders()}
    except FileNotFoundError:
        raise Unseen(f"{who} is not there") from None
    except PermissionError:
        raise Unseen(f"{who} may be used only by root") from None
    except ConnectionRefusedError:
        raise Unseen(f"nobody listens on {who}") from None
    except ssl.SSLCertVerificationError as error:
        raise Unseen(f"the certificate of {who} is not trusted here: {error.verify_message}") from None
    except (socket.timeout, TimeoutError):  # one and the same only since Python 3.10
        raise Unseen(f"{who} gave no answer in {timeout_s:.0f} s") from None
    except (OSError, http.client.HTTPException, ValueError, AttributeError) as error:
        raise Unseen(f"{who} broke off: {type(error).__name__} {str(error)[:200]}".rstrip()) from None
    finally:
        watchdog.cancel()
        connection.close()


def client_tls() -> ssl.SSLContext:
    """Return the settings by which browsers and curl trust a server: this machine's authorities, and no more.

    Python 3.13 is stricter than they are, and refuses many a private authority.
    """
    context = ssl.create_default_context()
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)
