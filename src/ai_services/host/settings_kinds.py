"""The kinds of value that a host's settings have: each reads what a person wrote, or says what would be right.

A kind is put into a pydantic annotation (`Annotated[int, Whole(0, 600)]`); it takes whatever YAML, an environment
variable or `name=value` on a command line gives, and returns the one form that roles and templates rely on.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import override

# What `ai_allowed_networks` says when everybody may come.
ANY: Final = "any"


def wrong(what: str, right: str) -> PydanticCustomError:
    """Make the error of a value: `what` is wrong with it (goes on after the name), and what would be `right`."""
    return PydanticCustomError("setting", "{what}", {"what": what, "right": right})


@dataclass(frozen=True)
class Kind:
    """A kind of value. `optional`: null, nothing, and the empty text mean "not given"."""

    optional: bool = field(default=False, kw_only=True)
    # How role argument specs call it.
    ansible_type: ClassVar[str] = "str"

    def read(self, value: object) -> Any:
        """Return the value in its one form. Raises what `wrong` makes."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of what may be written."""
        raise NotImplementedError

    def choices(self) -> list[str] | None:
        """Return every allowed value, or None where there are too many."""
        return None

    def words(self) -> str:
        """Say in a few words what may be written, for a table."""
        raise NotImplementedError

    def take(self, value: object) -> Any:
        """Return the value in its one form, or None where it may be left out and is. Raises what `wrong` makes."""
        if value is None or (isinstance(value, str) and not value.strip()):
            if self.optional:
                return None
            raise wrong("has no value", f"Give {self.words()}, or leave it out.")
        return self.read(value.strip() if isinstance(value, str) else value)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.take)

    def json_schema(self) -> dict[str, Any]:
        """Return `schema`, with null where it may be left out."""
        found = self.schema()
        return {"anyOf": [found, {"type": "null"}]} if self.optional else found

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.json_schema()


def shown(value: object) -> str:
    """Quote a value for a message; long ones are cut."""
    text = value if isinstance(value, str) else repr(value)
    return f'"{text[:80]}…"' if len(text) > 80 else f'"{text}"'


@dataclass(frozen=True)
class Choice(Kind):
    """One of a few words. YAML reads a bare `on` or `off` as true or false; that is understood."""

    options: tuple[str, ...]

    def __init__(self, *options: str) -> None:
        object.__setattr__(self, "options", options)
        object.__setattr__(self, "optional", False)

    @override
    def read(self, value: object) -> str:
        if isinstance(value, bool):
            value = {True: "on", False: "off"}[value]
        if isinstance(value, str) and value in self.options:
            return value
        raise wrong(f"{shown(value)} is not one of its values", f"Give {self.words()}.")

    @override
    def schema(self) -> dict[str, Any]:
        # A bare `off` in YAML arrives as false, also in an editor that checks the file.
        bare = [flag for flag, word in ((True, "on"), (False, "off")) if word in self.options]
        return {"enum": [*self.options, *bare]}

    @override
    def choices(self) -> list[str]:
        return list(self.options)

    @override
    def words(self) -> str:
        return either(self.options)


