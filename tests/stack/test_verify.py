"""The look from outside: passes over a real stack behind TLS, and sees each thing that is wrong (S0.1, S0.2, S0.12)."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.stack import Stack

from ai_services.host import outside
from ai_services.host.verify import Check, verify

DOMAIN = "ai.verify.test"
MUTE = "name", "inner ports are closed"  # need a DNS record, and a machine that is not this one


@dataclass
class Door:
    """A front door over a stack: TLS in front, bytes passed through, and a few ways to be wrong."""

    settings: dict[str, Any]
    key: str
    upstream_port: int
    redirects: bool = True
    key_for_all: str = ""  # every request gets this key: a door that asks nobody
    ports: list[int] = field(default_factory=list)

    def look(self, **changed: Any) -> dict[str, Check]:
        """Every check by its name."""
        found = verify({**self.settings, **changed}, address="127.0.0.1", key=self.key, plan={})
        return {check.name: check for check in found}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection through; a key for all goes in behind the first line."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, first: bool) -> None:
            try:
                while piece := await source.read(65536):
                    if first and self.key_for_all:
                        line, _, rest = piece.partition(b"\r\n")
                        kept = [head for head in rest.split(b"\r\n") if not head.lower().startswith(b"authorization:")]
                        piece = (
                            line
                            + b"\r\nAuthorization: Bearer "
                            + self.key_for_all.encode()
                            + b"\r\n"
                            + b"\r\n".join(kept)
                        )
                    sink.write(piece)
                    await sink.drain()
            except OSError:
                pass
            finally:
                sink.close()

        await asyncio.gather(pump(reader, up_writer, first=True), pump(up_reader, writer, first=False))

    async def redirect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer plain HTTP."""
        await reader.readuntil(b"\r\n\r\n")
        answer = f"301 x\r\nLocation: https://{DOMAIN}/docs" if self.redirects else "200 OK"
        writer.write(f"HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def certificate(folder: Path, days: float) -> tuple[Path, Path]:
    """A certificate for DOMAIN signed by itself that ends in `days`, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=80)).not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, private = folder / f"cert-{days}.pem", folder / f"key-{days}.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


@pytest.fixture
def door(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """The stack's gateway behind TLS on ports of this machine."""
    public, private = certificate(tmp_path, 60)
    settings = {
        "ai_domain": DOMAIN,
        "ai_tls": "own",
        "ai_tls_certificate_file": str(public),
        "ai_ollama_model": stack.model,
    }
    made = Door(settings, stack.key, stack.port)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    loop = asyncio.new_event_loop()
    secure = loop.run_until_complete(asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context))
    plain = loop.run_until_complete(asyncio.start_server(made.redirect, "127.0.0.1", 0))
    monkeypatch.setattr(outside, "HTTPS_PORT", secure.sockets[0].getsockname()[1])
    monkeypatch.setattr(outside, "HTTP_PORT", plain.sockets[0].getsockname()[1])
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for server in (secure, plain):
        server.close()
    # Connections that nobody has closed yet: left alone, they would complain when they are collected.
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left))
    loop.close()


@pytest.mark.promise("S0.1")
def test_a_host_that_serves_passes_every_check(door: Door) -> None:
    checks = door.look()
    wrong = {name: check.detail for name, check in checks.items() if not check.ok and name not in MUTE}
    assert wrong == {}
    assert len(checks) == 16
    assert "10.9 s of speech" in checks["/transcribe"].detail
    assert "60 days left" in checks["certificate"].detail
    assert "pieces" in checks["/v1/chat/completions, streamed"].detail


@pytest.mark.promise("S0.12")
def test_a_door_that_asks_nobody_for_a_key_is_seen(door: Door) -> None:
    door.key_for_all = door.key
    checks = door.look()
    assert not checks["keys are asked for"].ok
    assert not checks["a wrong key is refused"].ok
    assert "'/queue/status': 200" in checks["keys are asked for"].detail
    assert checks["keys are asked for"].hint


def test_a_key_that_does_not_open_is_seen_and_never_shown(door: Door) -> None:
    door.key = "canary-of-a-key-that-does-not-open"
    checks = door.look()
    for route in ("/transcribe", "/v1/chat/completions", "/generate", "/docs", "/queue/status"):
        assert not checks[route].ok
        assert checks[route].detail.startswith("401")
    assert "canary" not in repr(checks)


def test_a_certificate_that_nobody_trusts_is_seen(door: Door, tmp_path: Path) -> None:
    checks = door.look(ai_tls_certificate_file=None, ai_tls="letsencrypt")
    assert not checks["certificate"].ok
    assert "not trusted" in checks["certificate"].detail
    assert not checks["/health"].ok


def test_a_certificate_for_another_name_is_seen(door: Door) -> None:
    checks = door.look(ai_domain="other.verify.test")
    assert not checks["certificate"].ok
    assert not checks["/transcribe"].ok


def test_plain_http_that_is_not_sent_to_https_is_seen(door: Door) -> None:
    door.redirects = False
    assert not door.look()["plain HTTP is sent to HTTPS"].ok


def test_a_model_that_was_not_brought_is_seen(door: Door) -> None:
    checks = door.look(ai_ollama_model="another:1b")
    assert not checks["/api/tags"].ok
    assert "another:1b" in checks["/api/tags"].detail
    assert not checks["/v1/chat/completions"].ok


def test_a_name_without_an_address_is_seen_with_what_to_do(door: Door) -> None:
    check = door.look(ai_domain="nowhere.invalid")["name"]
    assert not check.ok
    assert "DNS record" in check.hint


def test_a_host_that_is_not_there_fails_every_check_and_raises_nothing(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "HTTPS_PORT", 9)
    monkeypatch.setattr(outside, "HTTP_PORT", 9)
    checks = door.look()
    assert not any(check.ok for name, check in checks.items() if name not in MUTE)
