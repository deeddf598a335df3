"""Fetches a recording from a URL, from public servers only.

A URL is somebody's text, so every step is checked: the scheme, the port, each address that the name resolves to,
the address that was really connected to, and all of it again at each redirect. The name is resolved once for a
connection and the connection goes to that answer, so an answer that changes later changes nothing. Proxies,
cookies and credentials are not used, the body is limited while it arrives.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from service_kit.errors import ServiceError
from whisper_api import addresses, storage
from whisper_api.multipart import too_large
from whisper_api.settings import WhisperSettings

if TYPE_CHECKING:
    import aiohttp

Resolver = Callable[[str, int], Awaitable[list[str]]]
MAX_REDIRECTS = 5
MAX_URL_CHARACTERS = 4096
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CHUNK = 256 * 1024


async def system_resolver(host: str, port: int) -> list[str]:
    """Addresses of `host` as the system resolves them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Fetcher:
    """Fetches one file at a time into a given place. `resolver` can be another one for tests."""

    def __init__(self, settings: WhisperSettings, resolver: Resolver = system_resolver) -> None:
        self._allowed = settings.url_allow_private_networks
        self._timeout_s = settings.fetch_timeout_s
        self._connect_timeout_s = settings.fetch_connect_timeout_s
        self._max_bytes = settings.max_upload_bytes
        self._resolver = resolver

    async def fetch(self, url: str, target: Path) -> int:
        """Write what `url` answers to `target`; returns its bytes.

        Raises ServiceError: 400 `url_not_allowed`, `url_unreachable`, `url_status`, 413 `file_too_large`.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._follow(url, target)
        except TimeoutError:
            raise _unreachable(f"it took longer than {self._timeout_s:g} s") from None

    async def _follow(self, url: str, target: Path) -> int:
        for _ in range(MAX_REDIRECTS + 1):
            check_url(url)
            self._check_literal(url)
            answer = await self._get(url, target)
            if isinstance(answer, int):
                return answer
            url = urljoin(url, answer)
        raise _unreachable(f"it redirects more than {MAX_REDIRECTS} times")

    async def _get(self, url: str, target: Path) -> int | str:
        """One request: bytes written, or the address that it redirects to."""
        import aiohttp

        connector = aiohttp.TCPConnector(
            resolver=self._guarded(), socket_factory=self._socket, use_dns_cache=False, force_close=True, limit=1
        )
        timeout = aiohttp.ClientTimeout(total=None, connect=self._connect_timeout_s, sock_read=60)
        headers = {"Accept": "audio/*, video/*, */*;q=0.5", "Accept-Encoding": "identity", "User-Agent": "whisper-api"}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=timeout,
                    trust_env=False,
                    auto_decompress=False,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    max_line_size=16384,
                ) as session,
                session.get(url, allow_redirects=False, headers=headers) as response,
            ):
                if response.status in _REDIRECTS:
                    return response.headers.get("Location") or ""
                return await self._save(response, target)
        except aiohttp.ClientError as error:
            refusal = _cause(error)
            raise refusal or _unreachable(_plain(error)) from error
        except ValueError as error:  # yarl and aiohttp refuse odd URLs this way
            raise _not_allowed("it is not a URL that can be requested") from error

    async def _save(self, response: aiohttp.ClientResponse, target: Path) -> int:
        if response.status != 200:
            raise ServiceError(
                400,
                "url_status",
                f"The server of that URL answered with status {response.status}.",
                hint="Check that the URL gives the recording without signing in.",
                param="url",
            )
        if response.headers.get("Content-Encoding", "identity").lower() not in {"identity", ""}:
            raise _unreachable("its server compresses the answer although asked not to")
        if (response.content_length or 0) > self._max_bytes:
            raise too_large(self._max_bytes)
        written = 0
        with storage.create(target) as file:
            async for chunk in response.content.iter_chunked(_CHUNK):
                written += len(chunk)
                if written > self._max_bytes:
                    raise too_large(self._max_bytes)
                file.write(chunk)
        return written

    def _check_literal(self, url: str) -> None:
        """A host written as an address is not resolved, so it is judged here."""
        host = urlsplit(url).hostname or ""
        address = addresses.parse(host)
        if address is not None:
            if not addresses.may_reach(address, self._allowed):
                raise _not_public()
        elif addresses.is_odd_ipv4(host):
            raise _not_allowed("its address is not written as four decimal numbers")

    def _socket(self, target: tuple[Any, ...]) -> socket.socket:
        """A socket for the very address that is connected to next, or OSError (with a ServiceError as cause)."""
        family, kind, protocol, _, destination = target
        address = addresses.parse(str(destination[0]))
        if address is None or not addresses.may_reach(address, self._allowed):
            raise OSError(None, "not public") from _not_public()
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made

    def _guarded(self) -> aiohttp.abc.AbstractResolver:
        from aiohttp.abc import AbstractResolver, ResolveResult

        outer = self

        class Guarded(AbstractResolver):
            """Gives out an answer only when every address in it may be reached."""

            async def resolve(
                self,
                host: str,
                port: int = 0,
                family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002  (the signature is aiohttp's)
            ) -> list[ResolveResult]:
                return [
                    ResolveResult(
                        hostname=host,
                        host=str(address),
                        port=port,
                        family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                        proto=0,
                        flags=socket.AI_NUMERICHOST,
                    )
                    for address in await outer.permitted(host, port)
                ]

            async def close(self) -> None: ...

        return Guarded()

    async def permitted(self, host: str, port: int) -> list[addresses.Address]:
        """Addresses of `host`. Raises OSError (with a ServiceError as cause) when one of them must not be reached."""
        try:
            answers = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise OSError(None, "the name cannot be resolved") from error
        found = [addresses.parse(answer) for answer in answers]
        permitted = [one for one in found if one is not None and addresses.may_reach(one, self._allowed)]
        if not permitted or len(permitted) != len(found):
            # One bad answer among good ones is a trick, not a mishap.
            raise OSError(None, "not public") from _not_public()
        return permitted


def check_url(url: str) -> None:
    """What can be refused before anything is resolved. Raises ServiceError 400."""
    if len(url) > MAX_URL_CHARACTERS:
        raise _not_allowed(f"it is longer than {MAX_URL_CHARACTERS} characters")
    if any(character.isspace() or ord(character) < 32 or character == "\\" for character in url):
        raise _not_allowed("it holds blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _not_allowed("it is not a valid URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise _not_allowed("only http:// and https:// URLs with a host name are taken")
    if parts.username is not None or parts.password is not None:
        raise _not_allowed("it holds a user name or a password")
    if port is not None and port in addresses.BAD_PORTS:
        raise _not_allowed(f"port {port} is not one where recordings are served")


def _not_allowed(why: str) -> ServiceError:
    return ServiceError(
        400, "url_not_allowed", f"That URL is not fetched: {why}.", hint="Give a public http(s) address.", param="url"
    )


def _not_public() -> ServiceError:
    return ServiceError(
        400,
        "url_not_allowed",
        "That URL is not fetched: it leads to an address that is not public.",
        hint="Upload the file instead, or let the operator name its network in URL_ALLOW_PRIVATE_NETWORKS.",
        param="url",
    )


def _unreachable(why: str) -> ServiceError:
    return ServiceError(
        400, "url_unreachable", f"That URL could not be fetched: {why}.", hint="Check it and try again.", param="url"
    )


def _cause(error: BaseException) -> ServiceError | None:
    """The ServiceError that a resolver's OSError carries through the client library."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ServiceError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def _plain(error: Any) -> str:
    """What went wrong, without the URL, which may hold a secret."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its certificate is not valid"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
        case aiohttp.ClientConnectorError() | aiohttp.ServerTimeoutError():
            return "its server cannot be reached"
        case aiohttp.InvalidURL():
            return "it is not a valid URL"
        case aiohttp.ClientPayloadError() | aiohttp.ServerDisconnectedError():
            return "its server broke off"
        case _:
            return "its server does not speak HTTP properly"
