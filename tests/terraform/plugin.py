"""What the stand-ins of Terraform providers share: nested attributes, an HTTP client, and their installation.

They are written with PyPI's `tf`, which speaks Terraform's plugin protocol (version 6). It lacks nested attributes
(`filter = { name = "example.com" }`): `Nested` adds them.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tf.gen import tfplugin_pb2 as wire
from tf.schema import Attribute
from tf.types import Set, String, Unknown
from typing_extensions import override

TESTS: Final = Path(__file__).resolve().parents[1]
_RETRIED: Final = (408, 409, 429)


class Nested(Attribute):
    """An attribute that is an object (`{…}`) or a list of objects, with attributes of its own."""

    def __init__(self, name: str, attributes: Sequence[Attribute], *, many: bool = False, **kind: Any) -> None:
        super().__init__(name, String(), **kind)
        self.attributes, self.many = list(attributes), many
        self.type = _AsItIs()

    @override
    def to_pb(self) -> Any:
        mode = wire.Schema.Object.NestingMode
        return wire.Schema.Attribute(
            name=self.name,
            nested_type=wire.Schema.Object(
                attributes=[attribute.to_pb() for attribute in self.attributes],
                nesting=mode.LIST if self.many else mode.SINGLE,
            ),
            required=self.required or None,
            optional=self.optional or None,
            computed=self.computed or None,
        )

    def blank(self) -> dict[str, Any]:
        """An object with none of its attributes set."""
        return dict.fromkeys(attribute.name for attribute in self.attributes)


class _AsItIs(String):
    """Objects travel as they are."""


class Texts(Set):
    """A set of strings; the library's own cannot be compared with one that is null."""

    def __init__(self) -> None:
        super().__init__(String())

    @override
    def semantically_equal(self, a_decoded: Any, b_decoded: Any) -> bool:
        if isinstance(a_decoded, list) and isinstance(b_decoded, list):
            return sorted(a_decoded) == sorted(b_decoded)
        return a_decoded is b_decoded


class Api:
    """A client of a JSON API with a bearer token; retries what may pass, as the providers' own clients do."""

    def __init__(self, base_url: str, token: str, *, attempts: int = 3, first_wait_s: float = 0.5) -> None:
        self.base_url, self.token = base_url.rstrip("/"), token
        self.attempts, self.first_wait_s = attempts, first_wait_s

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON. Raises ApiError."""
        request = urllib.request.Request(
            f"{self.base_url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        for attempt in range(self.attempts):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    found: dict[str, Any] = json.loads(answer.read() or b"{}")
                    return found
            except urllib.error.HTTPError as error:
                said = ApiError(
                    method, request.full_url, error.code, error.reason, error.read().decode(errors="replace")
                )
                if attempt + 1 == self.attempts or (error.code < 500 and error.code not in _RETRIED):
                    raise said from None
            except OSError as error:
                if attempt + 1 == self.attempts:
                    raise ApiError(method, request.full_url, 0, str(error), "") from None
            time.sleep(self.first_wait_s * 2**attempt)
        raise AssertionError("the last attempt answers or raises")


class ApiError(Exception):
    """An API's refusal, in the words of the providers' clients. `status` 0 is no answer at all."""

    def __init__(self, method: str, url: str, status: int, reason: str, body: str) -> None:
        super().__init__(f'{method} "{url}": {status} {reason} {body}' if status else f'{method} "{url}": {reason}')
        self.status, self.body = status, body


def unset(value: Any) -> bool:
    """Whether a value is null or not known yet."""
    return value is None or value is Unknown


def install(mirror: Path, address: str, version: str, module: str) -> Path:
    """Put a stand-in into a filesystem mirror as `address` (`registry.terraform.io/cloudflare/cloudflare`).

    Its executable starts `python -m module` of this checkout. Returns the executable.
    """
    name = address.rpartition("/")[2]
    platform = f"{'darwin' if sys.platform == 'darwin' else 'linux'}_{_machine()}"
    executable = mirror / address / version / platform / f"terraform-provider-{name}_v{version}"
    executable.parent.mkdir(parents=True, exist_ok=True)
    python, tests = shlex.quote(sys.executable), shlex.quote(str(TESTS))
    executable.write_text(f'#!/bin/sh\nPYTHONPATH={tests} exec {python} -m {module} "$@"\n')
    executable.chmod(0o755)
    return executable


def _machine() -> str:
    return "arm64" if os.uname().machine in {"aarch64", "arm64"} else "amd64"
