"""What takes requests from outside, read from its own configuration: whose sites lead to the service, whose do not."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from ai_services.migrate import nginx_text, seen
from ai_services.migrate.found import Certificate, Fact, Front, FrontKind, Port, Service, Site
from ai_services.migrate.seen import Seen

_HTTP_PORTS: Final = (80, 443)
_OWN_NAMES: Final = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "host.docker.internal"}  # noqa: S104 -- compared
# Directives of a location that hand a request on, or answer it: one without any of them is none of its own.
_ANSWERS: Final = {"proxy_pass", "fastcgi_pass", "uwsgi_pass", "grpc_pass", "return", "root", "alias", "try_files"}


def front_of(
    look: Seen, services: Sequence[Service], containers: Sequence[seen.Container], ollama: Service | None = None
) -> Front:
    """Return the proxy that leads to one of `services`, or the one that holds ports 80 and 443; kind "none" if none."""
    certificates = tuple(
        Certificate(one.path, _key_beside(one.path), tuple(one.names), one.not_after, one.issuer, one.lineage)
        for one in look.rows("certificates", seen.Certificate)
    )
    own = _own_addresses(look)
    listeners = look.rows("listeners", seen.Listener)
    holders = {
        str(one.process or ""): one for one in listeners if one.port in _HTTP_PORTS and one.process != "docker-proxy"
    }
    if (nginx := look.one("nginx", seen.Nginx)) and (nginx.files or "nginx" in holders):
        return _nginx(nginx, "nginx.service", services, containers, certificates, ollama, own)
    for name, inner in look.table("inner_nginx", seen.Nginx).items():
        published = next((one.ports for one in containers if one.name == name), [])
        if any(port.port in _HTTP_PORTS for port in published):
            return _nginx(inner, f"container {name}", services, containers, (), ollama, own)
    if "caddy" in holders:
        return _caddy(look.one("caddy", seen.Other) or seen.Other(), "caddy.service", services, containers, own)
    if "apache2" in holders or "httpd" in holders:
        apache = look.one("apache", seen.Other) or seen.Other()
        return _apache(apache, services, containers, certificates, own)
    for one in containers:
        if one.state == "running" and any(port.port in _HTTP_PORTS for port in one.ports):
            return _contained(one, containers, services)
    return Front(certificates=certificates)


def _nginx(
    nginx: seen.Nginx, how: str, services: Sequence[Service], containers: Sequence[seen.Container],
    certificates: tuple[Certificate, ...], ollama: Service | None, own: frozenset[str],
) -> Front:  # fmt: skip
    blocks = nginx_text.blocks(nginx.files, nginx.links)
    sites = []
    for block in blocks:
        served = {place: _served(url, services, containers, own) for place, url in block.site.targets.items()}
        name = next((name for name in served.values() if name), "")
        urls = block.site.targets.items() if ollama and name else ()
        language = tuple(place for place, url in urls if ollama and _served(url, [ollama], containers, own))
        moved = tuple(place for place in block.site.moved if served.get(place) == name)
        others = tuple(
            place
            for place, words in block.locations.items()
            if name
            and served.get(place, "") != name
            and place not in language
            and _ANSWERS & set(words)
            and not _is_challenge(place)
        )
        sites.append(
            dataclasses.replace(
                block.site, serves=name, others=others, ollama=language, redirects=block.sends_elsewhere, moved=moved
            )
        )
    served_names = {(name, site.serves) for site in sites if site.serves for name in (site.names or ("",))}
    # The plain site that only sends to https belongs to the one that it sends to.
    sites = [
        dataclasses.replace(
            site, serves=next((serves for name, serves in sorted(served_names) if name in (site.names or ("",))), "")
        )
        if site.redirects and not site.serves
        else site
        for site in sites
    ]
    facts = [
        Fact(
            f"{' '.join(site.names) or 'any name'} on {_ports(site)} leads to {site.serves}", f"{site.file}:{site.line}"
        )
        for site in sites
        if site.serves and not site.redirects
    ]
    if not nginx.sound:
        facts.append(Fact(f"nginx's configuration is broken: {nginx.error}", "nginx -T"))
    return Front(
        kind="nginx", version=nginx.version, how=how, config=next(iter(nginx.files), ""), sites=tuple(sites),
        certificates=certificates, texts={nginx.links.get(path, path): text for path, text in nginx.files.items()},
        sound=nginx.sound, facts=tuple(facts),
    )  # fmt: skip


def _is_challenge(place: str) -> bool:
    return ".well-known/acme-challenge" in place


def _ports(site: Site) -> str:
    return ", ".join(dict.fromkeys(str(port.port) for port in site.listens))


def _caddy(
    caddy: seen.Other, how: str, services: Sequence[Service], containers: Sequence[seen.Container], own: frozenset[str]
) -> Front:  # fmt: skip
    sites = []
    for route in caddy.routes:
        listens = tuple(
            Port("0.0.0.0", int(text.rpartition(":")[2]))  # noqa: S104 -- where Caddy listens
            for text in route.listen
            if text.rpartition(":")[2].isdigit()
        )
        serves = next(
            (name for target in route.targets if (name := _served(f"http://{target}", services, containers, own))), ""
        )
        targets = {str(place): target for place, target in enumerate(route.targets)}
        sites.append(Site(next(iter(caddy.files), ""), 1, tuple(route.names), listens, targets=targets, serves=serves))
    return Front("caddy", caddy.version, how, next(iter(caddy.files), ""), tuple(sites), (), caddy.files, caddy.sound)


def _apache(
    apache: seen.Other, services: Sequence[Service], containers: Sequence[seen.Container],
    certificates: tuple[Certificate, ...], own: frozenset[str],
) -> Front:  # fmt: skip
    sites = []
    for path, text in apache.files.items():
        for matched in re.finditer(r"(?is)<VirtualHost\s+([^>]*)>(.*?)</VirtualHost>", text):
            body = matched[2]
            number = re.search(r":(\d+)", matched[1])
            names = re.findall(r"(?im)^\s*Server(?:Name|Alias)\s+(.+)$", body)
            targets = dict(re.findall(r"(?im)^\s*ProxyPass\s+(\S+)\s+(https?://\S+)", body))
            serves = next((name for url in targets.values() if (name := _served(url, services, containers, own))), "")
            certificate = re.search(r"(?im)^\s*SSLCertificateFile\s+(\S+)", body)
            key = re.search(r"(?im)^\s*SSLCertificateKeyFile\s+(\S+)", body)
            sites.append(
                Site(
                    path, text[: matched.start()].count("\n") + 1, tuple(" ".join(names).split()),
                    (Port("0.0.0.0", int(number[1]) if number else 80),), certificate is not None,  # noqa: S104 -- where it listens, not we
                    certificate[1] if certificate else "", key[1] if key else "", targets, serves,
                )
            )  # fmt: skip
    return Front(
        "apache", apache.version, "apache2.service", "/etc/apache2/apache2.conf", tuple(sites), certificates,
        apache.files, apache.sound,
    )  # fmt: skip


def _contained(holder: seen.Container, containers: Sequence[seen.Container], services: Sequence[Service]) -> Front:
    """Return the front that is a container: Traefik by its neighbours' labels, others by their image alone."""
    if any(service.name == holder.name for service in services):
        # The service itself holds port 80 or 443.
        return Front()
    how, fact = (
        f"container {holder.name}",
        Fact(f"{holder.image} holds port 80 or 443", f"docker inspect {holder.name}"),
    )
    if "traefik" in holder.image:
        sites = []
        for one in containers:
            for label, rule in one.traefik.items():
                if re.fullmatch(r"traefik\.http\.routers\.[\w@-]+\.rule", label):
                    names = tuple(re.findall(r"`([^`]+)`", rule)) if "Host" in rule else ()
                    serves = one.name if any(service.name == one.name for service in services) else ""
                    sites.append(Site(f"labels of {one.name}", 1, names, serves=serves, targets={"rule": rule}))
        return Front("traefik", "", how, "", tuple(sites), facts=(fact,))
    kind: FrontKind = "caddy" if "caddy" in holder.image else "apache" if "httpd" in holder.image else "none"
    return Front(kind, "", how, facts=(fact,))


