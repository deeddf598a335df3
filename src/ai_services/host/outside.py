"""Reaching a host as its users do: by its domain's name and certificate, but at the address that was deployed to."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

HTTPS_PORT = 443
HTTP_PORT = 80
CONNECT_TIMEOUT_S = 10.0
# A first answer may have to wait until a model is loaded.
ANSWER_TIMEOUT_S = 900.0
PROBE_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Certificate:
    """What was presented on 443: `days` until it ends, names it is for, protocol, and its own bytes (DER)."""

    days: float
    names: tuple[str, ...]
    protocol: str
    der: bytes


@dataclass(frozen=True)
class Outside:
    """A host at `address` (name or number) under `domain`; with `tls` False it is spoken to in plain HTTP."""

    address: str
    domain: str | None
    tls: bool
    trusted: ssl.SSLContext

    @classmethod
    def of(cls, settings: Mapping[str, Any], address: str) -> Outside:
        """The host that `settings` describe. Trusted are this machine's authorities and the operator's own."""
        context = ssl.create_default_context()
        for name in ("ai_extra_ca_file", "ai_tls_certificate_file"):
            # An own certificate may be signed by itself; who gave it to us wants it trusted.
            if settings.get(name):
                context.load_verify_locations(cadata=_certificates(Path(str(settings[name]))))
        return cls(address, settings.get("ai_domain") or None, settings.get("ai_tls") != "off", context)

    @property
    def url(self) -> str:
        """Root of the host's URLs, as users write it."""
        name = self.domain or (f"[{self.address}]" if ":" in self.address else self.address)
        return f"{'https' if self.tls else 'http'}://{name}"

    def session(self, key: str | None) -> requests.Session:
        """A session whose connections go to `address`; with `key` as its bearer token."""
        session = requests.Session()
        # A proxy of the operator's machine would make this somebody else's outside.
        session.trust_env = False
        adapter = _ToAddress(self)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        if key:
            session.headers["Authorization"] = f"Bearer {key}"
        return session

    def certificate(self, at: str | None = None) -> Certificate:
        """The certificate presented at `at` (default: the address), checked for chain, name and time.

        Raises:
            ssl.SSLError: it is not good; OSError: nobody answers.
        """
        with (
            socket.create_connection((at or self.address, HTTPS_PORT), CONNECT_TIMEOUT_S) as plain,
            self.trusted.wrap_socket(plain, server_hostname=self.domain or self.address) as secure,
        ):
            found = secure.getpeercert() or {}
            alternatives = cast("tuple[tuple[str, str], ...]", found.get("subjectAltName", ()))
            names = tuple(value for _, value in alternatives)
            ends_s = ssl.cert_time_to_seconds(str(found["notAfter"]))
            der = secure.getpeercert(binary_form=True) or b""
            return Certificate((ends_s - time.time()) / 86400, names, secure.version() or "", der)

    def is_open(self, port: int) -> bool:
        """Whether a TCP connection to `port` succeeds from here."""
        try:
            with socket.create_connection((self.address, port), PROBE_TIMEOUT_S):
                return True
        except OSError:
            return False

    def who_listens(self, port: int, paths: Mapping[str, str]) -> str | None:
        """Which of our services answers on `port`, or None; `paths` maps names to the path and word to know them by."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        with requests.Session() as session:
            session.trust_env = False
            for name, mark in paths.items():
                path, _, word = mark.partition(" ")
                with contextlib.suppress(requests.RequestException):
                    answer = session.get(f"http://{host}:{port}{path}", timeout=PROBE_TIMEOUT_S)
                    if word.lower() in answer.text.lower():
                        return name
        return None

    def is_this_machine(self) -> bool:
        """Whether the host is the very machine that looks: then there is no outside to look from."""
        try:
            for *_, address in socket.getaddrinfo(self.address, 0, type=socket.SOCK_STREAM):
                family = socket.AF_INET6 if ":" in str(address[0]) else socket.AF_INET
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    try:
                        probe.bind((str(address[0]), 0))
                    except OSError as error:
                        if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                            raise
                    else:
                        return True
        except OSError:
            return False
        return False


class _ToAddress(HTTPAdapter):
    """Connects to the address, and says and checks the domain."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        name = self._outside.domain or self._outside.address
        options |= {"ssl_context": self._outside.trusted, "server_hostname": name, "assert_hostname": name}
        super().init_poolmanager(*arguments, **options)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        address = self._outside.address
        host = f"[{address}]" if ":" in address else address
        request.headers.setdefault("Host", parts.netloc)
        port = HTTPS_PORT if parts.scheme == "https" else HTTP_PORT
        request.url = urlunsplit(parts._replace(netloc=f"{host}:{port}"))
        return super().send(request, *arguments, **options)


def addresses_of(name: str) -> set[str]:
    """Every address that `name` has here; empty when it has none."""
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def _certificates(path: Path) -> str:
    """The certificates of a PEM file, without whatever else is in it."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    parts = path.read_text(encoding="utf-8").split(begin)[1:]
    return "".join(f"{begin}{part.partition(end)[0]}{end}\n" for part in parts)
