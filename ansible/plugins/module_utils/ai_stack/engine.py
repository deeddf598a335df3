"""Docker's own API over its socket, as far as the stack needs it. Secrets travel in headers, never in an argv."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

SOCKET = "/var/run/docker.sock"


class EngineError(Exception):
    """Docker refused or cannot be reached; `status` is HTTP's, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """One Docker daemon, behind the unix socket `path`."""

    def __init__(self, path: str = SOCKET, timeout_s: float = 60) -> None:
        self._path = path
        self._timeout_s = timeout_s

    def get(self, path: str) -> Any:
        """The answer of GET `path`, decoded; None for 404."""
        return self._call("GET", path)

    def image(self, reference: str) -> dict[str, Any] | None:
        """What Docker knows of an image on this machine; None when it is not here."""
        found = self.get(f"/images/{quote(reference, safe='/:@')}/json")
        return found if isinstance(found, dict) else None

    def container(self, name: str) -> dict[str, Any] | None:
        """What Docker knows of a container; None when there is none."""
        found = self.get(f"/containers/{quote(name)}/json")
        return found if isinstance(found, dict) else None

    def containers(self, project: str) -> list[dict[str, Any]]:
        """All containers of a compose project, stopped ones too."""
        wanted = json.dumps({"label": [f"com.docker.compose.project={project}"]})
        return list(self.get("/containers/json?" + urlencode({"all": "1", "filters": wanted})) or [])

    def logs(self, container: str, lines: int) -> list[str]:
        """The last `lines` lines a container wrote to either stream, oldest first."""
        query = urlencode({"stdout": 1, "stderr": 1, "tail": lines})
        with self._answered("GET", f"/containers/{quote(container)}/logs?{query}") as answer:
            return _unframed(answer.read()).decode(errors="replace").splitlines()[-lines:]

    def remove_image(self, reference: str) -> bool:
        """Remove an image that nothing uses. Returns whether it went; an image in use stays."""
        try:
            return self._call("DELETE", f"/images/{quote(reference, safe='/:@')}") is not None
        except EngineError as error:
            if error.status == 409:
                return False
            raise

    def pull(self, reference: str, auth: dict[str, str] | None) -> Iterator[dict[str, Any]]:
        """Pull `reference`; yields Docker's own progress messages.

        Raises:
            EngineError: the registry or Docker refused; the message is theirs.
        """
        query = urlencode({"fromImage": reference})
        headers = {}
        if auth:
            headers["X-Registry-Auth"] = base64.urlsafe_b64encode(json.dumps(auth).encode()).decode()
        with self._answered("POST", f"/images/create?{query}", headers) as answer:
            for line in answer:
                if not line.strip():
                    continue
                message = json.loads(line)
                if "error" in message:
                    raise EngineError(answer.status, str(message["error"]))
                yield message

    def _call(self, method: str, path: str) -> Any:
        try:
            with self._answered(method, path) as answer:
                raw = answer.read()
        except EngineError as error:
            if error.status == 404:
                return None
            raise
        return json.loads(raw) if raw.strip() else {}

    @contextlib.contextmanager
    def _answered(
        self, method: str, path: str, headers: dict[str, str] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _Connection(self._path, self._timeout_s)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            if answer.status >= 400:
                raw = answer.read()
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    raise EngineError(answer.status, str(json.loads(raw)["message"]))
                raise EngineError(answer.status, raw.decode(errors="replace")[:500])
            yield answer
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(
                0, f"Docker at {self._path} cannot be talked to: {error}. Look at systemctl status docker."
            ) from error
        finally:
            connection.close()


def _unframed(raw: bytes) -> bytes:
    """Docker's log stream without its frames (8 bytes: stream, 0 0 0, length) where it has them."""
    out, at = b"", 0
    while at + 8 <= len(raw):
        if raw[at] not in (0, 1, 2) or raw[at + 1 : at + 4] != b"\0\0\0":
            return raw
        length = int.from_bytes(raw[at + 4 : at + 8], "big")
        out += raw[at + 8 : at + 8 + length]
        at += 8 + length
    return out or raw


def registry_of(reference: str) -> str:
    """Host of the registry that an image reference names; docker.io when it names none."""
    first, slash, _ = reference.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else "docker.io"


def credentials_for(reference: str, docker_config: Path) -> dict[str, str] | None:
    """What `docker_config`/config.json holds for the registry of `reference`, as the API wants it; None if nothing."""
    try:
        auths = json.loads((docker_config / "config.json").read_bytes()).get("auths", {})
    except (OSError, ValueError):
        return None
    registry = registry_of(reference)
    found = auths.get(registry) or auths.get(f"https://{registry}")
    if not found:
        return None
    user, _, password = base64.b64decode(found["auth"]).decode().partition(":")
    return {"username": user, "password": password, "serveraddress": registry}