def _own_addresses(look: Seen) -> frozenset[str]:
    """The host's own addresses, those of Docker's bridges among them: the same port of another machine is another's."""
    found = [look.mapping("facts").get("my_addresses"), look.entries("bridges")]
    return frozenset(str(one) for some in found if isinstance(some, list) for one in some)


def _served(url: str, services: Iterable[Service], containers: Sequence[seen.Container], own: frozenset[str]) -> str:
    """Return the name of the service that a URL leads to, "" if it is none of them."""
    matched = re.match(r"(?:https?://)?(\[[^\]]+\]|[^/:]+)(?::(\d+))?", url)
    if not matched:
        return ""
    host, port = matched[1].strip("[]"), int(matched[2] or 80)
    for service in services:
        for one in service.ports:
            if one.port == port and not one.inner and _is_own(host, own):
                return service.name
            if one.port == port and one.address == host:
                return service.name
        container = service.container
        if container is None:
            continue
        raw = next((one for one in containers if one.name == container.name), None)
        names = {container.name, container.compose_service, *(raw.addresses if raw else ())} - {""}
        if host in names and port in {*(raw.exposed if raw else ()), *(one.inside for one in service.ports)}:
            return service.name
    return ""


def _is_own(host: str, own: frozenset[str]) -> bool:
    if host in _OWN_NAMES or host in own:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _key_beside(path: str) -> str:
    return path.replace("fullchain.pem", "privkey.pem") if path.endswith("/fullchain.pem") else ""
