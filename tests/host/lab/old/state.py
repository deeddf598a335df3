"""All of an old host that a rollback must give back: its footprint, and what Docker holds, byte by byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from host.lab import engine
from host.lab.footprint import Footprint

# Docker's own account of when and where: another after each start, whoever starts it
_PASSING = ("State", "NetworkSettings", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver")
# filled in by some starts of the daemon and not by others
_PASSING_HOST = ("MaskedPaths", "ReadonlyPaths")


@dataclass(frozen=True)
class OldState:
    """What was seen: files and units as a Footprint, containers, volumes and images as Docker tells them."""

    footprint: Footprint
    docker: dict[str, Any]

    @classmethod
    def of(cls, container: str) -> OldState:
        """Look at a host now. A host without Docker has nothing in `docker`."""
        return cls(Footprint.of(container), _docker(container))

    def differences(self, later: OldState, *, ours: tuple[str, ...] = ()) -> list[str]:
        """What is otherwise in `later`; names and images that begin with one of `ours` do not count.

        A container that was made anew (another id) is told, and one that runs no more, or only now.
        """
        found = self.footprint.differences(later.footprint)
        for kind in sorted(self.docker.keys() | later.docker.keys()):
            then, now = self.docker.get(kind, {}), later.docker.get(kind, {})
            for name in sorted(then.keys() | now.keys()):
                if name.startswith(ours) if ours else False:
                    continue
                if name not in then or name not in now:
                    found.append(f"{kind} {name}: {'is new' if name in now else 'is gone'}")
                elif then[name] != now[name]:
                    found.append(f"{kind} {name}: {_told(then[name], now[name])}")
        return found


def _docker(container: str) -> dict[str, Any]:
    if not engine.run_in(container, ["sh", "-c", "command -v docker || true"]).strip():
        return {}
    return {
        "container": {one["Name"].lstrip("/"): _lasting(one) for one in _inspected(container, "container", "ps -aq")},
        "volume": {one["Name"]: one.get("Labels") for one in _inspected(container, "volume", "volume ls -q")},
        "image": {
            tag: one["Id"]
            for one in _inspected(container, "image", "image ls -q")
            for tag in one.get("RepoTags") or [one["Id"]]
        },
    }


def _inspected(container: str, kind: str, listing: str) -> list[dict[str, Any]]:
    script = f"ids=$(docker {listing} | sort -u); [ -z \"$ids\" ] && echo '[]' || docker {kind} inspect $ids"
    found: list[dict[str, Any]] = json.loads(engine.run_in(container, ["sh", "-c", script]))
    return found


def _lasting(one: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in one.items() if name not in _PASSING}
    # an engine that reads its own notes after a start writes nothing and an empty list in the same place
    told = {name: value for name, value in one["HostConfig"].items() if value not in (None, [])}
    kept["HostConfig"] = {name: value for name, value in told.items() if name not in _PASSING_HOST}
    kept["running"] = one["State"]["Running"]
    kept.pop("RestartCount", None)
    return kept


def _told(then: Any, now: Any) -> str:
    if isinstance(then, dict) and isinstance(now, dict):
        return "; ".join(
            f"{name} {_told(then.get(name), now.get(name))}"
            for name in sorted(then.keys() | now.keys())
            if then.get(name) != now.get(name)
        )
    return f"was {then!r}, is {now!r}"
