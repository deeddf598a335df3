"""The kinds of value that describe the doors of an old API, which stay open after a migration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from typing_extensions import override

from ai_services.host.settings_kinds import Kind, Several, Text, shown, wrong

_DOOR_PATH: Final = r"/[A-Za-z0-9._/@+-]+"


@dataclass(frozen=True)
class Door(Text):
    """A port of an old API with the names it answers to (`_`: any) and its certificate, as one text.

    `{port: 443, names: [a.example.com], certificate: /path, key: /path}` is understood too.
    """

    what: str = "a port, then the names it answers to, then certificate=/path key=/path if it speaks TLS"
    pattern: str = (
        r"[1-9][0-9]{0,4}(?: (?:_|(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))*"
        rf"(?: certificate={_DOOR_PATH} key={_DOOR_PATH})?"
    )
    example: str = "443 whisper.example.com certificate=/etc/ssl/w.pem key=/etc/ssl/w.key"

    @override
    def read(self, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, Mapping):
            unknown = set(value) - {"port", "names", "certificate", "key"}
            if unknown or "port" not in value:
                raise wrong(f"{shown(dict(value))} is not a door of an old API", f"Give {self.words()}.")
            parts = [value["port"], *(value.get("names") or ())]
            parts += [f"{name}={value[name]}" for name in ("certificate", "key") if value.get(name)]
            value = " ".join(map(str, parts))
        text = super().read(value)
        if not 1 <= int(text.split(" ", 1)[0]) <= 65535:
            raise wrong(f"{shown(text)} has no port between 1 and 65535", f"Give {self.words()}.")
        return text


@dataclass(frozen=True)
class Doors(Several):
    """Doors of an old API."""

    item: Kind = field(default_factory=Door)

    @override
    def read(self, value: object) -> list[str]:
        if isinstance(value, str):  # from the environment or --set, where a list cannot be written
            value = [part.strip() for part in value.strip("[]").split(",") if part.strip()]
        return [str(entry) for entry in super().read(value)]
