"""A plan in plain words: its steps, what stays and moves, what keeps answering, what a rollback restores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ai_services.migrate import compose, plan_filter, render
from ai_services.migrate.compose import Derived
from ai_services.migrate.found import API_NAMES, Found, Service, Store
from ai_services.migrate.plan_types import Listener, Step

ROUTES: Final = {
    "seed": "/transcribe, /transcribe/url, /health, /queue/status",
    "whisper_api": "/api/v1/transcribe, /api/v1/translate, /api/v1/status and the rest of /api/v1",
    "speaches": "/v1/audio/transcriptions, /v1/audio/translations, /v1/models",
    "asr": "/asr, /detect-language",
    "unknown": "",
}
_PAGES: Final = {"/", "/docs", "/redoc", "/openapi.json", "/{file_path}"}


def called(service: Service) -> str:
    """Return the service as a person would name it: kind of thing and name."""
    how = {
        "compose_v1": "container {} (docker-compose v1)",
        "compose_v2": "container {} (docker compose)",
        "docker": "container {} (docker run)",
        "systemd": "unit {}.service",
        "venv": "process {}",
    }[service.how]
    return how.format(service.name)


def steps(found: Found, service: Service, settings: Mapping[str, Any], derived: Derived) -> tuple[Step, ...]:
    """Return the steps in the order in which they are done."""
    model = f"{settings.get('ai_whisper_model')}, {settings.get('ai_ollama_model')}"
    redirect = [door for door in derived.listeners if door.takes_over == "redirect"]
    ways = []
    if any(door.takes_over == "site" for door in derived.listeners):
        ways.append("nginx hands the old names to the gateway (a reload)")
    if redirect:
        ports = ", ".join(str(door.port) for door in redirect)
        ways.append(f"new connections to port {ports} go to nginx (one rule of the packet filter), running ones finish")
        ways += filter(None, [plan_filter.opened(found, settings, derived.listeners)])
    tls = settings.get("ai_tls")
    certificate = {
        "letsencrypt": f"a certificate for {settings.get('ai_domain')} from Let's Encrypt by DNS-01 at Cloudflare",
        "own": f"your certificate for {settings.get('ai_domain')}",
        "off": "no certificate: plain HTTP, as you asked",
    }[str(tls)]
    rests = [called(one) for one in (service, found.ollama) if one and one.how != "venv"]
    stay = "stay" if len(rests) > 1 else "stays"
    last = Step("retire", f"{' and '.join(rests)} {stay} stopped and kept, off at boot, until --finalize")
    early = any(site.ollama for site in found.front.of(service))
    ollama = "Ollama says a word; it is beside the old one from step beside on" if early else "Ollama starts"
    return (
        Step("look", "what you see here"),
        Step("plan", "what you see here"),
        Step("lock", "one run at a time on this host"),
        Step("backup", "the old configuration, with checksums, into /opt/ai/migration on the host"),
        Step("prepare", f"packages, Docker, images and models ({model}); nothing stops"),
        Step(
            "beside",
            f"our gateway{' and Ollama start' if early else ' starts'} beside the old service, which stays behind it",
        ),
        Step("front", "; ".join(ways) or "our nginx answers for the new name"),
        Step("certificate", certificate),
        Step("whisper", f"{called(service)} is exchanged for ours while callers wait their turn", waits=True),
        Step("ollama", ollama),
        Step("verify", "asked from outside, as callers do: every route, a real transcription, a real completion"),
        last,
    )


def stays(found: Found, service: Service) -> tuple[str, ...]:
    """Return what is not touched."""
    lines = [f"container {one.name} ({one.image})" for one in found.others if one.state == "running"]
    sites = [site for site in found.front.others(service) if site.names]
    lines += [f"{found.front.kind}'s site {' '.join(site.names)} ({site.file})" for site in sites]
    lines += [f"{store_of(store)} of the old service, with its models" for store in service.stores if store.holds]
    lines += [f"file {path}" for path in service.files]
    nvidia = found.machine.get("nvidia")
    if isinstance(nvidia, Mapping) and nvidia.get("module_version"):
        lines.append(f"NVIDIA driver {nvidia['module_version']}, unless the plan below says otherwise")
    return tuple(lines)


def moves(found: Found, service: Service, settings: Mapping[str, Any], derived: Derived) -> tuple[str, ...]:
    """Return what is ours afterwards."""
    ours = f"whisper-api of ai-services ({settings.get('ai_whisper_model')})"
    lines = [f"{API_NAMES[service.api]} in {called(service)} → {ours}"]
    if found.ollama and found.ollama.how != "venv":
        lines.append(f"Ollama in {called(found.ollama)} → ours, with {settings.get('ai_ollama_model')}")
    lines += [f"{_door(door)} → nginx of ai-services" for door in derived.listeners]
    return tuple(lines)


def answers(service: Service, settings: Mapping[str, Any], derived: Derived) -> tuple[str, ...]:
    """Return what keeps answering, at which door, with or without a key."""
    if service.api == "unknown":
        return ("the routes of the old API end: they are not known here",)
    if service.key_variable:
        key = f"with the key they use today ({service.key_variable}), which is accepted everywhere from now on"
    elif settings.get("ai_old_api_keyless", derived.values.get("ai_old_api_keyless")):
        key = "without a key, as today"
    else:
        key = "with one of the host's keys, which they did not need before"
    lines = [f"{ROUTES[service.api]} at {_door(door)}: {key}" for door in derived.listeners]
    domain = settings.get("ai_domain")
    if domain and service.api == "speaches":
        lines.append(f"/v1/audio/transcriptions at {domain} answers as speaches does, for everybody")
    if domain:
        lines.append(f"everything else of ai-services at {domain}, with a key")
    return tuple(lines)


def ends(service: Service) -> tuple[str, ...]:
    """Return the routes that the old service has and ours will not have (pages for people not counted), and ports."""
    kept = render.kept_routes(service.api) if service.api != "unknown" else []
    routes = [one for one in service.routes if one not in _PAGES and not any(_keeps(each, one) for each in kept)]
    own = compose.speaking(service)
    ports = [
        f"port {port.port}, which is not the API's" for port in service.ports if port.is_public and port not in own
    ]
    return (*routes, *ports)


def _keeps(location: str, route: str) -> bool:
    modifier, _, path = location.partition(" ")
    return route == path if modifier == "=" else route.startswith(path)


def rollback(found: Found, service: Service, settings: Mapping[str, Any], derived: Derived) -> tuple[str, ...]:
    """Return what `--rollback` restores."""
    lines = [
        f"{called(one)} is started again as it was" for one in (service, found.ollama) if one and one.how != "venv"
    ]
    if found.front.kind == "nginx":
        lines.append("nginx's files, byte for byte (checksums are compared)")
    lines.append("ours is removed; packages that were here before stay")
    if plan_filter.opened(found, settings, derived.listeners):
        lines.append("ufw's rules as they were")
    if service.container:
        lines.append(f"image {service.container.image} and its volumes are kept until --finalize")
    return tuple(lines)


def store_of(store: Store) -> str:
    """Return a volume or folder by its name or path."""
    return f"volume {store.name}" if store.kind == "volume" else f"folder {store.path}"


def _door(door: Listener) -> str:
    names = " ".join(name for name in door.names if name != "_") or "any name"
    return f"port {door.port} ({names}{', TLS' if door.certificate else ''})"
