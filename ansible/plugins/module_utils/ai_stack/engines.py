"""Exchanging an engine while its callers wait: pause, let what runs end, replace, see it work, go on."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from . import observe
from .admin import Admin, AdminError
from .change import Change, ChangeError
from .compose import Compose, ComposeError, UnhealthyError
from .engine import EngineError

_LOOK_EVERY_S = 0.2
# Loading a large model from a slow disk, and then the first answer.
_PROBE_S = 600.0
# The gateway lets nobody wait longer than ten minutes (PAUSE_MAX_WAIT_S). Within seven the new one must be healthy and
# have answered, so that three are left for the way back; of those seven at most four are for what is under way.
HEALTHY_WITHIN_S = 420.0
_SETTLED_WITHIN_S = 240.0
# Who began a task of an old API asks for it every few seconds, and once more after its end.
_FETCHED_WITHIN_S = 8.0
# What became healthy at the last moment still gets so long to answer.
_LEAST_PROBE_S = 30.0


def exchange(change: Change, service: str, admin: Admin | None, before: str | None) -> None:
    """Let `service` run as the release has it. `before` is the release that serves, for the way back.

    Raises:
        ChangeError: it does not work; the one before is back, while its callers still waited, or is said not to be.
    """
    with change.step(f"engine:{service}"), _quiet(change, service, admin) as limit_s:
        ends_at = time.monotonic() + limit_s
        try:
            change.compose.up_service(service)
            change.compose.wait_healthy(limit_s, [service])
            prove(change, service, admin, max(_LEAST_PROBE_S, ends_at - time.monotonic()))
        except Exception as error:  # whatever it is: its callers wait, and the one before is still at hand
            raise ChangeError(f"{error}\n{_back(change, service, before)}".strip()) from error


def resume_left(change: Change, admin: Admin | None) -> None:
    """End what pauses a run before this one has left behind: its callers need not wait until they end by themselves."""
    if admin is None:
        return
    with contextlib.suppress(AdminError):
        for row in (admin.state() or {}).get("backends") or []:
            if _is_ours(row, change):
                admin.resume(str(row["name"]), change.owner)


def _is_ours(row: dict[str, Any], change: Change) -> bool:
    return bool(change.owner) and (row.get("paused") or {}).get("owner") == change.owner


def prove(change: Change, service: str, admin: Admin | None, limit_s: float = _PROBE_S) -> None:
    """Let an engine do what it is there for, once, through the gateway and past a pause.

    Raises:
        ChangeError: it cannot, or not within `limit_s`.
    """
    try:
        kind = str(admin.backend(service).get("kind", "")) if admin else ""
        if admin is None or not kind:
            return
        if kind == "whisper" and change.sample:
            change.say(f"{service}: a recording is transcribed")
            if not admin.transcribe(change.sample, limit_s).strip():
                raise ChangeError(f"{service} is healthy, and hears nothing in a recording of speech.")
        elif kind == "ollama":
            model = str(change.store.about(change.release).get("settings", {}).get("ai_ollama_model") or "")
            if model:
                change.say(f"{service}: {model} says a word")
                if not admin.generate(model, limit_s):
                    raise ChangeError(f"{service} is healthy, and {model} says nothing.")
    except AdminError as error:
        raise ChangeError(f"{service} is healthy, and does not work: {error}") from error


@contextlib.contextmanager
def _quiet(change: Change, service: str, admin: Admin | None) -> Iterator[float]:
    """Keep callers waiting during the block, where the gateway can; begin when nobody is being answered.

    Gives how long the new one may take to be healthy, in seconds. Where none runs, nobody waits for it; but for those
    whom a run that was killed just then has left waiting.
    """
    if admin is None or not (row := admin.backend(service)) or (missing(change, service) and not _is_ours(row, change)):
        yield change.timeout_s
        return
    try:
        begun = time.monotonic()

        def lost(why: str) -> None:
            change.journal.write(f"engine:{service}:pause", "failed", change.release, why)
            change.say(f"{service} is not paused any more: {why}")

        with admin.paused(service, change.owner, f"release {change.release}", lost):
            has_tasks = _has_tasks(admin.backend(service), admin)
            _settle(change, service, admin)
            if has_tasks:
                change.say(f"{service} still holds results of the old API, which are fetched")
                time.sleep(_FETCHED_WITHIN_S)
            try:
                yield min(change.timeout_s, HEALTHY_WITHIN_S - (time.monotonic() - begun))
            finally:
                with contextlib.suppress(AdminError):
                    waiting = float(admin.backend(service).get("waiting") or 0)
                    change.waits[service] = {"seconds": round(time.monotonic() - begun, 1), "callers": waiting}
    except AdminError as error:
        raise ChangeError(f"{service} could not be paused: {error}") from error


def _settle(change: Change, service: str, admin: Admin) -> None:
    limit_s = min(change.drain_s, _SETTLED_WITHIN_S)
    ends_at = time.monotonic() + limit_s
    said = 0
    while busy := _under_way(service, admin):
        if busy != said:
            change.say(f"{service} still answers {busy}; others wait")
            said = busy
        if time.monotonic() >= ends_at:
            raise ChangeError(
                f"{service} still answers {busy} after {limit_s:g} s. Nobody was cut off. Try again when those "
                "requests have ended."
            )
        time.sleep(_LOOK_EVERY_S)


def _under_way(service: str, admin: Admin) -> int:
    """How many requests an engine works on, those too whose callers have left it to work and ask again later."""
    row = admin.backend(service)
    if (busy := int(row.get("in_flight") or 0)) or row.get("kind") != "whisper":
        return busy
    try:
        queue = admin.call("GET", "/queue/status")
    except AdminError:
        return 0  # one that does not answer works on nothing
    return sum(int(queue.get(name) or 0) for name in ("running", "waiting", "preparing"))


def _has_tasks(row: dict[str, Any], admin: Admin) -> bool:
    """Whether an engine works on tasks of an old API (whisper_api): their results are in it, and go with it."""
    if row.get("kind") != "whisper":
        return False
    try:
        said = admin.call("GET", "/api/v1/decoder_status")
    except AdminError:
        return False  # no such API here
    return bool(said.get("currently_busy") or said.get("tasks_in_queue"))


def _back(change: Change, service: str, before: str | None) -> str:
    """Bring the engine of before back at once, still under the pause; what became of it, in a sentence."""
    if before is None or before == change.release:
        return ""
    # On a full disk the one before could not be made again either.
    change.journal.relief()
    compose = Compose(change.root, change.store.path(before), change.engine)
    try:
        if service not in compose.services():
            compose.remove_service(service)
            return ""
        with change.journal.step(f"engine:{service}:back", before):
            compose.up_service(service)
            compose.wait_healthy(change.timeout_s, [service])
    except (ComposeError, UnhealthyError, EngineError) as error:
        return f"{service} of release {before} could not be brought back either: {error}"
    return f"{service} of release {before} serves again."


def missing(change: Change, service: str) -> bool:
    """Whether no container of `service` runs: nobody's work can be disturbed by starting it."""
    return not any(one.runs for one in observe.of(service, observe.containers(change.engine)))
