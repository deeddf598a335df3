"""What was given for Terraform's variables: read by the same kinds as a host's settings, refused by the same names."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticCustomError

from ai_services.exits import USAGE, OperatorError
from ai_services.host.machine_settings import FOR_ALL
from ai_services.host.settings_load import Problem, unknown
from ai_services.host.terraform_files import all_variables
from ai_services.host.values import Given
from ai_services.private import write_private

HOSTS: Final = "ai_hosts"
# The one host where ai_hosts names none.
ONE: Final = "ai"


@dataclass(frozen=True)
class Values:
    """Values by name, each in its one form; `secrets` are those whose very value is one."""

    plain: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    @property
    def hosts(self) -> dict[str, dict[str, Any]]:
        """What each host was given of its own."""
        hosts: dict[str, dict[str, Any]] = self.plain.get(HOSTS) or {ONE: {}}
        return hosts

    def of(self, name: str, default: Any = None) -> set[Any]:
        """Return the values that the hosts have of `name`; `default`, or the setting's own, where none was given."""
        common = self.plain.get(name, all_variables()[name].default if default is None else default)
        return {host.get(name, common) for host in self.hosts.values()}

    def write(self, folder: Path) -> list[Path]:
        """Write files for -var-file, 0600; one value a line, for Terraform quotes lines that it complains of."""
        files = []
        for stem, content in (("values", self.plain), ("secrets", self.secrets)):
            if content:
                file = folder / f"{stem}.tfvars.json"
                write_private(file, json.dumps(content, indent=1, ensure_ascii=False))
                files.append(file)
        return files


def names() -> list[str]:
    """Return every name that may be given."""
    return [HOSTS, *all_variables()]


def read(given: Given) -> Values:
    """Return what was given.

    Raises:
        OperatorError: with every problem on its own line, and where the value came from.
    """
    problems: list[tuple[Problem, str]] = []
    plain: dict[str, Any] = {}
    for name, value in given.values.items():
        if name == HOSTS:
            plain[HOSTS] = {}
            for host, own, found in _hosts(value):
                plain[HOSTS][host] = own
                problems += [(problem, name) for problem in found]
        else:
            problems += [(problem, name) for problem in _take(name, value, plain)]
    if problems:
        lines = [f"{problem}{f' ({place})' if (place := given.places.get(name)) else ''}" for problem, name in problems]
        count = "One value is" if len(lines) == 1 else f"{len(lines)} values are"
        raise OperatorError(
            f"{count} not right; nothing was changed.\n  " + "\n  ".join(lines),
            hint="All names, with defaults and limits: docs/settings.md and docs/terraform-reference.md",
            exit_code=USAGE,
        )
    hidden = {name for name, row in all_variables().items() if row.about.secret and not row.given_as_file}
    return Values(
        {name: value for name, value in plain.items() if name not in hidden},
        {name: str(value) for name, value in plain.items() if name in hidden and value is not None},
    )


def _hosts(value: Any) -> Iterator[tuple[str, dict[str, Any], list[Problem]]]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping) or not value:
        right = "Write a short name for each host, and its own values below it; docs/terraform.md shows one."
        yield "", {}, [Problem(HOSTS, "is no table of hosts", right)]
        return
    for host, own in value.items():
        taken: dict[str, Any] = {}
        found: list[Problem] = []
        if not isinstance(own, Mapping) and own is not None:
            found = [Problem(f"{HOSTS}.{host}", "holds no values", "Write `name: value` lines below it.")]
        for name, inner in own.items() if isinstance(own, Mapping) else ():
            if name in FOR_ALL:
                found.append(Problem(name, "is one for all hosts", "Write it beside ai_hosts, not in it."))
            else:
                found += _take(str(name), inner, taken)
        yield str(host), taken, [Problem(f"{HOSTS}.{host}.{p.name}", p.what, p.right) for p in found]


def _take(name: str, value: Any, into: dict[str, Any]) -> list[Problem]:
    row = all_variables().get(name)
    if row is None:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.75)
        return [Problem(name, "is not a setting", f"Did you mean {near[0]}?")] if near else [unknown(name)]
    if value is None:
        return []
    try:
        into[name] = row.kind.take(value)
    except PydanticCustomError as error:
        context = error.context or {}
        return [Problem(name, str(context.get("what", error)), str(context.get("right", "")))]
    return []
