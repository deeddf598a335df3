"""From what is on a host and what its owner wants: what a migration does there, or why not. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from ai_services.host.plan import make_plan as host_plan
from ai_services.host.plan_types import Note, Notes
from ai_services.migrate import estimate, plan_checks, plan_doors, plan_filter, plan_starters, render, words
from ai_services.migrate.compose import Derived
from ai_services.migrate.found import API_NAMES, Found, Service
from ai_services.migrate.plan_types import FileChange, MigrationPlan

# Said better here, with what only a migration knows.
_REPLACED: Final = {"disk", "port_80", "port_443", "other_containers", "docker_old"}


def make(
    found: Found, derived: Derived, settings: Mapping[str, Any], *, local: bool = False,
    now: datetime.datetime | None = None,
) -> MigrationPlan:  # fmt: skip
    """Decide what a migration of `found.service` will do.

    Args:
        found: the result of the look; its service must be chosen.
        derived: what of `settings` was found on the host.
        settings: the validated `ai_*` settings by name.
        local: the host is the machine that the command runs on.
        now: our own clock (UTC), compared with the host's; None: not compared.
    """
    service = found.service
    if service is None:
        raise ValueError("no service is chosen")
    notes = Notes()
    wanted = host_plan(found.machine, settings, local=local, now=now)
    notes.refusals += [note for note in wanted.refusals if note.code not in _REPLACED]
    notes.warnings += [note for note in wanted.warnings if note.code not in _REPLACED]
    if any(note.code == "docker_old" for note in wanted.refusals):
        plan_checks.refuse_docker(found, notes)
    room = estimate.room(found, settings, wanted)
    if not room.is_enough:
        plan_checks.refuse_room(room, settings, notes)
    plan_checks.check_service(found, service, notes)
    plan_starters.check(found, service, notes)
    plan_checks.check_model(service, settings, notes)
    ends = words.ends(service)
    plan_checks.check_routes(service, ends, notes)
    plan_checks.check_guards(found, service, settings, notes)
    plan_checks.check_ollama(found, service, settings, notes)
    plan_checks.check_front(found, service, now, notes)
    plan_checks.check_ports(found, service, notes)
    plan_doors.check(found, service, settings, derived.listeners, notes)
    plan_filter.check(found, settings, derived.listeners, notes)
    plan_checks.check_callers(found, settings, notes)
    retire = tuple(_retired(found, service))
    return MigrationPlan(
        service=service.name,
        settings=derived.values,
        reasons=derived.reasons,
        steps=words.steps(found, service, settings, derived),
        files=tuple(_files(found, service, settings, derived, wanted.whisper.image_variant)),
        listeners=derived.listeners,
        stays=words.stays(found, service),
        moves=words.moves(found, service, settings, derived),
        answers=words.answers(service, settings, derived),
        ends=ends,
        rollback=words.rollback(found, service, settings, derived),
        keep_files=tuple(_kept(found, service)),
        retire=retire,
        waiting=estimate.waiting(found, service, wanted),
        room=room,
        refusals=tuple(notes.refusals),
        warnings=tuple(notes.warnings),
        wanted=wanted.as_dict(),
        adopted=derived.adopted,
    )


def unchosen(found: Found, wanted: str | None) -> tuple[Note, ...]:
    """Return why no service was chosen, and how to choose one."""
    if wanted is not None:
        names = ", ".join(one.name for one in found.candidates) or "none at all"
        return (
            Note("no_such_service", f"No speech service here is called {wanted}.", f"There are: {names}.",
                 "Name one of them: --service NAME"),
        )  # fmt: skip
    if not found.candidates:
        stopped = [one.name for one in found.containers if one.state != "running" and _sounds_like_speech(one.image)]
        return (
            Note(
                "no_service", "No speech service answers on this host.",
                f"Not running: {', '.join(stopped)}." if stopped else
                "Neither a container nor a process was found that looks like one.",
                f"Start it ({f'docker start {stopped[0]}'}), and run this again." if stopped else
                "To put AI services on a host without one: ./ai deploy HOST",
            ),
        )  # fmt: skip
    if len(found.candidates) == 1:
        one = found.candidates[0]
        return (
            Note(
                "unknown_api", f"{one.name} seems to be a speech service, and its API is not one of those known here.",
                " ".join(f"{fact.what} ({fact.evidence})." for fact in one.facts) or "It says nothing of itself.",
                f"Its callers' routes would end. If that is meant: --service {one.name}; else deploy to another host.",
            ),
        )  # fmt: skip
    lines = "; ".join(
        f"{one.name}: {API_NAMES[one.api]}" + (f" on port {one.port.port}" if one.port else "")
        for one in found.candidates
    )
    return (
        Note("several_services", f"{len(found.candidates)} services here may be meant.", f"{lines}.",
             f"Choose one: --service {found.candidates[0].name}"),
    )  # fmt: skip


def _sounds_like_speech(image: str) -> bool:
    return any(word in image for word in ("whisper", "speaches", "asr"))


def _retired(found: Found, service: Service) -> list[str]:
    wanted = [service, *([found.ollama] if found.ollama else [])]
    return [one.container.name if one.container else one.unit.name if one.unit else one.name for one in wanted]


def _kept(found: Found, service: Service) -> list[str]:
    paths = [*service.files, *(found.ollama.files if found.ollama else ())]
    if found.front.kind == "nginx" and not found.front.how.startswith("container "):
        paths.append("/etc/nginx")
    if any(certificate.lineage for certificate in found.front.certificates):
        paths.append("/etc/letsencrypt")
    return list(dict.fromkeys(paths))


def _files(
    found: Found, service: Service, settings: Mapping[str, Any], derived: Derived, variant: str
) -> list[FileChange]:
    version = found.front.version
    # The old one stays where it is; beside it a person sees what takes its place.
    was = next((path for path in service.files if found.texts.get(path)), "")
    outline = render.compose_outline(settings, variant)
    changes = [FileChange("/opt/ai/current/compose.yaml", found.texts.get(was), outline, exact=False, was=was)]
    sites = {site.file: site for site in found.front.of(service)} if found.front.kind == "nginx" else {}
    after = render.old_doors(settings, version, [door.as_setting() for door in derived.listeners])
    if sites:
        first, *more = sites.values()
        changes.append(FileChange(first.link or first.file, found.front.texts.get(first.file, ""), after, exact=False))
        changes += [FileChange(one.link or one.file, found.front.texts.get(one.file, ""), None) for one in more]
    elif derived.listeners and service.api != "unknown":
        changes.append(FileChange("/etc/nginx/ai/old-api.conf", None, after, exact=False))
    own = render.own_site(settings, version)
    changes.append(FileChange("/etc/nginx/sites-available/ai-services.conf", None, own, exact=False))
    return changes
