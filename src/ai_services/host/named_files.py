"""Which files of this machine a person has named for a host (AI_HOME/hosts/HOST/files.json).

A release notes the settings that it was made with, files by their place, and a later run takes them from there. Were
that enough, a host in strangers' hands could name any file of the operator's machine, and would be sent it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from ai_services.host.target import Target
from ai_services.local.home import Home, write_atomically

_ENDING: Final = "_file"


def named(home: Home, target: Target) -> dict[str, str]:
    """Return the files that were named here for this host: setting -> place."""
    try:
        found = json.loads(_place(home, target).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(place) for name, place in found.items()} if isinstance(found, dict) else {}


def remember(home: Home, target: Target, settings: Mapping[str, Any]) -> None:
    """Note the files among `settings`, which somebody has given here; what was noted of others stays."""
    before = named(home, target)
    after = before | among(settings)
    if after != before:
        place = _place(home, target)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(place, json.dumps(after, indent=1, sort_keys=True) + "\n")


def among(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the files among `settings`: setting -> place."""
    return {name: str(value) for name, value in settings.items() if name.endswith(_ENDING) and value}


def _place(home: Home, target: Target) -> Path:
    return home.root / "hosts" / target.file_name / "files.json"