def either(words: tuple[str, ...] | list[str]) -> str:
    """Join words as in "a, b or c"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


@dataclass(frozen=True)
class Whole(Kind):
    """A whole number between two limits, both allowed; `unit` is for messages."""

    least: int
    most: int
    unit: str = ""
    ansible_type: ClassVar[str] = "int"

    @override
    def read(self, value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(f"{shown(value)} is not a whole number", f"Give {self.words()}.")
        if not self.least <= value <= self.most:
            raise wrong(f"{value} is out of range", f"Give {self.words()}.")
        return value

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    @override
    def words(self) -> str:
        return f"{self.least} to {self.most}{f' {self.unit}' if self.unit else ''}"


@dataclass(frozen=True)
class Flag(Kind):
    """True or false."""

    ansible_type: ClassVar[str] = "bool"
    _WORDS: ClassVar[Mapping[str, bool]] = {
        "true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False,
    }  # fmt: skip

    @override
    def read(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in self._WORDS:
            return self._WORDS[value.lower()]
        raise wrong(f"{shown(value)} is neither true nor false", f"Give {self.words()}.")

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    @override
    def words(self) -> str:
        return "true or false"


@dataclass(frozen=True)
class Text(Kind):
    """Text of a certain shape: `what` names it, `pattern` must match the whole, `example` shows one."""

    what: str
    pattern: str
    example: str
    secret: bool = False

    @override
    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong(f"{shown(value)} is not text", f'Write it in quotes, as "{self.example}".')
        if not re.fullmatch(self.pattern, value):
            given = "what was given" if self.secret else shown(value)
            raise wrong(f"{given} is not {self.what}", f"Give {self.words()}.")
        return value

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{self.pattern})$"}

    @override
    def words(self) -> str:
        return f"{self.what}, as {self.example}"


_LABEL: Final = r"(?!-)[a-z0-9-]{1,63}(?<!-)"


@dataclass(frozen=True)
class Domain(Text):
    """A full domain name. Upper case is lowered, as the name system does."""

    what: str = "a full domain name"
    pattern: str = rf"(?=.{{4,253}}$){_LABEL}(?:\.{_LABEL})+"
    example: str = "ai.internal.example.com"

    @override
    def read(self, value: object) -> str:
        if isinstance(value, str):
            value = value.lower().removesuffix(".")
            if "://" in value or "/" in value:
                raise wrong(f"{shown(value)} is an address, not a name", f"Give only the name, as {self.example}.")
            try:
                ipaddress.ip_address(value)
            except ValueError:
                return super().read(value)
            raise wrong(f"{shown(value)} is an IP address; certificates are for names", f"Give {self.words()}.")
        return super().read(value)


@dataclass(frozen=True)
class Url(Kind):
    """The address of a service; only these schemes."""

    schemes: tuple[str, ...] = ("https",)

    @override
    def read(self, value: object) -> str:
        try:
            parts = urlsplit(value) if isinstance(value, str) else None
            good = parts is not None and parts.scheme in self.schemes and bool(parts.hostname) and " " not in str(value)
        except ValueError:
            good = False
        if not good:
            raise wrong(f"{shown(value)} is not the address of a service", f"Give {self.words()}.")
        return str(value)

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": f"^(?:{'|'.join(self.schemes)})://[^ ]+$"}

    @override
    def words(self) -> str:
        return f"an address that begins with {either([f'{scheme}://' for scheme in self.schemes])}"


@dataclass(frozen=True)
class Branch(Kind):
    """`auto`, or the number of a driver branch; in its one form it is text."""

    least: int = 450
    most: int = 999

    @override
    def read(self, value: object) -> str:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if text == "auto" or (isinstance(text, str) and text.isdecimal() and self.least <= int(text) <= self.most):
            return str(text)
        raise wrong(f"{shown(value)} is not a driver branch", f"Give {self.words()}.")

    @override
    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": self.least, "maximum": self.most}]}

    @override
    def words(self) -> str:
        return f"auto or the branch's number ({self.least} to {self.most}), as 580"


@dataclass(frozen=True)
class Several(Kind):
    """A list; `one,two` is understood too, where a list cannot be written."""

    item: Kind
    ansible_type: ClassVar[str] = "list"

    @override
    def read(self, value: object) -> list[Any]:
        if isinstance(value, str):
            value = [part for part in re.split(r"[,\s]+", value.strip("[]")) if part]
        if not isinstance(value, (list, tuple)):
            raise wrong(f"{shown(value)} is not a list", "Give a list in YAML, or values with commas between them.")
        read = [self.item.take(entry) for entry in value]
        return list(dict.fromkeys(read))

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "uniqueItems": True}

    @override
    def words(self) -> str:
        return f"a list; each: {self.item.words()}"


@dataclass(frozen=True)
class Network(Kind):
    """A network in CIDR form, or one address."""

    @override
    def read(self, value: object) -> str:
        try:
            return str(ipaddress.ip_network(str(value)))
        except ValueError:
            pass
        try:
            nearest = str(ipaddress.ip_network(str(value), strict=False))
        except ValueError:
            raise wrong(f"{shown(value)} is not a network", f"Give {self.words()}.") from None
        raise wrong(f"{shown(value)} is an address inside a network", f"Give the network: {nearest}.")

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string"}

    @override
    def words(self) -> str:
        return "a network, as 192.168.20.0/24 or fd00::/8"


@dataclass(frozen=True)
class Networks(Several):
    """Networks, or the one word `any`; in its one form a list, `["any"]` for everybody."""

    item: Kind = field(default_factory=Network)

    @override
    def read(self, value: object) -> list[str]:
        if value in (ANY, [ANY]):
            return [ANY]
        if isinstance(value, (list, tuple)) and ANY in value:
            raise wrong(f'"{ANY}" stands beside networks', f"Give {ANY} alone, or only networks.")
        found = super().read(value)
        if not found:
            raise wrong("is empty: nobody could reach the host", f'Give networks, or "{ANY}" for everybody.')
        return found

    @override
    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"const": ANY}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}

    @override
    def words(self) -> str:
        return f'a list of networks, as 192.168.20.0/24, or "{ANY}"'


@dataclass(frozen=True)
class File(Kind):
    """A file on this machine that is there and can be read; relative ones are meant from where the command is called.

    `holds` is a text that must be in it; `private` refuses a file that every user of this machine may read.
    """

    what: str
    holds: str = ""
    private: bool = False
    most_bytes: int = 1 << 20
    ansible_type: ClassVar[str] = "path"

    @override
    def read(self, value: object) -> str:
        if not isinstance(value, str):
            raise wrong(f"{shown(value)} is not the path of a file", f"Give {self.words()}.")
        path = Path(value).expanduser().absolute()
        if not path.is_file():
            state = "is a directory" if path.is_dir() else "is not there"
            raise wrong(f"{path} {state}", f"Give {self.words()}.")
        try:
            mode, content = path.stat().st_mode, path.read_bytes()[: self.most_bytes]
        except OSError as error:
            raise wrong(f"{path} cannot be read: {error.strerror}", "Let the user who deploys read it.") from None
        if self.private and mode & 0o004:
            raise wrong(f"{path} can be read by every user of this machine", f"Close it: chmod 600 {path}")
        if not content.strip():
            raise wrong(f"{path} is empty", f"Put {self.what} into it.")
        if self.holds.encode() not in content:
            raise wrong(f'{path} holds no "{self.holds}"', f"Give {self.words()}.")
        return str(path)

    @override
    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 1}

    @override
    def words(self) -> str:
        return f"the path of a file on this machine with {self.what}"
