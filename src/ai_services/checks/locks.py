"""Whether `requirements/*.txt` still hold what `requirements/*.in` and the packages ask for. Needs no network.

A resolver could say more, but a resolver needs an index; what goes wrong in practice is a name added to an `.in` file
or a pyproject without a new lock, and that is visible from the files alone.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MEND = "run `sh requirements/compile.sh` and commit what it changed"
PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


@dataclass
class Lock:
    """One compiled file: canonical name -> pinned versions (more than one where markers tell platforms apart)."""

    versions: dict[str, set[str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def findings(top: Path) -> list[str]:
    """What is out of date or unhashed, one line each, with the command that mends it."""
    folder = top / "requirements"
    own = _own_packages(top)
    found: list[str] = []
    locks: dict[str, Lock] = {}
    for source in sorted(folder.glob("*.in")):
        compiled = source.with_suffix(".txt")
        if not compiled.is_file():
            found.append(f"requirements/{compiled.name} is missing; {MEND}")
            continue
        lock = locks[source.stem] = _read_lock(compiled)
        found += [f"requirements/{compiled.name}: {problem}" for problem in lock.problems]
        for origin, requirement in _asked_for(source, own):
            found += _unmet(lock, requirement, f"requirements/{compiled.name}", origin)
    found += _disagreements(locks)
    return found


def _own_packages(top: Path) -> dict[str, Path]:
    """Canonical name -> pyproject.toml of the packages that live in this repository."""
    projects = [top / "pyproject.toml", *top.glob("libs/*/pyproject.toml"), *top.glob("images/*/pyproject.toml")]
    return {canonicalize_name(tomllib.loads(p.read_text())["project"]["name"]): p for p in projects if p.is_file()}


def _read_lock(path: Path) -> Lock:
    lock = Lock()
    for entry in re.split(r"\n(?=\S)", path.read_text()):
        line = entry.strip()
        if not line or line.startswith(("#", "--")):
            continue
        pin = PIN.match(line)
        if pin is None:
            lock.problems.append(f"`{line.splitlines()[0]}` is not pinned with ==; {MEND}")
            continue
        if not HASH.search(entry):
            lock.problems.append(f"{pin['name']} has no sha256 hash; {MEND}")
        lock.versions.setdefault(canonicalize_name(pin["name"]), set()).add(pin["version"])
    return lock


def _asked_for(source: Path, own: dict[str, Path]) -> list[tuple[str, Requirement]]:
    """(where it is asked for, requirement) of an `.in` file, following -r and our own packages."""
    asked: list[tuple[str, Requirement]] = []
    pending: list[tuple[str, str]] = []
    seen: set[str] = set()
    sources = [source]
    while sources:
        current = sources.pop()
        for raw in current.read_text().splitlines():
            line = raw.partition("#")[0].strip()
            if line.startswith("-r "):
                sources.append(current.parent / line[3:].strip())
            elif line and not line.startswith("-"):
                pending.append((f"requirements/{current.name}", line))
    while pending:
        origin, line = pending.pop()
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name not in own:
            asked.append((origin, requirement))
        elif name not in seen:
            seen.add(name)
            project = tomllib.loads(own[name].read_text())["project"]
            where = own[name].parent.name if own[name].parent.parent.name in {"libs", "images"} else "the root"
            pending += [(f"pyproject.toml of {where}", wanted) for wanted in project.get("dependencies", [])]
    return asked


def _unmet(lock: Lock, requirement: Requirement, locked_in: str, origin: str) -> list[str]:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return []
    versions = lock.versions.get(canonicalize_name(requirement.name))
    if not versions:
        return [f"{locked_in} lacks {requirement.name}, which {origin} asks for; {MEND}"]
    if not any(requirement.specifier.contains(version, prereleases=True) for version in versions):
        return [
            f"{locked_in} pins {requirement.name} to {', '.join(versions)}; {origin} asks for {requirement}; {MEND}"
        ]
    return []


def _disagreements(locks: dict[str, Lock]) -> list[str]:
    """Names that a user's set and `dev` pin to different versions: the tests would not test what users run."""
    if "dev" not in locks:
        return []
    dev = locks["dev"].versions
    return [
        f"{name} is {', '.join(sorted(versions))} in {used}.txt and {', '.join(sorted(dev.get(name, {'missing'})))} "
        f"in dev.txt: the tests would run on other versions than the users; {MEND}"
        for used in ("local", "deploy", "provision")
        if used in locks
        for name, versions in sorted(locks[used].versions.items())
        if versions != dev.get(name)
    ]
