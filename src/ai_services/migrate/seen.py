"""What a look brought back, made safe to read: whatever is not of the expected form is dropped, and noted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Published(_Part):
    """A container's port on the host."""

    address: str
    port: int
    inside: int


class Mount(_Part):
    """A volume or folder in a container."""

    kind: str = ""
    name: str = ""
    path: str = ""
    target: str = ""


class Compose(_Part):
    """Compose's labels."""

    project: str = ""
    service: str = ""
    version: str = ""
    folder: str = ""
    files: str = ""
    environment_file: str = ""

    def paths(self) -> tuple[str, ...]:
        """Return the compose files and the environment file, absolute."""
        names = [*self.files.split(","), *self.environment_file.split(",")]
        return tuple(name if name.startswith("/") else f"{self.folder}/{name}" for name in names if name)


class Container(_Part):
    """A container as the engine inspects it."""

    id: str
    name: str
    image: str = ""
    image_id: str = ""
    state: str = ""
    pid: int = 0
    restart: str = "no"
    auto_remove: bool = False
    command: list[str] = Field(default_factory=list)
    network_mode: str = ""
    addresses: list[str] = Field(default_factory=list)
    gpu: bool = False
    ports: list[Published] = Field(default_factory=list)
    exposed: list[int] = Field(default_factory=list)
    mounts: list[Mount] = Field(default_factory=list)
    environment: dict[str, str] = Field(default_factory=dict)
    environment_names: list[str] = Field(default_factory=list)
    compose: Compose = Field(default_factory=Compose)
    traefik: dict[str, str] = Field(default_factory=dict)


class Venv(_Part):
    """A virtual environment, with the packages that tell what runs in it."""

    path: str = ""
    packages: dict[str, str] = Field(default_factory=dict)


class Listener(_Part):
    """A listening TCP socket and its process."""

    port: int
    address: str
    process: str | None = None
    pid: int | None = None
    command: list[str] = Field(default_factory=list)
    executable: str = ""
    folder: str = ""
    user: str = ""
    memory_mib: int | None = None
    unit: str = ""
    container: str = ""
    environment: dict[str, str] = Field(default_factory=dict)
    environment_names: list[str] = Field(default_factory=list)
    venv: Venv = Field(default_factory=Venv)


class Unit(_Part):
    """A systemd service."""

    name: str
    file: str
    drop_ins: list[str] = Field(default_factory=list)
    environment_files: list[str] = Field(default_factory=list)
    active: str = ""
    enabled: str = ""
    user: str = ""
    folder: str = ""
    command: list[str] = Field(default_factory=list)
    pid: int = 0
    environment: dict[str, str] = Field(default_factory=dict)
    environment_names: list[str] = Field(default_factory=list)
    text: str = ""


class Answer(_Part):
    """What one path answered."""

    status: int = 0
    server: str = ""
    title: str = ""
    version: str = ""
    paths: list[str] = Field(default_factory=list)
    models: list[str] = Field(default_factory=list)
    content: dict[str, Any] = Field(default_factory=dict, alias="json")


class Certificate(_Part):
    """A certificate's content."""

    path: str
    names: list[str] = Field(default_factory=list)
    not_after: str = ""
    issuer: str = ""
    lineage: str = ""


class Client(_Part):
    """Who is connected."""

    address: str
    port: int
    count: int


class Nginx(_Part):
    """An nginx, its whole configuration as it reads it."""

    version: str = ""
    sound: bool = False
    error: str = ""
    files: dict[str, str] = Field(default_factory=dict)
    links: dict[str, str] = Field(default_factory=dict)


class Store(_Part):
    """A folder's size, and whose models it holds."""

    size_mib: int | None = None
    holds: str = ""
    models: list[str] = Field(default_factory=list)


class CaddyRoute(_Part):
    """A route as Caddy's adapter reads it."""

    listen: list[str] = Field(default_factory=list)
    names: list[str] = Field(default_factory=list)
    targets: list[str] = Field(default_factory=list)


class Other(_Part):
    """Another proxy: its version and files."""

    version: str = ""
    sound: bool | None = None
    files: dict[str, str] = Field(default_factory=dict)
    routes: list[CaddyRoute] = Field(default_factory=list)


Form = TypeVar("Form", bound=BaseModel)


class Seen:
    """The answer of a look. `odd` names what was there and not of the expected form."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self._raw = raw
        self.odd: dict[str, str] = {}

    def rows(self, name: str, form: type[Form]) -> list[Form]:
        """Return the well-formed entries of a list."""
        value = self._raw.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.odd[name] = "not a list"
            return []
        return [row for row in (self._read(name, entry, form) for entry in value) if row is not None]

    def table(self, name: str, form: type[Form]) -> dict[str, Form]:
        """Return the well-formed entries of an object, by name."""
        found = ((key, self._read(name, entry, form)) for key, entry in self.mapping(name).items())
        return {key: entry for key, entry in found if entry is not None}

    def one(self, name: str, form: type[Form]) -> Form | None:
        """Return one entry, None where it is not there or of another form."""
        value = self._raw.get(name)
        return None if value is None else self._read(name, value, form)

    def mapping(self, name: str) -> dict[str, Any]:
        """Return an object as it is, {} where there is none."""
        value = self._raw.get(name)
        if value is not None and not isinstance(value, dict):
            self.odd[name] = "not an object"
        return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else {}

    def entries(self, name: str) -> list[Any]:
        """Return a list as it is, [] where there is none."""
        value = self._raw.get(name)
        return value if isinstance(value, list) else []

    def text(self, name: str) -> str:
        """Return a text, "" where there is none."""
        value = self._raw.get(name)
        return value if isinstance(value, str) else ""

    def answers(self) -> dict[str, dict[str, Answer]]:
        """Return by "address:port" what each path answered."""
        return {
            place: {path: answer for path, one in said.items() if (answer := self._read("answers", one, Answer))}
            for place, said in self.mapping("answers").items()
            if isinstance(said, dict)
        }

    def _read(self, name: str, value: Any, form: type[Form]) -> Form | None:
        try:
            return form.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            self.odd[name] = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            return None
