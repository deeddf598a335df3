"""What a host's packet filter means for callers: Docker's published ports pass by it, nginx's do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ai_services.host.plan_types import Notes
from ai_services.migrate.found import Found
from ai_services.migrate.plan_types import Listener

# Where nginx listens until the old service's own port is free: the first free ones from here on (migration/tool.py).
_HELPERS: Final = "19000 to 19089"


def new_ports(listeners: Sequence[Listener]) -> str:
    """Return the ports on which nginx comes to listen in the old service's place, "" where there are none."""
    return ", ".join(str(door.port) for door in listeners if door.takes_over == "redirect")


def kind(found: Found) -> str:
    """Return who decides what comes in: ufw, firewalld, drop (rules of the owner's own), or "" for nobody."""
    services = found.machine.get("services")
    if isinstance(services, Mapping) and services.get("firewalld") == "active":
        return "firewalld"
    return found.packet_filter


def opened(found: Found, settings: Mapping[str, Any], listeners: Sequence[Listener]) -> str:
    """Return what ufw is going to be told, in words; "" where it is told nothing of the old doors."""
    ports = new_ports(listeners)
    if not ports or kind(found) != "ufw" or settings.get("ai_firewall") == "off":
        return ""
    networks = ", ".join(settings.get("ai_allowed_networks") or ())
    return f"ufw lets {networks} in at port {ports}, as at 80 and 443; what Docker publishes passed by it"


def check(found: Found, settings: Mapping[str, Any], listeners: Sequence[Listener], notes: Notes) -> None:
    """Refuse a filter that would drop the callers of the old service's port; warn where the owner has taken it over."""
    by, ports, is_ours = kind(found), new_ports(listeners), settings.get("ai_firewall") != "off"
    if by == "firewalld" and is_ours:
        notes.refuse(
            "firewalld", "firewalld is in charge of the packet filter.",
            "Two hands on one packet filter undo each other, and it would drop what nginx answers.",
            _way_out(ports) or "Let http and https in (firewall-cmd --permanent --add-service=http "
            "--add-service=https; firewall-cmd --reload), and leave the filter to it: --set ai_firewall=off",
        )  # fmt: skip
    elif by and ports and not is_ours:
        notes.warn(
            "packet_filter", f"{_named(found, by)} decides who reaches port {ports}, and ai_firewall is off.",
            "Docker's published port passed by it; nginx, which listens there from now on, does not.",
            f"See that it lets callers in at tcp port {ports}, and at {_HELPERS} during the migration.",
        )  # fmt: skip
    elif by == "drop" and ports:
        notes.refuse(
            "packet_filter",
            f"{_named(found, by)} drop what they do not let in, and port {ports} is the old service's own.",
            "What Docker publishes passes by them; nginx, which is to listen there, does not: they would drop callers.",
            _way_out(ports),
        )  # fmt: skip


def _named(found: Found, by: str) -> str:
    return f"This host's own rules ({found.packet_filter_seen})" if by == "drop" else by


def _way_out(ports: str) -> str:
    if not ports:
        return ""
    return (
        f"Let callers in there at tcp port {ports}, and at {_HELPERS} for the time of the migration; then say that the "
        "filter stays yours: --set ai_firewall=off"
    )
