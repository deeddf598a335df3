"""docker compose on one release, and waiting until what it started really works."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from . import observe
from .durable import write_file
from .engine import Engine
from .observe import PROJECT

_UP_TIMEOUT_S = 600
_QUICK_TIMEOUT_S = 60
_LOOK_EVERY_S = 0.5
_LAST_LINES = 20
# So many starts of one container within one wait are no slow start any more.
_RESTARTS_ARE_A_LOOP = 4
# In 0.1 the gateway had one name and one port, so that there could be no second one beside it.
_VERBS = ("config", "up")
_OF_0_1 = "container_name: gateway\n"
_BESIDE = """services:
  gateway:
    container_name: !reset null
    ports: !override ["127.0.0.1:8080-8081:8080"]
"""


class ComposeError(Exception):
    """Compose failed; the message holds its last words."""


class UnhealthyError(Exception):
    """Services did not become healthy in time; the message has each one's last words."""


@dataclass(frozen=True)
class Compose:
    """The compose file of the release in `release_dir`, run for the installation in `root`."""

    root: Path
    release_dir: Path
    engine: Engine

    def services(self) -> dict[str, str]:
        """Name and configuration hash of every service that the release's profiles switch on.

        Raises:
            ComposeError: the file is not accepted.
        """
        return dict(self._services)

    @cached_property
    def _services(self) -> dict[str, str]:
        switched_on = set(self._run(["config", "--services"], _QUICK_TIMEOUT_S).split())
        lines = self._run(["config", "--hash", "*"], _QUICK_TIMEOUT_S).splitlines()
        return {name: value for name, value in (line.split() for line in lines if line.strip()) if name in switched_on}

    def differences(self) -> list[str]:
        """What `up` would have to do, in words; empty when everything runs as the release has it."""
        wanted = self.services()
        found = observe.containers(self.engine)
        words = []
        for name, digest in wanted.items():
            own = observe.of(name, found)
            right = [one for one in own if one.digest == digest]
            if not own:
                words.append(f"{name}: start it")
            elif not right:
                words.append(f"{name}: replace it, it was made from another configuration")
            elif not any(one.runs for one in right):
                words.append(f"{name}: start it again, it is {right[0].state}")
            elif len(own) > 1:
                words.append(f"{name}: remove {', '.join(one.name for one in own if one is not right[0])}")
        return words + [f"{name}: remove it" for name in sorted({one.service for one in found} - set(wanted))]

    def up(self) -> None:
        """Start what is missing, replace what has changed, remove what is gone.

        Raises:
            ComposeError: with compose's last words.
        """
        # Images were pulled before: a rollback must not depend on a registry.
        self._run(["up", "--detach", "--remove-orphans", "--no-build", "--pull", "never"], _UP_TIMEOUT_S)

    def up_service(self, service: str) -> None:
        """Start or replace one service, and touch no other.

        Raises:
            ComposeError: with compose's last words.
        """
        self._run(["up", "--detach", "--no-deps", "--no-build", "--pull", "never", service], _UP_TIMEOUT_S)

    def up_beside(self, service: str, count: int) -> None:
        """Start a container of `service` as it is now beside those that run, so that there are `count`.

        Raises:
            ComposeError: with compose's last words.
        """
        beside = ["--no-recreate", "--scale", f"{service}={count}"]
        self._run(["up", "--detach", "--no-deps", "--no-build", "--pull", "never", *beside, service], _UP_TIMEOUT_S)

    def remove(self, container: str) -> None:
        """Stop a container in its own time and remove it.

        Raises:
            ComposeError: Docker refused.
        """
        for words in (["stop", container], ["rm", "--force", container]):
            self._docker(words, _UP_TIMEOUT_S)

    def remove_service(self, service: str) -> None:
        """Stop and remove every container of `service`. Raises ComposeError as `remove` does."""
        for one in observe.of(service, observe.containers(self.engine)):
            self.remove(one.id)

    def wait_healthy(
        self, timeout_s: float, services: Iterable[str] | None = None, among: Mapping[str, str] | None = None
    ) -> None:
        """Return as soon as every service (or those named) is running and healthy.

        `among` names the container that counts (service -> id) where a service has more than one.

        Raises:
            UnhealthyError: one was not within `timeout_s`, or starts over and over.
        """
        names = sorted(services if services is not None else self.services())
        ends_at = time.monotonic() + timeout_s
        restarts: dict[str, int] = {}
        while True:
            states = {name: self._state(name, (among or {}).get(name)) for name in names}
            sick = {name: state for name, state in states.items() if not self._is_well(state)}
            if not sick:
                return
            for name, state in sick.items():
                count = int(state.get("RestartCount", 0))
                if count - restarts.setdefault(name, count) >= _RESTARTS_ARE_A_LOOP:
                    raise UnhealthyError(self._complaint(sick, f"{name} starts over and over"))
                # Docker says so after the start period and three bad answers: more patience would not help.
                if state.get("State", {}).get("Health", {}).get("Status") == "unhealthy":
                    raise UnhealthyError(self._complaint(sick, f"the health check of {name} has given it up"))
            if time.monotonic() >= ends_at:
                raise UnhealthyError(self._complaint(sick, f"not healthy within {timeout_s:g} s"))
            time.sleep(_LOOK_EVERY_S)

    def _is_well(self, found: dict[str, Any]) -> bool:
        state = found.get("State", {})
        health = state.get("Health", {}).get("Status", "healthy")
        if state.get("Status") != "running":
            return False
        return bool(health == "healthy" or (health == "starting" and self._answers(found)))

    def _answers(self, found: dict[str, Any]) -> bool:
        """Ask what Docker's health check asks. Engines before 25 do it every 15 s, also while callers wait for it."""
        check = found.get("Config", {}).get("Healthcheck") or {}
        words = list(check.get("Test") or [])
        if check.get("StartInterval") or words[:1] != ["CMD"]:
            return False
        try:
            self._docker(["exec", str(found["Id"]), *words[1:]], _QUICK_TIMEOUT_S)
        except ComposeError:
            return False
        return True

    def _state(self, service: str, container: str | None) -> dict[str, Any]:
        if container is None:
            own = observe.of(service, observe.containers(self.engine))
            # With two gateways the newest is the one that is waited for.
            container = own[-1].id if own else service
        return self.engine.container(container) or {}

    def _complaint(self, sick: dict[str, dict[str, Any]], what: str) -> str:
        parts = [f"{', '.join(sorted(sick))}: {what}."]
        for name, found in sorted(sick.items()):
            state = found.get("State", {})
            parts.append(f"-- {name} is {state.get('Status', 'not there')}{_said(state)}")
            if found:
                parts += [f"   {line}" for line in self.engine.logs(str(found["Id"]), _LAST_LINES)]
        return "\n".join(parts)

    def _run(self, arguments: list[str], timeout_s: float) -> str:
        files = [self.release_dir / "compose.yaml", *self._additions()]
        return self._docker(
            [
                "compose", "--project-name", PROJECT, "--project-directory", str(self.root),
                "--env-file", str(self.release_dir / ".env"),
                *(word for file in files for word in ("--file", str(file))),
                *arguments,
            ],
            timeout_s,
        )  # fmt: skip

    def _additions(self) -> list[Path]:
        """What makes a release of 0.1 one that can run beside another."""
        try:
            if _OF_0_1 not in (self.release_dir / "compose.yaml").read_text():
                return []
        except OSError:
            return []  # Compose says it better
        place = self.root / "switch" / "beside-0.1.yaml"
        if not place.is_file() or place.read_text() != _BESIDE:
            place.parent.mkdir(mode=0o755, exist_ok=True)
            write_file(place, _BESIDE.encode())
        return [place]

    def _docker(self, arguments: list[str], timeout_s: float) -> str:
        named = f"docker {' '.join(word for word in arguments[:2] if not word.startswith('-'))}"
        if arguments[0] == "compose":
            named = f"docker compose {next(word for word in reversed(arguments) if word in _VERBS)}"
        # COMPOSE_* of whoever runs this must not choose other files or profiles than the release has.
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "AI_"))}
        try:
            done = subprocess.run(
                ["docker", *arguments],
                capture_output=True, text=True, errors="replace", timeout=timeout_s, env=environment, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ComposeError(f"{named} did not end within {timeout_s:g} s.") from error
        except FileNotFoundError as error:
            raise ComposeError("There is no docker on this host: the role docker installs it.") from error
        if done.returncode != 0:
            words = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
            raise ComposeError(f"{named} failed ({done.returncode}):\n{words}")
        return done.stdout


def _said(state: dict[str, Any]) -> str:
    words = []
    if state.get("Status") in {"exited", "restarting", "dead"}:
        words.append(f"exit status {state.get('ExitCode')}")
    if state.get("OOMKilled"):
        words.append("killed for lack of memory")
    if state.get("Error"):
        words.append(str(state["Error"]))
    checks = state.get("Health", {}).get("Log") or []
    if checks and state["Health"].get("Status") != "healthy":
        words.append(f"its health check says: {checks[-1].get('Output', '').strip()[-300:] or 'nothing'}")
    return "".join(f"; {word}" for word in words)
