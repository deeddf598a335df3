"""Bringing a model onto this machine: out of a package, or from the hub; space is checked first."""

from __future__ import annotations

import hashlib
import importlib
import os
from pathlib import Path

from ai_services.console import Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.models.resolve import Reference
from ai_services.models.room import require_space


def fetch(reference: Reference, models: Path, screen: Screen) -> Path:
    """Return the path of the model's file (llm) or directory (speech), fetched now if it is not there.

    Raises:
        OperatorError: no space, no network, no access, or the content is not what its checksum says.
    """
    if reference.origin == "path":
        return Path(reference.where)
    if reference.origin == "package":
        return _from_package(reference, models, screen)
    from ai_services.models.hub import download

    return download(reference, models, screen)


def _from_package(reference: Reference, models: Path, screen: Screen) -> Path:
    try:
        package = importlib.import_module(reference.where)
    except ImportError as error:
        raise OperatorError(
            f"The package {reference.where} that carries {reference.name} is not installed.",
            hint="Remove .venv and call ./ai again.",
            exit_code=BLOCKED,
        ) from error
    if reference.kind == "speech":
        return Path(str(package.get_model_path()))
    return _assembled(reference, package.chunk_paths(), models, screen)


def _assembled(reference: Reference, parts: list[Path], models: Path, screen: Screen) -> Path:
    # The package can do this itself, but in place (a killed run leaves half a file) and without a word.
    known = reference.entry.sha256 if reference.entry else {}
    ((name, expected),) = known.items()
    target = models / name
    total = sum(part.stat().st_size for part in parts)
    if target.exists() and target.stat().st_size == total:
        return target
    require_space(models, total >> 20, reference.name)
    temporary = target.with_suffix(".partial")
    digest = hashlib.sha256()
    try:
        with screen.transfer(f"assembling {reference.name}", total) as advance, temporary.open("wb") as out:
            for part in parts:
                with part.open("rb") as stream:
                    while block := stream.read(4 << 20):
                        digest.update(block)
                        out.write(block)
                        advance(out.tell())
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != expected:
            raise OperatorError(
                f"{reference.name} from its package has the wrong checksum: {digest.hexdigest()}, not {expected}.",
                hint="The installation is damaged. Remove .venv and call ./ai again.",
            )
        temporary.replace(target)
    except OSError as error:
        raise OperatorError(
            f"{target} could not be written: {error.strerror}.",
            hint="Free some space, or put the stack elsewhere: AI_HOME=/path ./ai up",
            exit_code=BLOCKED,
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return target
