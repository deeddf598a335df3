"""The gateway's own door for whoever runs the host: pausing a backend, and real questions that pass a pause."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

KEY_FILE = Path("secrets") / "admin.key"
# A pause outlives its owner by so much at most; it is renewed four times within.
LEASE_S = 60
_RENEW_EVERY_S = 15.0
_QUICK_S = 10.0


class AdminError(Exception):
    """The gateway did not do it; `status` is HTTP's, 0 when there was no answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Admin:
    """The gateway on 127.0.0.1:`port`, asked with the host's own key."""

    port: int
    key: str

    @classmethod
    def of(cls, root: Path, port: int) -> Admin:
        """With the key of the installation in `root`; without one, nothing is allowed."""
        try:
            lines = (root / KEY_FILE).read_text().split()
        except OSError:
            lines = []
        return cls(port, lines[0] if lines else "none")

    def state(self) -> dict[str, Any] | None:
        """What GET /api/admin/backends says; None from a gateway that has no such door (0.1), or no such key.

        Raises:
            AdminError: it does not answer.
        """
        try:
            return self.call("GET", "/api/admin/backends")
        except AdminError as error:
            if error.status in (401, 403, 404):
                return None
            raise

    def backend(self, name: str) -> dict[str, Any]:
        """What it says of one backend; empty where it has none of that name."""
        rows = (self.state() or {}).get("backends") or []
        return next((row for row in rows if row.get("name") == name), {})

    def health(self) -> dict[str, str]:
        """Status of each backend as it sees them (ok, down, paused); empty where it does not say."""
        try:
            found = self.call("GET", "/health", accepted=(200, 503)).get("components")
        except AdminError:
            return {}
        rows = found.items() if isinstance(found, dict) else ()
        return {name: str(row.get("status")) for name, row in rows if isinstance(row, dict)}

    @contextlib.contextmanager
    def paused(self, name: str, owner: str, why: str, lost: Callable[[str], None]) -> Iterator[None]:
        """Let nothing through to backend `name` during the block. Callers wait; what was under way goes on.

        `lost` is told once if the pause could not be kept up: callers then reach whatever answers.

        Raises:
            AdminError: somebody else has paused it, or the gateway does not answer.
        """
        ask = {"owner": owner, "why": why, "lease_s": LEASE_S}
        self.call("POST", f"/api/admin/backends/{quote(name)}/pause", ask)
        ended = threading.Event()

        def renew() -> None:
            renewed_at, told = time.monotonic(), False
            while not ended.wait(_RENEW_EVERY_S):
                try:
                    self.call("POST", f"/api/admin/backends/{quote(name)}/pause", ask)
                    renewed_at = time.monotonic()
                except AdminError as error:
                    refused = error.status in (401, 403, 404, 409)
                    if not told and (refused or time.monotonic() - renewed_at >= LEASE_S):
                        told = True
                        lost(str(error))

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            # Were it not to be had now, the pause would end by itself.
            with contextlib.suppress(AdminError):
                self.resume(name, owner)

    def resume(self, name: str, owner: str) -> None:
        """End the pause of backend `name`, if it is `owner`'s.

        Raises:
            AdminError: it is another's, or the gateway does not answer.
        """
        self.call("POST", f"/api/admin/backends/{quote(name)}/resume", {"owner": owner})

    def transcribe(self, recording: bytes, timeout_s: float) -> str:
        """Let the speech model hear an Ogg recording; returns its words.

        Raises:
            AdminError: it was refused or failed.
        """
        mark = secrets.token_hex(16)
        head = (
            f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="sample.ogg"\r\n'
            "Content-Type: audio/ogg\r\n\r\n"
        )
        body = head.encode() + recording + f"\r\n--{mark}--\r\n".encode()
        said = self.call("POST", "/transcribe", body, timeout_s, f"multipart/form-data; boundary={mark}")
        return str(said.get("text") or "")

    def generate(self, model: str, timeout_s: float) -> int:
        """Let the language model speak a few words; returns how many tokens came.

        Raises:
            AdminError: it was refused or failed.
        """
        ask = {"model": model, "prompt": "Hi", "stream": False, "options": {"num_predict": 4}}
        return int(self.call("POST", "/api/generate", ask, timeout_s).get("eval_count") or 0)

    def call(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | bytes | None = None,
        timeout_s: float = _QUICK_S,
        kind: str = "application/json",
        accepted: Sequence[int] = (200,),
    ) -> dict[str, Any]:
        """The answer's JSON object.

        Raises:
            AdminError: no answer, no success, or no JSON object.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        raw = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {"Authorization": f"Bearer {self.key}", "Connection": "close"}
        if raw is not None:
            headers["Content-Type"] = kind
        try:
            connection.request(method, path, body=raw, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise AdminError(0, f"the gateway on 127.0.0.1:{self.port} does not answer {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status not in accepted:
            raise AdminError(answer.status, f"{path} is answered with {answer.status}: {text[:400]}")
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise AdminError(answer.status, f"{path} is answered with no JSON object: {text[:200]}")
        return said
