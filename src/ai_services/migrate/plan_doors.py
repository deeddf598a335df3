"""Doors of the old API that ours cannot have as they are, or would open wider than they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai_services.host.plan_types import Notes
from ai_services.migrate import compose
from ai_services.migrate.found import Found, Port, Service, Site
from ai_services.migrate.plan_types import Listener

_ANYWHERE: Final = ("0.0.0.0", "::", "*", "")  # noqa: S104 -- compared


def check(
    found: Found, service: Service, settings: Mapping[str, Any], listeners: Sequence[Listener], notes: Notes
) -> None:
    """Refuse names and certificates that a door cannot have, and doors for this host alone; warn of narrow ones."""
    sites = [site for site in found.front.of(service) if found.front.kind == "nginx"]
    for site in sites:
        where = f"{site.file}:{site.line}"
        if odd := [name for name in site.names if not compose.plain_name(name)]:
            notes.refuse(
                "odd_names", f"The site at {where} answers to names by a pattern: {', '.join(odd)}.",
                "A door of ours answers to whole names, and to *.NAME: callers by others would find nobody.",
                "Write the names there that are in use, reload nginx, and run this again.",
            )  # fmt: skip
        if site.tls and not (compose.plain_path(site.certificate) and compose.plain_path(site.key)):
            notes.refuse(
                "odd_certificate", f"The site at {where} has no certificate that is one plain file: "
                f"{site.certificate or 'none'}, {site.key or 'none'}.",
                "Its door keeps its certificate, and needs the paths of both files.",
                "Name them in the site itself (ssl_certificate, ssl_certificate_key), without variables.",
            )  # fmt: skip
        _bound(f"The site at {where}", [port for port in site.listens if not _is_ours(site, port, settings)], notes)
    _bound(service.name, [one for one in compose.speaking(service) if one.port in _redirected(listeners)], notes)
    port = service.port
    if port and not port.is_public and not port.inner and service.api != "unknown":
        notes.warn(
            "local_port",
            f"Programs of this host that ask {service.name} at {port.address}:{port.port} will find nobody there.",
            f"The old API goes on at: {', '.join(f'port {door.port}' for door in listeners) or 'no door at all'}.",
            "If there are any, have them ask there.",
        )  # fmt: skip


def _redirected(listeners: Sequence[Listener]) -> set[int]:
    return {door.port for door in listeners if door.takes_over == "redirect"}


def _is_ours(site: Site, port: Port, settings: Mapping[str, Any]) -> bool:
    """Tell whether our own site takes that place: it answers at every address in any case."""
    return site.redirects or (port.port in (80, 443) and settings.get("ai_domain") in site.names)


def _bound(what: str, ports: Sequence[Port], notes: Notes) -> None:
    local = [port for port in ports if not port.is_public and not port.inner]
    wide = {port.port for port in ports if port.address.strip("[]") in _ANYWHERE}
    if narrow := [port for port in local if port.port not in wide]:
        notes.refuse(
            "local_site", f"{what} listens on {narrow[0].address}:{narrow[0].port}, for this host alone.",
            "A door of ours listens at every address: without a key it would be open to other machines.",
            "Take it away, or let it listen at every address itself, if that is meant; then run this again.",
        )  # fmt: skip
    if bound := [port for port in ports if port.is_public and port.port not in wide]:
        notes.warn(
            "bound_port", f"{what} listens on {bound[0].address}:{bound[0].port} alone of this host's addresses.",
            "Ours listens at all of them.", "See that nobody comes in by another address who should not.",
        )  # fmt: skip
