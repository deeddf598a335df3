"""The variables as a table: what documents, role specs and error messages are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from ai_services.host.settings import About, HostSettings
from ai_services.host.settings_kinds import Kind


@dataclass(frozen=True)
class Variable:
    """One row: `name` with its `ai_`, default in its one form, kind, sentence, and what `About` holds."""

    name: str
    default: Any
    kind: Kind
    text: str
    about: About

    @property
    def given_as_file(self) -> bool:
        """Whether its value is the path of a file on the operator's machine."""
        return self.name.endswith("_file")


@cache
def variables() -> dict[str, Variable]:
    """Return every variable by its name, in the order of the documents."""
    return table(HostSettings)


@cache
def table(model: type[BaseModel]) -> dict[str, Variable]:
    """Return the variables of a model whose fields are made by `settings.setting`."""
    rows: dict[str, Variable] = {}
    for name, field in model.model_fields.items():
        kind = next(part for part in field.metadata if isinstance(part, Kind))
        extra = field.json_schema_extra
        about: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
        rows[name] = Variable(name, field.default, kind, field.description or "", About(**about))
    return rows


@cache
def renamed() -> dict[str, str]:
    """Return former names and the names of today."""
    return {old: row.name for row in variables().values() for old in row.about.formerly}


def secret_values() -> list[str]:
    """Return the variables whose very value is a secret, and not the path of a file with one."""
    return [row.name for row in variables().values() if row.about.secret and not row.given_as_file]
