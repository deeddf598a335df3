"""docker compose on one release, and waiting until what it started really works."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .engine import Engine

PROJECT = "ai"
_UP_TIMEOUT_S = 600
_QUICK_TIMEOUT_S = 60
_LOOK_EVERY_S = 0.5
_LAST_LINES = 20
# So many starts of one container within one wait are no slow start any more.
_RESTARTS_ARE_A_LOOP = 4


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
        switched_on = set(self._run(["config", "--services"], _QUICK_TIMEOUT_S).split())
        lines = self._run(["config", "--hash", "*"], _QUICK_TIMEOUT_S).splitlines()
        return {name: value for name, value in (line.split() for line in lines if line.strip()) if name in switched_on}

    def differences(self) -> list[str]:
        """What `up` would have to do, in words; empty when everything runs as the release has it."""
        wanted = self.services()
        running = {found["Labels"]["com.docker.compose.service"]: found for found in self.engine.containers(PROJECT)}
        words = []
        for name, digest in wanted.items():
            found = running.get(name)
            if found is None:
                words.append(f"{name}: start it")
            elif found["Labels"].get("com.docker.compose.config-hash") != digest:
                words.append(f"{name}: replace it, it was made from another configuration")
            elif found["State"] != "running":
                words.append(f"{name}: start it again, it is {found['State']}")
        return words + [f"{name}: remove it" for name in running if name not in wanted]

    def up(self) -> None:
        """Start what is missing, replace what has changed, remove what is gone.

        Raises:
            ComposeError: with compose's last words.
        """
        # Images were pulled before: a rollback must not depend on a registry.
        self._run(["up", "--detach", "--remove-orphans", "--no-build", "--pull", "never"], _UP_TIMEOUT_S)

    def wait_healthy(self, timeout_s: float, services: Iterable[str] | None = None) -> None:
        """Return as soon as every service (or those named) is running and healthy.

        Raises:
            UnhealthyError: one was not within `timeout_s`, or starts over and over.
        """
        names = sorted(services if services is not None else self.services())
        ends_at = time.monotonic() + timeout_s
        restarts: dict[str, int] = {}
        while True:
            states = {name: self._state(name) for name in names}
            sick = {name: state for name, state in states.items() if not _is_well(state)}
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

    def _state(self, service: str) -> dict[str, Any]:
        return self.engine.container(service) or {}

    def _complaint(self, sick: dict[str, dict[str, Any]], what: str) -> str:
        parts = [f"{', '.join(sorted(sick))}: {what}."]
        for name, found in sorted(sick.items()):
            state = found.get("State", {})
            parts.append(f"-- {name} is {state.get('Status', 'not there')}{_said(state)}")
            if found:
                parts += [f"   {line}" for line in self.engine.logs(name, _LAST_LINES)]
        return "\n".join(parts)

    def _run(self, arguments: list[str], timeout_s: float) -> str:
        command = [
            "docker", "compose", "--project-name", PROJECT, "--project-directory", str(self.root),
            "--env-file", str(self.release_dir / ".env"), "--file", str(self.release_dir / "compose.yaml"),
            *arguments,
        ]  # fmt: skip
        # COMPOSE_* of whoever runs this must not choose other files or profiles than the release has.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise ComposeError(f"docker compose {arguments[0]} did not end within {timeout_s:g} s.") from error
        except FileNotFoundError as error:
            raise ComposeError("There is no docker on this host: the role docker installs it.") from error
        if done.returncode != 0:
            words = "\n".join(done.stderr.strip().splitlines()[-_LAST_LINES:])
            raise ComposeError(f"docker compose {arguments[0]} failed ({done.returncode}):\n{words}")
        return done.stdout


def _is_well(found: dict[str, Any]) -> bool:
    state = found.get("State", {})
    health = state.get("Health", {}).get("Status", "healthy")
    return bool(state.get("Status") == "running" and health == "healthy")


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
