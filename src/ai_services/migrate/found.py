"""What is on a host before it is migrated: values only, as JSON and back, so that a second machine can go on.

No secret is in here: of environments the names, and the values only of variables that are known to hold none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Api = Literal["seed", "whisper_api", "speaches", "asr", "unknown"]
How = Literal["compose_v1", "compose_v2", "docker", "systemd", "venv"]
FrontKind = Literal["nginx", "caddy", "apache", "traefik", "none"]

API_NAMES: Mapping[Api, str] = {
    "seed": "the whisper-api of ai-services' first version",
    "whisper_api": "mayniklas/whisper_api",
    "speaches": "speaches (faster-whisper-server)",
    "asr": "onerahmet/openai-whisper-asr-webservice",
    "unknown": "an API that is not known here",
}


@dataclass(frozen=True)
class Fact:
    """One statement, and what it rests on: a file and line, a command's answer, an address that answered."""

    what: str
    evidence: str


@dataclass(frozen=True)
class Port:
    """Where something listens. `address` is as `ss` has it (0.0.0.0, ::, 127.0.0.1); `inside`: the container's port.

    `inner`: on Docker's bridge, where only this host and its containers come.
    """

    address: str
    port: int
    inside: int | None = None
    inner: bool = False

    @property
    def is_public(self) -> bool:
        """Whether other machines may reach it."""
        return (
            not self.inner and not self.address.startswith("127.") and self.address not in ("::1", "[::1]", "localhost")
        )

    @property
    def local_url(self) -> str:
        """The URL under which this very host reaches it."""
        anywhere = {"0.0.0.0": "127.0.0.1", "*": "127.0.0.1", "": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104  # compared
        address = anywhere.get(self.address, self.address)
        return f"http://{f'[{address}]' if ':' in address and not address.startswith('[') else address}:{self.port}"


@dataclass(frozen=True)
class Store:
    """A volume or folder that outlives its container. `holds`: whose models, "" if none."""

    kind: Literal["volume", "bind", "folder"]
    name: str
    path: str
    target: str = ""
    size_mib: int | None = None
    holds: Literal["", "huggingface", "whisper", "ollama"] = ""
    models: tuple[str, ...] = ()


@dataclass(frozen=True)
class Container:
    """A container of the host, running or not. `restart` is its policy, as `docker update` takes it; `compose_*` are
    Compose's labels; `auto_remove`: it is gone once it stops.
    """

    id: str
    name: str
    image: str
    image_id: str
    state: str
    restart: str = "no"
    auto_remove: bool = False
    command: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    stores: tuple[Store, ...] = ()
    network_mode: str = ""
    gpu: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_names: tuple[str, ...] = ()
    compose_project: str = ""
    compose_service: str = ""
    compose_version: str = ""
    compose_folder: str = ""
    compose_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """A systemd service. `file` is its unit file, `parts` the drop-ins and environment files that belong to it."""

    name: str
    file: str
    parts: tuple[str, ...] = ()
    active: bool = False
    enabled: bool = False
    user: str = ""
    folder: str = ""
    command: str = ""


@dataclass(frozen=True)
class Service:
    """A running service that answers HTTP: a speech API, or Ollama (then `api` is "unknown", `is_ollama` true).

    `name` is what `--service` takes: the container's, unit's or process' name. `files` are the paths that describe how
    it is started (compose, .env, unit, drop-ins): what a backup saves. `key_variable` names the environment variable
    with the key that it asks its callers for, "" if it asks for none. `process` is the main PID where no container is.
    `engine`: what holds it where that is a container of another engine than the host's Docker.
    """

    name: str
    api: Api
    how: How
    ports: tuple[Port, ...]
    container: Container | None = None
    unit: Unit | None = None
    process: int | None = None
    command: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    stores: tuple[Store, ...] = ()
    model: str = ""
    version: str = ""
    key_variable: str = ""
    is_ollama: bool = False
    healthy: bool | None = None
    routes: tuple[str, ...] = ()
    memory_mib: int | None = None
    engine: str = ""
    facts: tuple[Fact, ...] = ()

    @property
    def port(self) -> Port | None:
        """Where it is reached: the port that others see, if there is one."""
        return next((port for port in self.ports if port.is_public), self.ports[0] if self.ports else None)


@dataclass(frozen=True)
class Certificate:
    """A certificate on the host. `lineage` is certbot's name for it, "" if it is not certbot's; `not_after` ISO UTC."""

    path: str
    key: str
    names: tuple[str, ...] = ()
    not_after: str = ""
    issuer: str = ""
    lineage: str = ""


@dataclass(frozen=True)
class Site:
    """One server block (nginx), site (Caddy), virtual host (Apache) or router (Traefik).

    `file` is the real file, `link` what points to it (sites-enabled); `line` the first line of the block. `targets` are
    the URLs that it hands requests to, by location; `serves` names the service (`Service.name`) behind it, or "".
    `redirects`: it only sends to https; `others`: its locations that are not the service's, in a site that serves it.
    `ollama`: its locations that lead to Ollama; `moved`: locations below which the service is reached by other paths
    than its own; `guards`: directives by which the site lets in some and not others.
    """

    file: str
    line: int
    names: tuple[str, ...]
    listens: tuple[Port, ...] = ()
    tls: bool = False
    certificate: str = ""
    key: str = ""
    targets: Mapping[str, str] = field(default_factory=dict)
    serves: str = ""
    link: str = ""
    default: bool = False
    redirects: bool = False
    others: tuple[str, ...] = ()
    ollama: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()


@dataclass(frozen=True)
class Front:
    """What takes requests from outside. `how` is its unit's name or `container NAME`; `texts` holds the site files."""

    kind: FrontKind = "none"
    version: str = ""
    how: str = ""
    config: str = ""
    sites: tuple[Site, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    sound: bool | None = None
    facts: tuple[Fact, ...] = ()

    def of(self, service: Service) -> tuple[Site, ...]:
        """Return the sites that hand requests to `service`."""
        return tuple(site for site in self.sites if site.serves == service.name)

    def others(self, service: Service) -> tuple[Site, ...]:
        """Return the sites that have nothing to do with `service`: they survive untouched."""
        return tuple(site for site in self.sites if site.serves != service.name)


@dataclass(frozen=True)
class Client:
    """Who is connected: `count` connections from `address` to the local `port`."""

    address: str
    port: int
    count: int


@dataclass(frozen=True)
class Found:
    """All of it. `service` is the one to migrate: None while several (or none) may be meant; `candidates` are those.

    `machine` holds the doctor's facts as they came (system, disks, pci, nvidia, docker, ports, …). `migration` is the
    id of a migration that was noted here, `release` the running release of ours. `room`: what could be freed, by how
    (MiB); `texts`: compose and environment files by path, without what looks like a secret. `cloudflare`: the path of
    certbot's file with a token for Cloudflare, if there is one. `packet_filter`: "ufw", "drop" (rules of the owner's
    own, which drop what they do not let in) or "", and what that rests on.
    """

    host: str
    looked_at: str
    service: Service | None
    candidates: tuple[Service, ...] = ()
    ollama: Service | None = None
    front: Front = field(default_factory=Front)
    containers: tuple[Container, ...] = ()
    units: tuple[Unit, ...] = ()
    clients: tuple[Client, ...] = ()
    machine: Mapping[str, Any] = field(default_factory=dict)
    room: Mapping[str, int] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    cloudflare: str = ""
    release: str = ""
    migration: str = ""
    packet_filter: str = ""
    packet_filter_seen: str = ""
    unseen: tuple[Fact, ...] = ()

    @property
    def others(self) -> tuple[Container, ...]:
        """Containers that are neither the service, nor Ollama, nor the front: they survive untouched."""
        used = {one.container.name for one in (self.service, self.ollama) if one and one.container}
        return tuple(
            one for one in self.containers if one.name not in used and f"container {one.name}" != self.front.how
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values; `Found.read` makes the same of it again."""
        return asdict(self)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> Found:
        """Return what `as_dict` gave, checked. Raises pydantic's ValidationError where it is something else."""
        return _adapter().validate_python(content)


@cache
def _adapter() -> TypeAdapter[Found]:
    from pydantic import TypeAdapter

    return TypeAdapter(Found)
