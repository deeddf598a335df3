"""The model catalogue: `catalogue.yaml`, typed. Source of the figures: the file sizes that the hubs publish."""

from __future__ import annotations

import difflib
from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Kind = Literal["speech", "llm"]


class Sources(BaseModel):
    """Where one model can be had; at least one is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str | None = None
    huggingface: str | None = None
    ollama: str | None = None


class Entry(BaseModel):
    """One model. Sizes in MiB; `sha256` by file name, hexadecimal.

    `chat_template` (Jinja), `stop` and `max_tokens` (most tokens of one answer) are for base models: their file
    brings no chat format, and they do not know when to end.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    kind: Kind
    purpose: str
    sources: Sources
    size_mib: int = Field(gt=0)
    memory_mib: int = Field(gt=0)
    licence: str
    sha256: dict[str, str] = Field(default_factory=dict)
    default: bool = False
    chat_template: str | None = None
    stop: list[str] = Field(default_factory=list)
    max_tokens: int | None = Field(None, gt=0)


@cache
def catalogue() -> tuple[Entry, ...]:
    """Return all entries, in the order of the file."""
    text = Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8")
    return tuple(TypeAdapter(list[Entry]).validate_python(yaml.safe_load(text)))


def find(name: str, kind: Kind) -> Entry | None:
    """Return the entry called `name`, or None. Ollama's ":latest" is no part of a name."""
    wanted = name.removesuffix(":latest")
    return next((entry for entry in catalogue() if entry.kind == kind and entry.name == wanted), None)


def default(kind: Kind) -> Entry:
    """Return the embedded model of a kind."""
    return next(entry for entry in catalogue() if entry.kind == kind and entry.default)


def near(name: str, kind: Kind) -> list[str]:
    """Return up to three catalogue names that look like `name`."""
    return difflib.get_close_matches(name, [entry.name for entry in catalogue() if entry.kind == kind], 3, 0.5)
