"""The settings of the host that it becomes: what was given, and under it what was found there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ai_services.host.values import Given
from ai_services.migrate.found import Found, Port, Service, Site
from ai_services.migrate.plan_types import Listener

_HTTPS: Final = 443


@dataclass
class Derived:
    """Values by setting's name, each with its reason, and the doors that stay open.

    `adopted`: by setting, the host's file of which the setting's is a copy.
    """

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    adopted: dict[str, str] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()

    def put(self, name: str, value: Any, reason: str) -> None:
        """Take a value that was found."""
        self.values[name], self.reasons[name] = value, reason

    def under(self, given: Given) -> Given:
        """Return both, what was given on top."""
        places = {name: f"found on the host: {reason}" for name, reason in self.reasons.items()}
        return Given({**self.values, **given.values}, {**places, **given.places})


def derive(found: Found, service: Service, given: Mapping[str, Any], *, ask_key: bool = False) -> Derived:
    """Return what the host itself tells of its settings; `given` are those that need not be derived.

    `ask_key`: the old routes ask for a key from now on; by itself they go on as they were.
    """
    derived = Derived()
    if "ai_domain" not in given and (site := _main_site(found, service)):
        derived.put("ai_domain", site.names[0], f"{site.file}:{site.line} serves it")
    domain = given.get("ai_domain") or derived.values.get("ai_domain")
    ours = str(domain) if domain and given.get("ai_tls") != "off" else ""
    derived.listeners = doors(found, service, ours)
    if "ai_whisper_model" not in given and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", service.model):
        derived.put("ai_whisper_model", service.model, "the model of the old service")
    environment = service.container.environment if service.container else {}
    idle = environment.get("UNLOAD_MODEL_AFTER_S") or environment.get("WHISPER__TTL") or ""
    if "ai_whisper_unload_after_s" not in given and idle.isdigit():
        derived.put("ai_whisper_unload_after_s", int(idle), "the old service gave its memory back after that")
    if service.api != "unknown":
        derived.put("ai_old_api", [service.api], "its routes go on answering")
        keyless = not service.key_variable and not ask_key
        why = "the old service asked nobody for a key" if keyless else "they ask for a key"
        derived.put("ai_old_api_keyless", keyless, why)
        derived.put("ai_old_api_listeners", [door.as_setting() for door in derived.listeners], "the doors it has today")
    port = service.port
    if port and port.is_public:
        url = f"http://host.docker.internal:{port.port}"
        derived.put("ai_old_api_url", url, "where the old service listens")
    return derived


def doors(found: Found, service: Service, ours: str = "") -> tuple[Listener, ...]:
    """Return the doors of the old API: each port with the names and the certificate that it has there.

    A site that only sends the name `ours` to https is none: our own site does so from then on.
    """
    kept: dict[tuple[int, str], Listener] = {}
    for site in found.front.of(service) if found.front.kind == "nginx" else ():
        if site.redirects and set(site.names) <= {ours} and ours:
            continue
        for port in site.listens:
            tls = site.tls and (port.port == _HTTPS or not any(one.port == _HTTPS for one in site.listens))
            tls = tls and plain_path(site.certificate) and plain_path(site.key)  # else plan_doors refuses
            names = [name for name in site.names if plain_name(name)]
            names += ["_"] if site.default or not site.names else []
            before = kept.get((port.port, site.certificate if tls else ""))
            kept[port.port, site.certificate if tls else ""] = Listener(
                port.port,
                tuple(dict.fromkeys([*(before.names if before else ()), *names])),
                site.certificate if tls else None,
                site.key if tls else None,
            )
    taken = {port for port, _ in kept}
    for port in speaking(service):
        if port.is_public and port.port not in taken:
            kept[port.port, ""] = Listener(port.port, takes_over="redirect")
    return tuple(kept[key] for key in sorted(kept))


def plain_name(name: str) -> bool:
    """Whether a server's name is one that a door can have: no pattern but `*.` before it."""
    return re.fullmatch(r"(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", name) is not None


def plain_path(path: str) -> bool:
    """Whether it is one file's whole path, without variables or blanks."""
    return re.fullmatch(r"/[A-Za-z0-9._/@+-]+", path) is not None


def speaking(service: Service) -> tuple[Port, ...]:
    """Return the ports of the API itself; a container may publish others (metrics, a page) beside it."""
    first = service.ports[0] if service.ports else None
    return tuple(port for port in service.ports if first and port.inside == first.inside)


def _main_site(found: Found, service: Service) -> Site | None:
    """Return the site whose name is the host's: the one with TLS, if there is one and its name is a whole one."""
    sites = [site for site in found.front.of(service) if site.names and re.match(r"[a-z0-9]", site.names[0])]
    sites = [site for site in sites if "." in site.names[0]]
    return next((site for site in sites if site.tls), sites[0] if sites else None)
