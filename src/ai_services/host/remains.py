"""What of ours is on a host: for `destroy`, which shows it before anything goes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from ai_services.exits import FAILED, OperatorError
from ai_services.host.target import Target

# Runs on the host, as root, from standard input: nothing is written there.
_LOOK: Final = r"""
import json, os, subprocess
def said(*words):
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=40, check=False)
        return done.stdout.decode(errors="replace").split("\n") if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired):
        return []
def mib(path):
    words = said("du", "-sxk", path)
    return int(words[0].split()[0]) // 1024 if words and words[0] else 0
notes = {}
found = "/var/lib/ai-services/found"
for name in sorted(os.listdir(found)) if os.path.isdir(found) else []:
    if name.endswith(".json"):
        try:
            with open(os.path.join(found, name)) as opened:
                notes[name[:-5]] = json.load(opened)
        except ValueError:
            notes[name[:-5]] = {}
volumes = {}
for name in filter(None, said("docker", "volume", "ls", "-q")):
    project = said("docker", "volume", "inspect", "-f", '{{index .Labels "com.docker.compose.project"}}', name)
    if name in ("ollama", "huggingface") or project[:1] == ["ai"]:
        place = said("docker", "volume", "inspect", "-f", "{{.Mountpoint}}", name)
        volumes[name] = mib(place[0]) if place and place[0] else 0
# Where Docker has gone already, what it kept is still there.
kept = "/var/lib/docker/volumes"
for name in ("ollama", "huggingface", "prometheus", "grafana"):
    if name not in volumes and os.path.isdir(os.path.join(kept, name, "_data")) and not said("docker", "version"):
        volumes[name] = mib(os.path.join(kept, name))
try:
    with open("/opt/ai/backup/plan.json") as opened:
        backups = json.load(opened)["to"]
    backups = backups if os.path.isdir(backups) and os.listdir(backups) else ""
except (OSError, ValueError, KeyError, TypeError):
    backups = ""
try:
    with open("/opt/ai/migration/current/state.json") as opened:
        state = json.load(opened)
    migration = state["id"] if state["phase"] in ("begun", "migrated", "undoing") else ""
except (OSError, ValueError, KeyError, TypeError):
    migration = ""
label = "label=com.docker.compose.project=ai"
print(json.dumps({
    "containers": [name for name in said("docker", "ps", "-a", "--filter", label, "--format", "{{.Names}}") if name],
    "strangers": [name for name in said("docker", "ps", "-a", "--format", "{{.Names}}") if name],
    "volumes": volumes,
    "packages": sorted({p for n in notes.values() for p, was in n.get("packages", {}).items() if not was}),
    "roles": sorted(notes),
    "stack": os.path.isdir("/opt/ai"),
    "secrets": os.path.isdir("/opt/ai/secrets") and bool(os.listdir("/opt/ai/secrets")),
    "backups": backups,
    "migration": migration,
    "certificates": sorted(os.listdir("/etc/letsencrypt/live")) if os.path.isdir("/etc/letsencrypt/live") else [],
}))
"""


@dataclass(frozen=True)
class Remains:
    """What is there: names of containers, volumes (MiB each), packages that we brought, roles that left a note.

    `backups` is the directory in which they lie, if any do; `migration` the id of one that can be taken back.
    """

    containers: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    volumes: dict[str, int] = field(default_factory=dict)
    packages: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    stack: bool = False
    secrets: bool = False
    certificates: list[str] = field(default_factory=list)
    backups: str = ""
    migration: str = ""

    @property
    def nothing(self) -> bool:
        """Whether the host bears no trace of ours, data included."""
        return not (self.containers or self.volumes or self.packages or self.roles or self.stack)

    def goes(self, *, data: bool) -> list[str]:
        """Say in words what destroying takes away."""
        lines = []
        if self.containers:
            lines.append(f"containers {', '.join(self.containers)}, their images and networks")
        if self.stack:
            lines.append(
                "/opt/ai: releases, journal and the doctor" + (", keys and secrets" if data and self.secrets else "")
            )
        if "nginx" in self.roles or "firewall" in self.roles or "certbot_cloudflare" in self.roles:
            lines.append("what was set up in nginx, the firewall and certbot")
        if names := [name for name in self.certificates if name != "README"]:
            lines.append(f"certificates that were obtained for it: {', '.join(names)} (others stay)")
        if self.packages:
            lines.append(f"packages that were not there before: {', '.join(self.packages)}")
        if data:
            lines += [f"DATA: {line}" for line in self._data()]
        return lines

    def stays(self, *, data: bool) -> list[str]:
        """Say in words what destroying leaves."""
        lines = [] if data else self._data()
        if others := [name for name in self.strangers if name not in self.containers]:
            lines.append(f"containers that are not ours: {', '.join(others)}, and Docker for them")
        if self.backups:
            lines.append(f"backups in {self.backups}")
        lines.append("whatever was there before, as it was")
        return lines

    def _data(self) -> list[str]:
        lines = [f"volume {name} ({size} MiB)" for name, size in sorted(self.volumes.items())]
        if self.secrets:
            lines.append("keys and secrets in /opt/ai/secrets")
        return lines


def look(target: Target) -> Remains:
    """Look at the host; takes a few seconds.

    Raises:
        OperatorError: it cannot be reached, or its answer makes no sense.
    """
    done = target.run(target.as_root("python3 -"), stdin=_LOOK, timeout_s=120)
    try:
        content: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise OperatorError(
            f"What is on {target} could not be seen.", hint=f"It said: {done.stderr.strip()[-300:]}", exit_code=FAILED
        ) from None
    return Remains(**content)
