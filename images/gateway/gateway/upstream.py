"""The way to the backends: one pooled session, and one sentence for everything that can go wrong on it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from gateway.metrics import BACKEND_FAILURES
from gateway.registry import Backend, Registry
from gateway.routing import QUICK_TIMEOUT_S, Patience
from gateway.settings import GatewaySettings
from service_kit.errors import ServiceError
from service_kit.log import get_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from multidict import CIMultiDict

    from gateway.watch import Watch

RETRY_AFTER_S = 2
# llama.cpp's server closes an idle connection after 5 s: let go before it does, or a request would meet the closing.
KEEP_ALIVE_S = 4
# A container that was made anew may have another address, and is asked within seconds.
DNS_CACHE_S = 1
# How soon a proxy closes a connection for which it finds nobody.
CLOSED_WITHIN_S = 1.0
_NOT_OURS_TO_SAY = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


class Upstream:
    """Sends requests to backends. Errors are raised as ServiceError: 503 down, 504 slow, 502 not understood."""

    def __init__(self, settings: GatewaySettings, registry: Registry) -> None:
        self._settings = settings
        standbys = [each.standby.as_backend(each.name) for each in registry.backends if each.standby is not None]
        self._keys = {backend.name: backend.api_key() for backend in (*registry.backends, *standbys)}
        self._urls: dict[tuple[str, str], URL] = {}
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool. Belongs to the running event loop."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=DNS_CACHE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.upstream_connect_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_NOT_OURS_TO_SAY,
            trust_env=False,
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def key_of(self, backend: Backend) -> str | None:
        """The key that `backend` asks for."""
        return self._keys[backend.name]

    def first_byte_s(self, patience: Patience) -> float:
        """How long a backend may take to begin its answer, in seconds."""
        limit_s = self._settings.upstream_first_byte_timeout_s
        return min(limit_s, QUICK_TIMEOUT_S) if patience is Patience.QUICK else limit_s

    @property
    def idle_s(self) -> float:
        """How long a backend may be silent within an exchange, in seconds."""
        return self._settings.upstream_idle_timeout_s

    async def send(
        self,
        backend: Backend,
        method: str,
        path: str,
        *,
        headers: CIMultiDict[str],
        data: bytes | AsyncIterator[bytes] | None = None,
        query: bytes = b"",
        verbatim: bool = False,
    ) -> aiohttp.ClientResponse:
        """Send one request and wait for the head of its answer. Redirects are answers like any other.

        `verbatim`: so is a 401, because the caller's own key went there.
        """
        if self._session is None:
            raise RuntimeError("the upstream pool is not started")
        with backend_errors(backend):
            response = await self._session.request(
                method, self._url(backend, path, query), headers=headers, data=data, allow_redirects=False
            )
        if not 200 <= response.status <= 599:
            response.close()
            raise _nonsense(backend, f"a status of {response.status}")
        if response.status == 401 and not verbatim:
            response.close()
            _failed(backend, "key")
            raise ServiceError(
                502,
                "backend_refused_key",
                f"Backend '{backend.name}' does not accept the gateway's own key.",
                hint="Yours is fine. Whoever runs this host: compare api_key_file in BACKENDS_FILE with the backend.",
            )
        return response

    async def probe(self, backend: Backend, path: str, timeout_s: float) -> int | None:
        """The status that `backend` answers GET `path` with; None when it does not, which is no failure here."""
        if self._session is None:
            raise RuntimeError("the upstream pool is not started")
        key = self.key_of(backend)
        headers = {"Connection": "close"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._session.get(
                    self._url(backend, path, b""), headers=headers, allow_redirects=False
                )
                response.close()
        except (TimeoutError, aiohttp.ClientError, ConnectionError, ValueError):
            return None
        return response.status

    async def accepts(self, backend: Backend, timeout_s: float) -> bool:
        """Whether something takes connections where `backend` is, however busy it may be.

        What takes one and closes it at once is a door with nobody behind it: systemd's or Docker's proxy.
        """
        url = URL(backend.url)
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(url.host, url.port)
        except (TimeoutError, OSError):
            return False
        try:
            async with asyncio.timeout(CLOSED_WITHIN_S):
                return await reader.read(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False
        finally:
            writer.close()

    def _url(self, backend: Backend, path: str, query: bytes) -> URL:
        key = (backend.name, path)
        url = self._urls.get(key)
        if url is None:
            url = self._urls[key] = URL(backend.url + path, encoded=True)
        if query:
            return URL(f"{url}?{query.decode('latin-1')}", encoded=True)
        return url


@contextmanager
def backend_errors(backend: Backend) -> Iterator[None]:
    """Turn aiohttp's exceptions within into ServiceErrors that name `backend`."""
    try:
        yield
    except (aiohttp.ConnectionTimeoutError, aiohttp.ServerTimeoutError) as error:
        raise backend_timeout(backend, "connect") from error
    except aiohttp.ClientConnectorError as error:
        # not the exception's own words: they hold the address, and /health is open
        number = error.os_error.errno or 0
        reason = os.strerror(number).lower() if number > 0 else "no such host"
        raise _unavailable(backend, "connect", f"cannot be reached ({reason})") from error
    except (aiohttp.ClientPayloadError, aiohttp.ClientConnectionError, ConnectionError) as error:
        raise _unavailable(backend, "answer", "broke off in the middle of the request") from error
    except (aiohttp.ClientError, ValueError) as error:
        raise _nonsense(backend, "something that is not HTTP") from error


def backend_timeout(backend: Backend, watch_phase: str, limit_s: float | None = None) -> ServiceError:
    """504 that names the phase: connect, send, first_byte or idle."""
    _failed(backend, watch_phase)
    within = f" within {limit_s:g} s" if limit_s is not None else ""
    did_not = {
        "connect": "accept a connection",
        "send": "take the request",
        "first_byte": "begin to answer",
        "idle": "go on answering",
    }[watch_phase]
    return ServiceError(
        504,
        "backend_timeout",
        f"Backend '{backend.name}' did not {did_not}{within} (phase {watch_phase}).",
        hint="It may be busy or stuck: GET /health shows its state.",
    )


def expired(watch: Watch, backend: Backend | None) -> ServiceError:
    """The error for the phase in which `watch` ran out: the client's fault (408) or the backend's (504)."""
    if backend is None or watch.phase in {"client_body", "client_read"}:
        return ServiceError(
            408,
            "client_too_slow",
            f"The request body did not arrive within {watch.spent_s:g} s.",
            hint="Send it faster, or raise CLIENT_BODY_TIMEOUT_S of the gateway.",
        )
    return backend_timeout(backend, watch.phase, watch.spent_s)


def _unavailable(backend: Backend, phase: str, what: str) -> ServiceError:
    _failed(backend, phase)
    return ServiceError(
        503,
        "backend_unavailable",
        f"Backend '{backend.name}' {what}.",
        hint="It may be starting again: try once more in a moment. GET /health shows its state.",
        retry_after_s=RETRY_AFTER_S,
    )


def _nonsense(backend: Backend, what: str) -> ServiceError:
    _failed(backend, "nonsense")
    return ServiceError(
        502, "bad_backend_answer", f"Backend '{backend.name}' answered {what}.", hint="Its log may tell why."
    )


def _failed(backend: Backend, phase: str) -> None:
    BACKEND_FAILURES.labels(backend.name, phase).inc()
    get_logger().warning("backend_failed", backend=backend.name, phase=phase)
