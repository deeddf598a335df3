"""API keys: read from a file or a list, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from service_kit.settings import ServiceSettings


class KeyFileError(Exception):
    """The keys cannot be read; the message says what to do."""


class ApiKeys:
    """The set of keys a service accepts. Holds digests only, never the keys themselves."""

    def __init__(self, keys: Iterable[str]) -> None:
        digests = {hashlib.sha256(key.encode()).digest() for key in keys if key}
        self._known = [(digest, digest.hex()[:8]) for digest in sorted(digests)]

    def __len__(self) -> int:
        return len(self._known)

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> ApiKeys | None:
        """Keys named by `settings`; None when AUTH=off.

        Raises KeyFileError when the file cannot be read or no key is left to accept.
        """
        if settings.auth == "off":
            return None
        keys = [
            *settings.openai_api_keys,
            *settings.api_token,
            *settings.text_gen_api_token,
            *settings.ai_service_token,
        ]
        if settings.api_keys_file is not None:
            keys += read_key_file(settings.api_keys_file)
        if not keys:
            raise KeyFileError("no API key is set: name a file with one key a line in API_KEYS_FILE, or say AUTH=off")
        return cls(keys)

    @classmethod
    def of_admins(cls, path: Path, others: ApiKeys | None) -> ApiKeys:
        """Admin keys in `path`. Raises KeyFileError when there is none, or one that is among `others` as well."""
        admins = cls(read_key_file(path))
        if not len(admins):
            raise KeyFileError(f"{path} holds no admin key: write one into its first line, or do not name the file")
        if others is not None and {digest for digest, _ in admins._known} & {digest for digest, _ in others._known}:
            raise KeyFileError(f"a key in {path} is an ordinary key as well: give the administrator one of their own")
        return admins

    def match(self, authorization: bytes | None) -> str | None:
        """Id of the key in an Authorization header (first 8 hex digits of its SHA-256), or None.

        Takes `Bearer KEY`, and `Basic` with the key as password so that a browser can open /docs. Every known
        key is compared, whichever matches, so that the time taken tells nothing.
        """
        presented = _presented_key(authorization)
        if presented is None:
            return None
        digest = hashlib.sha256(presented).digest()
        found = None
        for known, key_id in self._known:
            if hmac.compare_digest(known, digest):
                found = key_id
        return found


def read_key_file(path: Path) -> list[str]:
    """Keys in `path`, one a line; blank lines and lines starting with # are left out. Raises KeyFileError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"cannot read the API keys in {path}: {error}. Check the path and its owner.") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _presented_key(authorization: bytes | None) -> bytes | None:
    if authorization is None or len(authorization) > 8192:
        return None
    scheme, _, value = authorization.partition(b" ")
    value = value.strip()
    match scheme.lower():
        case b"bearer":
            return value
        case b"basic":
            try:
                return base64.b64decode(value, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                return None
    return None
