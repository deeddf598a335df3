"""What is in the way of a migration: each with what is so, why it matters, and the way out."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai_services.host.plan_types import Notes
from ai_services.migrate.found import Found, Service
from ai_services.migrate.plan_types import Room

_OUR_NAMES: Final = ("gateway", "whisper-api", "ollama")
_OUR_VOLUMES: Final = ("ollama", "huggingface")
_OUR_PORTS: Final = (8080, 8081)
_EXPIRES_SOON: Final = datetime.timedelta(days=3)


def refuse_room(room: Room, settings: Mapping[str, Any], notes: Notes) -> None:
    """Refuse a disk that is too small, with what is needed for what, and what could be freed."""
    parts = ", ".join(f"{name} {_gib(size)}" for name, size in room.parts.items())
    free = "; ".join(f"{name}: {_gib(size)}" for name, size in room.could_free.items())
    missing = room.need_mib - (room.free_mib or 0)
    ways = {
        "unused images": "docker image prune -a", "build cache": "docker builder prune",
        "stopped containers": "docker container prune", "apt's package cache": "apt-get clean",
        "the journal": "journalctl --vacuum-size=100M",
    }  # fmt: skip
    first = [ways[name] for name in room.could_free if name in ways]
    notes.refuse(
        "disk",
        f"{room.mount} has {_gib(room.free_mib)} free; {_gib(room.need_mib)} are needed before anything stops, "
        f"{_gib(missing)} more than there are.",
        f"Needed: {parts}. "
        + (f"Could be freed there: {free}." if free else "Nothing was seen that could be freed easily."),
        (f"Look at each before you run it, there: {'; '.join(first)}. " if first else "")
        + f"Or choose smaller models (ai_ollama_model={settings.get('ai_ollama_model')}, "
        f"ai_whisper_model={settings.get('ai_whisper_model')}), or give the machine a larger disk.",
    )


def refuse_docker(found: Found, notes: Notes) -> None:
    """Refuse an engine that is too old: it cannot be exchanged while callers are served."""
    version = (found.machine.get("docker") or {}).get("version")
    running = ", ".join(one.name for one in found.containers if one.state == "running")
    notes.refuse(
        "docker_old", f"Docker {version} is installed, and engines before 24 get no security fixes.",
        f"Exchanging the engine restarts every container ({running}), which no caller could be spared.",
        "Do it at a time of your choosing: Docker's own repository (docs.docker.com/engine/install), packages "
        "docker-ce and docker-compose-plugin in place of docker.io; volumes and containers stay. Then run this again.",
    )  # fmt: skip


def _gib(mib: int | None) -> str:
    return f"{(mib or 0) / 1024:.1f} GiB" if (mib or 0) >= 1024 else f"{mib} MiB"


def check_service(found: Found, service: Service, notes: Notes) -> None:
    """Look at the old service itself, and at what has the names of ours."""
    if service.api == "unknown":
        notes.warn(
            "unknown_api", f"{service.name} has an API that is not known here.",
            "Its routes cannot be kept: it is stopped at the end, and its callers have to change.",
            "Tell its callers first; --rollback brings it back until --finalize.",
        )  # fmt: skip
    if service.healthy is False:
        notes.warn(
            "not_healthy", f"{service.name} does not answer its own health check.",
            "What it answers today cannot be compared with what ours will.", "See whether it works before you go on.",
        )  # fmt: skip
    if service.how == "venv" and service.engine:
        notes.refuse(
            "other_engine", f"{service.name} runs in a container of {service.engine}.",
            "Only containers of the host's own Docker are understood: nothing here could start it for a rollback.",
            "Give it a systemd unit (podman generate systemd, or a Quadlet), start it by that, and run this again.",
        )  # fmt: skip
    elif service.how == "venv":
        notes.refuse(
            "by_hand", f"{service.name} (process {service.process}) was started by hand: neither unit nor container.",
            "It could be stopped, and nothing here could start it again for a rollback.",
            "Give it a systemd unit, start it by that, and run this again.",
        )  # fmt: skip
    for goes in filter(None, (service, found.ollama)):
        if goes.container and goes.container.auto_remove:
            notes.refuse(
                "auto_remove", f"The container {goes.name} is gone as soon as it stops (docker run --rm).",
                "Nothing would be left of it that a rollback could start.",
                "Start it anew without --rm, at a time of your choosing, and run this again.",
            )  # fmt: skip
    if service.port is None:
        notes.refuse(
            "no_port", f"{service.name} listens on no TCP port that could be seen.",
            "Without it, it is not known what its callers use.", "Start it, and run this again.",
        )  # fmt: skip
    if found.release:
        notes.refuse(
            "already_ours", f"Release {found.release} of ai-services serves on this host already.",
            "A migration is for a host that has none.", "Bring it up to date: ./ai upgrade HOST, or ./ai deploy HOST",
        )  # fmt: skip
    for store in [store for one in found.containers for store in one.stores]:
        if store.kind == "volume" and store.name in _OUR_VOLUMES:
            notes.warn(
                "same_volume", f"The volume {store.name} is in use here, and ours has that name.",
                "Ours takes it over with the models in it; its files get another owner, which a program that runs as "
                "root does not mind.",
                "Nothing to do; or copy it to another name first, if other programs than root's read it.",
            )  # fmt: skip
    own = [one for one in found.containers if one.name in _OUR_NAMES and one.name != service.name]
    own = [one for one in own if found.ollama is None or one.name != found.ollama.name]
    for one in own:
        notes.refuse(
            "name_taken", f"A container named {one.name} is here, and it is no part of the service.",
            "One of ours has that name.", f"Rename it, if it may be: docker rename {one.name} {one.name}-old",
        )  # fmt: skip
    if service.container and service.container.restart == "no" and not service.container.compose_project:
        notes.warn(
            "no_restart", f"{service.name} does not come back after a reboot (its restart policy is no).",
            "If the host reboots before our engine has taken over, the old one stays down.",
            f"Nothing to do, or: docker update --restart unless-stopped {service.name}",
        )  # fmt: skip


def check_model(service: Service, settings: Mapping[str, Any], notes: Notes) -> None:
    """Warn where ours cannot do what the old model could: turbo was never taught to translate."""
    model = str(settings.get("ai_whisper_model"))
    if "turbo" not in model or "turbo" in service.model or service.model.endswith(".en") or service.api == "unknown":
        return
    if service.api != "seed":
        notes.warn(
            "no_translation", f"{model} cannot translate, and the old service may have been asked to.",
            f"Its model is {service.model or 'not told by anything here'}; requests for a translation get an error.",
            "If callers translate: --set ai_whisper_model=large-v3",
        )  # fmt: skip


def check_routes(service: Service, ends: Sequence[str], notes: Notes) -> None:
    """Warn of routes that end."""
    if ends and service.api != "unknown":
        notes.warn(
            "routes_end", f"Of {service.name} this ends: {', '.join(ends[:8])}{' …' if ends[8:] else ''}.",
            "Ours answers what transcribes and translates, and nothing else of the old service.",
            "See whether any caller uses them before you go on.",
        )  # fmt: skip


def check_guards(found: Found, service: Service, settings: Mapping[str, Any], notes: Notes) -> None:
    """Refuse to open to everybody what the old site kept closed."""
    guarded = [site for site in found.front.of(service) if site.guards and not site.redirects]
    if guarded and settings.get("ai_old_api_keyless"):
        names = sorted({name for site in guarded for name in site.guards})
        notes.refuse(
            "guarded_site",
            f"The site {' '.join(guarded[0].names) or 'without a name'} ({guarded[0].file}:{guarded[0].line}) lets in "
            f"some and not others ({', '.join(names)}).",
            "Ours knows keys and networks; without a key the old routes would be open to all of ai_allowed_networks.",
            "Let callers give one of the host's keys from then on: --ask-key",
        )  # fmt: skip


def check_ollama(found: Found, service: Service, settings: Mapping[str, Any], notes: Notes) -> None:
    """Refuse to ask callers of Ollama for a key all of a sudden; warn of its port, which closes."""
    sites = [site for site in found.front.of(service) if site.ollama]
    for site in sites:
        known = settings.get("ai_domain") in site.names
        if known and not settings.get("ai_old_api_keyless"):
            continue
        notes.refuse(
            "ollama_site",
            f"The site {' '.join(site.names) or 'without a name'} ({site.file}:{site.line}) leads to Ollama, too: "
            f"{', '.join(site.ollama)}.",
            "Ours answers those routes at its own domain, and asks for a key there; today they need none.",
            "Tell callers their key, and let all routes ask for one: --ask-key"
            + ("" if known or not site.names else f" --domain {site.names[0]}"),
        )  # fmt: skip
    public = sorted({port.port for port in (found.ollama.ports if found.ollama else ()) if port.is_public})
    if public:
        notes.warn(
            "ollama_port", f"Ollama's port {', '.join(map(str, public))} is open to other machines, and closes.",
            f"Ours answers /api/*, /v1/* at {settings.get('ai_domain') or 'port 80'}, with a key.",
            "Tell its callers before you go on.",
        )  # fmt: skip
    elif found.ollama and found.ollama.how != "venv":
        ports = ", ".join(str(port.port) for port in found.ollama.ports) or "own"
        notes.warn(
            "ollama_local", f"Programs of this host that ask Ollama at its port {ports} will find nobody there.",
            f"Ours answers /api/*, /v1/* at {settings.get('ai_domain') or 'port 80'}, with a key.",
            "If there are any, have them ask there with a key.",
        )  # fmt: skip
    if found.ollama and found.ollama.how == "venv":
        notes.warn(
            "ollama_by_hand", f"Ollama (process {found.ollama.process}) was started by hand, and is left running.",
            "Nothing here could start it again for a rollback; beside ours it takes its memory.",
            "End it yourself once ours answers, or give it a unit before you go on.",
        )  # fmt: skip


def check_front(found: Found, service: Service, now: datetime.datetime | None, notes: Notes) -> None:
    """Refuse a front that cannot be switched over as a whole, and sites that would end with it."""
    front = found.front
    if front.kind == "none":
        return
    if front.kind != "nginx" or front.how.startswith("container "):
        name = front.how.removeprefix("container ").removesuffix(".service")
        notes.refuse(
            "front", f"Ports 80 and 443 belong to {front.kind} ({front.how}).",
            f"Its {len(front.sites)} sites are understood, but only nginx of the host itself can be switched over "
            "without an interruption.",
            f"Let it hand its sites to nginx, or free the ports (stop {name}) at a time that suits you.",
        )  # fmt: skip
        return
    if front.sound is False:
        notes.refuse(
            "nginx_broken", "nginx's configuration does not pass its own test.",
            "; ".join(fact.what for fact in front.facts if "broken" in fact.what) or "See nginx -t there.",
            "Mend it first: sudo nginx -t",
        )  # fmt: skip
    sites = front.of(service)
    for site in sites:
        if site.others:
            notes.refuse(
                "mixed_site",
                f"The site {' '.join(site.names) or 'without a name'} ({site.file}:{site.line}) serves more than "
                f"{service.name}.",
                f"These would end: {', '.join(site.others)}.",
                "Move them to a site (a server block in a file) of their own, or give the old API one.",
            )  # fmt: skip
        if site.moved:
            notes.refuse(
                "moved_paths",
                f"The site {' '.join(site.names) or 'without a name'} ({site.file}:{site.line}) has {service.name} "
                f"below other paths than its own: {', '.join(site.moved)}.",
                "Ours answers the old routes where the service itself has them, and not below a prefix.",
                "Serve it at / as well, let its callers follow, take the prefix away, and run this again.",
            )  # fmt: skip
    files = {site.file for site in sites}
    for site in front.others(service):
        if site.file in files:
            notes.refuse(
                "mixed_file",
                f"{site.file} holds the site {' '.join(site.names) or 'without a name'} beside that of {service.name}.",
                "The file is put aside as a whole, and the other site must survive.",
                "Move the other server block to a file of its own, and reload nginx.",
            )  # fmt: skip
    _check_certificates(found, service, now, notes)


def _check_certificates(found: Found, service: Service, now: datetime.datetime | None, notes: Notes) -> None:
    at = now or datetime.datetime.now(datetime.UTC)
    used = {site.certificate for site in found.front.of(service) if site.tls}
    for certificate in found.front.certificates:
        if certificate.path not in used or not certificate.not_after:
            continue
        until = datetime.datetime.fromisoformat(certificate.not_after)
        if until < at + _EXPIRES_SOON:
            state = "has expired" if until < at else "expires within three days"
            notes.warn(
                "certificate_ends", f"The certificate {certificate.path} {state} ({until:%Y-%m-%d}).",
                "The old names keep it; whoever checks it will refuse them.",
                f"Renew it: sudo certbot renew --cert-name {certificate.lineage}" if certificate.lineage
                else "Put a new one in its place.",
            )  # fmt: skip


def check_ports(found: Found, service: Service, notes: Notes) -> None:
    """Refuse ports that ours needs and others have."""
    own = {port.port for port in service.ports} | {port.port for port in (found.ollama.ports if found.ollama else ())}
    for number in (*_OUR_PORTS, 80, 443):
        holders = [
            str(one.get("process") or "a process that cannot be seen")
            for one in found.machine.get("ports") or ()
            if isinstance(one, Mapping) and one.get("proto") == "tcp" and one.get("port") == number
        ]
        container = next((one.name for one in found.containers if any(port.port == number for port in one.ports)), "")
        if number in own:
            # host.plan says it of strangers; here it is the service itself that has the port.
            if number in _OUR_PORTS:
                notes.refusals[:] = [note for note in notes.refusals if note.code != f"port_{number}"]
                notes.refuse(
                    f"port_{number}", f"{service.name} itself listens on port {number}.",
                    "The gateway is published on 127.0.0.1:8080 and 8081, one for each of two releases.",
                    "Publish the old service on another port, let its callers follow, and run this again.",
                )  # fmt: skip
            continue
        if number in (80, 443) and found.front.kind == "none" and (holders or container):
            notes.refuse(
                f"port_{number}", f"Port {number} belongs to {container or ', '.join(sorted(set(holders)))}.",
                "nginx of this stack answers there.", "Free it (stop what listens there), or use another host.",
            )  # fmt: skip


def check_callers(found: Found, settings: Mapping[str, Any], notes: Notes) -> None:
    """Warn of callers that the firewall would keep out."""
    allowed: Sequence[str] = settings.get("ai_allowed_networks") or ()
    if "any" in allowed or settings.get("ai_firewall") == "off":
        return
    networks = [ipaddress.ip_network(text) for text in allowed]
    shut_out = []
    for client in found.clients:
        try:
            address = ipaddress.ip_address(client.address)
        except ValueError:
            continue
        if not address.is_loopback and not any(address in network for network in networks):
            shut_out.append(client.address)
    if shut_out:
        addresses = ", ".join(sorted(set(shut_out))[:8])
        notes.warn(
            "callers_shut_out", f"Callers are connected that would not be let in: {addresses}.",
            "ai_allowed_networks names the networks that may reach the host afterwards.",
            "Add theirs (or any) to ai_allowed_networks, if they are meant to stay.",
        )  # fmt: skip
