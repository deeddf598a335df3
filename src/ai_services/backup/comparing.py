"""What a host has against what an archive holds: before a restore what goes, after it what is not as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ai_services.backup.host.archive import MARK_DIGITS, ArchiveError, Manifest
from ai_services.backup.onhost import ask
from ai_services.exits import OperatorError
from ai_services.host.target import Target

# Made anew by each deploy from the others, or of this very host.
_MADE_ANEW = ("secrets/docker/", "letsencrypt/renewal/", "record/", "ca/")


@dataclass(frozen=True)
class Differences:
    """Names in an archive that a host has otherwise or not at all, and settings that differ."""

    keys: list[str]
    certificates: list[str]
    settings: list[str]
    models: list[dict[str, str]]

    def words(self) -> list[str]:
        """Return a line for each kind."""
        return [
            f"{what}: {', '.join(names)}"
            for what, names in (
                ("keys and secrets", [name.removeprefix("secrets/") for name in self.keys]),
                ("certificates", sorted({_lineage(name) for name in self.certificates})),
                ("settings", self.settings),
            )
            if names
        ]


@dataclass(frozen=True)
class There:
    """What a host has: what it would save now, or where nothing is deployed, the names of keys that were left there."""

    manifest: Manifest | None
    kept: list[str]


def look(target: Target) -> There:
    """Look at the host. Raises as `ask` does."""
    said = ask(target, "look")
    try:
        raw = json.loads(said)
        manifest = Manifest.from_json(raw["manifest"]) if raw["manifest"] else None
        return There(manifest, [str(name) for name in raw["kept"]])
    except (ArchiveError, ValueError, KeyError, TypeError) as error:
        raise OperatorError(f"{target} did not say what it has: {error}") from None


def is_of(saved: Manifest, there: Manifest) -> bool:
    """Whether the archive is one of this very host: of its domain, or without one of its machine."""
    if saved.domain or there.domain:
        return saved.domain == there.domain
    return saved.id[:MARK_DIGITS] == there.id[:MARK_DIGITS]


def differences(saved: Manifest, there: Manifest) -> Differences:
    """Return what the host has otherwise than the archive."""
    has = {entry.name: entry.sha256 for entry in there.files}
    other = [
        entry.name
        for entry in saved.files
        if has.get(entry.name) != entry.sha256 and not entry.name.startswith(_MADE_ANEW)
    ]
    named = {(model.get("engine"), model.get("name")): model.get("digest") for model in there.models}
    return Differences(
        keys=[name for name in other if name.startswith("secrets/")],
        certificates=[name for name in other if name.startswith(("letsencrypt/", "own/"))],
        settings=sorted(name for name, value in saved.settings.items() if _differs(name, value, there.settings)),
        models=[
            model
            for model in saved.models
            if named.get((model.get("engine"), model.get("name"))) != model.get("digest")
        ],
    )


def _differs(name: str, value: Any, settings: dict[str, Any]) -> bool:
    # Where an operator keeps a file is nothing of the host's.
    return not name.endswith("_file") and name in settings and settings[name] != value


def _lineage(name: str) -> str:
    parts = name.split("/")
    return parts[2] if name.startswith("letsencrypt/lineages/") else "/".join(parts[1:])
