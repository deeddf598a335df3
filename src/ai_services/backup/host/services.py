"""What else services want saved: /opt/ai/backup/services.json, made from bootstrap/ai/backup/<service>.yaml.

Whoever runs something of their own on the host may declare it in own.json beside that, in the same way.

{"<service>": {"dumps":   [{"name", "container", "save": [words], "restore": [words]}],
               "volumes": ["<Docker volume>"]}}

`save` runs in the container and says on its output what is to be kept; `restore` takes the same on its input. A service
whose container is not there at all is not deployed, and has nothing to save.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.backup.host.archive import SERVICE, Stream, is_name

_DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,100}")


class DeclarationError(Exception):
    """A service's declaration makes no sense; the message says which and what would."""


@dataclass(frozen=True)
class Declared:
    """One thing to save: a dump of `container` by `save` and `restore`, or the tree of `volume`."""

    stream: Stream
    container: str = ""
    save: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    volume: str = ""


def read(*paths: Path) -> list[Declared]:
    """Return what is declared in the files; nothing where one is not there.

    Raises:
        DeclarationError: one is not as it has to be, or two declare the same.
    """
    found: dict[Stream, Declared] = {}
    for path in paths:
        try:
            declared = parse(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            continue
        except ValueError:
            raise DeclarationError(f"{path} is no JSON.") from None
        except DeclarationError as error:
            raise DeclarationError(f"{path}: {error}") from None
        for each in declared:
            if each.stream in found:
                raise DeclarationError(f"{path}: {each.stream} is declared elsewhere too.")
            found[each.stream] = each
    return list(found.values())


def parse(raw: Any) -> list[Declared]:
    """Return what the object declares. Raises as `read` does."""
    if not isinstance(raw, dict):
        raise DeclarationError("What services want saved has to be an object, by service.")
    found: list[Declared] = []
    for service, wants in sorted(raw.items()):
        if not SERVICE.fullmatch(str(service)) or not isinstance(wants, dict) or set(wants) - {"dumps", "volumes"}:
            raise DeclarationError(f"{service}: give dumps and volumes, and nothing else.")
        found += [_dump(service, dump) for dump in wants.get("dumps") or []]
        for volume in wants.get("volumes") or []:
            if not isinstance(volume, str) or not _DOCKER_NAME.fullmatch(volume) or not is_name(volume):
                raise DeclarationError(f"{service}: {volume!r} is no name of a volume.")
            found.append(Declared(Stream(service, volume, "tree"), volume=volume))
    return found


def _dump(service: str, raw: Any) -> Declared:
    wanted = {"name", "container", "save", "restore"}
    if not isinstance(raw, dict) or set(raw) != wanted:
        raise DeclarationError(f"{service}: a dump needs {', '.join(sorted(wanted))}, and nothing else.")
    name, container = str(raw["name"]), str(raw["container"])
    if not is_name(name) or "/" in name or not _DOCKER_NAME.fullmatch(container):
        raise DeclarationError(f"{service}: {name!r} or {container!r} is no proper name.")
    words: list[tuple[str, ...]] = []
    for what in ("save", "restore"):
        command = raw[what]
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise DeclarationError(f"{service}: {what} of {name} has to be a command as a list of words.")
        words.append(tuple(command))
    return Declared(Stream(service, name, "dump"), container, save=words[0], restore=words[1])
