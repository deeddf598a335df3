"""Stands in for the gateway (127.0.0.1:8080) and a registry (8443, TLS). How it behaves is in /run/standin.json."""

import email.utils
import json
import pkgutil
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, "/usr/local/bin/doctor.pyz")
TEXT = json.loads(pkgutil.get_data("ai_services", "local/sample.json"))["text"]


def wish(name, default):
    try:
        return json.loads(Path("/run/standin.json").read_text()).get(name, default)
    except (OSError, ValueError):
        return default


class Gateway(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def allowed(self):
        if self.headers.get("Authorization") == "Bearer the-key-of-the-patient" or wish("open", False):
            return True
        self.answer(401, {"error": {"message": "a key is needed"}})
        return False

    def do_GET(self):
        if self.path == "/health":
            if wish("garbage", False):
                return self.answer(200, b'{"status": "ok", "comp\xff\xfe')
            whisper = {
                "status": wish("whisper", "ok"),
                "device": wish("device", "cpu"),
                "reason": "no answer within 2 s",
            }
            return self.answer(
                200, {"version": "0.1.0", "components": {"whisper-api": whisper, "ollama": {"status": "ok"}}}
            )
        if not self.allowed():
            return None
        if self.path == "/api/ps":
            return self.answer(200, {"models": [{"name": "m", "size": 100, "size_vram": wish("size_vram", 0)}]})
        return self.answer(200, {"data": [{"id": "m"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if not self.allowed():
            return
        if self.path == "/transcribe":
            self.answer(200, {"text": wish("text", TEXT)})
        elif wish("completion", 200) != 200:
            self.answer(wish("completion", 200), {"error": {"message": "model requires more system memory"}})
        else:
            self.answer(200, {"choices": [{"message": {"content": "Paris."}}], "usage": {"completion_tokens": 3}})


class Registry(Gateway):
    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(time.time() - wish("clock_ahead_s", 0), usegmt=True)

    def do_HEAD(self):
        self.send_response(200)
        self.send_header(
            "Docker-Content-Digest", wish("digest", Path("/usr/local/lib/patient.image").read_text().strip())
        )
        self.end_headers()


if __name__ == "__main__":
    live = f"/etc/letsencrypt/live/{sys.argv[1]}"
    registry = ThreadingHTTPServer(("127.0.0.1", 8443), Registry)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{live}/fullchain.pem", f"{live}/privkey.pem")
    registry.socket = context.wrap_socket(registry.socket, server_side=True)
    threading.Thread(target=registry.serve_forever, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", 8080), Gateway).serve_forever()
