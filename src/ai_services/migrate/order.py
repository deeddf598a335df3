"""What is to be done on a host, as JSON values for the host itself: made of what was found and of the plan.

The host keeps it (/opt/ai/migration/<id>/state.json), so that another machine can go on, or undo.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from ai_services.exits import BLOCKED, OperatorError
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import public
from ai_services.migrate.found import Container, Found, Service
from ai_services.migrate.plan_types import MigrationPlan

Order = dict[str, Any]


def from_plan(found: Found, plan: MigrationPlan, settings: HostSettings) -> Order:
    """Return the order. `settings` are the final ones: given, and found where nothing was given.

    Raises:
        OperatorError: the old service cannot be stopped and started again by its own means, or shares a file with a
            site that must stay.
    """
    service = found.service
    if service is None or service.port is None:
        raise OperatorError("No service to migrate was chosen.", exit_code=BLOCKED)
    port = service.port
    redirects = sorted({door.port for door in plan.listeners if door.takes_over == "redirect"})
    return {
        "id": f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        "host": found.host,
        "old": {
            "name": service.name,
            "api": service.api,
            "how": service.how,
            "address": port.address,
            "port": port.port,
            "inside": port.inside,
            "containers": [_container(one) for one in _containers(found, plan, service)],
            "units": [*_units(service), *_units_of(found.ollama)],
            # Its value never leaves the host; environment files that may hold it are among `parts`.
            "key_variable": service.key_variable,
        },
        "keep_files": sorted(plan.keep_files),
        "aside": _aside(found, service),
        "redirects": redirects,
        # Its callers come in by nginx, too: ours is there before they are led to it.
        "language_first": any(site.ollama for site in found.front.of(service)),
        "needs_relay": not port.is_public,
        "settings": public(settings),
        "found": found.as_dict(),
        "plan": plan.as_dict(),
    }


def _containers(found: Found, plan: MigrationPlan, service: Service) -> list[Container]:
    wanted = [service.container] if service.container else []
    return wanted + [
        one for one in found.containers if one.name in plan.retire and one.id not in {each.id for each in wanted}
    ]


def _container(one: Container) -> dict[str, Any]:
    return {"id": one.id, "name": one.name, "restart": one.restart, "image": one.image, "image_id": one.image_id}


def _units(service: Service) -> list[dict[str, Any]]:
    if service.container is not None:
        return []
    if service.unit is None:
        raise OperatorError(
            f"{service.name} runs by itself: neither container nor unit starts it, so no rollback could.",
            hint="Give it a unit (systemctl), see it work, and run the migration again.",
            exit_code=BLOCKED,
        )
    return _units_of(service)


def _units_of(service: Service | None) -> list[dict[str, Any]]:
    unit = service.unit if service else None
    return [{"name": one.name, "enabled": one.enabled, "file": one.file, "parts": list(one.parts)}
            for one in [unit] if one]  # fmt: skip


def _aside(found: Found, service: Service) -> list[str]:
    """Return the nginx files that hold sites of the old service; what nginx reads, so a link rather than its target."""
    if found.front.kind != "nginx":
        return []
    own = {site.link or site.file for site in found.front.of(service)}
    if shared := own & {site.link or site.file for site in found.front.others(service)}:
        raise OperatorError(
            f"{', '.join(sorted(shared))} holds the site of {service.name} and another one beside it.",
            hint="Put the old service's server blocks into a file of their own (nginx -t, reload), and run it again.",
            exit_code=BLOCKED,
        )
    return sorted(own)
