"""Stands in for the gateway (127.0.0.1:8080) and a registry (8443, TLS). How it behaves is in /run/standin.json."""

from __future__ import annotations

import email.utils
import json
import pkgutil
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_DOCTOR = "/usr/local/bin/doctor.pyz"
_KEY = "the-key-of-the-patient"
_IMAGE = Path("/usr/local/lib/patient.image")


def wish(name: str, default: Any) -> Any:
    """What /run/standin.json says about `name`."""
    try:
        return json.loads(Path("/run/standin.json").read_text()).get(name, default)
    except (OSError, ValueError):
        return default


def sample_text() -> str:
    """What is said in the doctor's recording."""
    sys.path.insert(0, _DOCTOR)
    return str(json.loads(pkgutil.get_data("ai_services", "local/sample.json") or b"{}")["text"])


class Gateway(BaseHTTPRequestHandler):
    """Answers as the gateway does."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Health (open), then what needs the key."""
        if self.path == "/health":
            self._health()
        elif self._allowed():
            models = [{"name": "m", "size": 100, "size_vram": wish("size_vram", 0)}]
            self._answer(200, {"models": models} if self.path == "/api/ps" else {"data": [{"id": "m"}]})

    def do_POST(self) -> None:
        """A transcription or a completion."""
        self.rfile.read(int(self.headers["Content-Length"]))
        if not self._allowed():
            return
        if self.path == "/transcribe":
            self._answer(200, {"text": wish("text", sample_text())})
        elif wish("completion", 200) != 200:
            self._answer(wish("completion", 200), {"error": {"message": "model requires more system memory"}})
        else:
            self._answer(200, {"choices": [{"message": {"content": "Paris."}}], "usage": {"completion_tokens": 3}})

    def _health(self) -> None:
        if wish("garbage", False):
            self._answer(200, b'{"status": "ok", "comp\xff\xfe')
            return
        whisper = {"status": wish("whisper", "ok"), "device": wish("device", "cpu"), "reason": "no answer within 2 s"}
        self._answer(200, {"version": "0.1.0", "components": {"whisper-api": whisper, "ollama": {"status": "ok"}}})

    def _allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {_KEY}" or wish("open", False):
            return True
        self._answer(401, {"error": {"message": "a key is needed"}})
        return False

    def _answer(self, status: int, body: bytes | dict[str, Any]) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Registry(Gateway):
    """Knows one digest, and has a clock of its own."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header."""
        return email.utils.formatdate(time.time() - float(wish("clock_ahead_s", 0)), usegmt=True)

    def do_HEAD(self) -> None:
        """A manifest."""
        self.send_response(200)
        self.send_header("Docker-Content-Digest", str(wish("digest", _IMAGE.read_text().strip())))
        self.end_headers()


if __name__ == "__main__":
    live = f"/etc/letsencrypt/live/{sys.argv[1]}"
    registry = ThreadingHTTPServer(("127.0.0.1", 8443), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{live}/fullchain.pem", f"{live}/privkey.pem")
    registry.socket = context.wrap_socket(registry.socket, server_side=True)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", 8080), Gateway).serve_forever()
