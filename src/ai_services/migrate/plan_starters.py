"""Units of systemd that start the old container: Docker alone does not say who would start it again behind our back."""

from __future__ import annotations

from pathlib import PurePosixPath

from ai_services.host.plan_types import Notes
from ai_services.migrate.found import Container, Found, Service, Unit


def check(found: Found, service: Service, notes: Notes) -> None:
    """Refuse where a unit would start the old container again: after its stop, or with the next boot."""
    for container in [one.container for one in (service, found.ollama) if one and one.container]:
        for unit in found.units:
            # One that is only active may stop or remove the container when the machine goes down.
            if not (unit.enabled or unit.active) or not _starts(unit.command.split(), unit, container):
                continue
            notes.refuse(
                "started_by_unit", f"The unit {unit.name} starts the container {container.name} ({unit.command[:80]}).",
                "It would start the old service again beside ours, when it stops or with the next boot, or remove it.",
                f"Leave that to Docker, at a time of your choosing: systemctl disable --now {unit.name}; start it "
                "again by hand (docker start, or docker compose up --detach in its folder); "
                f"docker update --restart unless-stopped {container.name}; and run this again.",
            )  # fmt: skip


def _starts(words: list[str], unit: Unit, container: Container) -> bool:
    program = PurePosixPath(words[0]).name if words else ""
    if program == "docker-compose" or (program == "docker" and "compose" in words):
        places = {container.compose_folder, *container.compose_files} - {""}
        return bool(places & {unit.folder, *words})
    return program == "docker" and bool({"run", "start"} & set(words)) and container.name in _names(words)


def _names(words: list[str]) -> set[str]:
    return {word.removeprefix("--name=") for word in words}
