"""Where settings are written: ai.yml, the environment, options. The later wins; each remembers where it came from."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from ai_services.exits import USAGE, OperatorError
from ai_services.host.machine_settings import MachineSettings
from ai_services.host.settings import HostSettings
from ai_services.host.settings_load import Purpose, SettingsError, load
from ai_services.host.settings_table import table, variables

DEFAULT_FILE: Final = "ai.yml"


@dataclass
class Given:
    """What was given so far: values by name, and the place of each in words."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, place: str) -> None:
        """Take `value`; it replaces whatever was given before."""
        self.values[name], self.places[name] = value, place

    def settings(self, purpose: Purpose) -> HostSettings:
        """Return the validated settings.

        Raises:
            OperatorError: with every problem on its own line, and where the value came from.
        """
        try:
            return load(self.values, purpose)
        except SettingsError as error:
            lines = [
                f"{problem}{f' ({place})' if (place := self.places.get(problem.name)) else ''}"
                for problem in error.problems
            ]
            count = "One setting is" if len(lines) == 1 else f"{len(lines)} settings are"
            raise OperatorError(
                f"{count} not right; the host was not touched.\n  " + "\n  ".join(lines),
                hint="All names, with defaults and limits: docs/settings.md; an example: bootstrap/ai/ai.example.yml",
                exit_code=USAGE,
            ) from None


def collect(
    *,
    config: str | None = None,
    pairs: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] = os.environ,
    names: Iterable[str] | None = None,
) -> Given:
    """Gather from, in this order: the file, TF_VAR_ai_*, AI_*, `pairs` (name=value), `options` (name -> value or None).

    `names` are what the environment is asked for; a host's settings where none are given.
    Without `config`, `ai.yml` in the working directory is read if it is there.

    Raises:
        OperatorError: the file is not to be read, or a pair is none.
    """
    given = Given()
    path = Path(config).expanduser() if config else Path(DEFAULT_FILE)
    if config or path.is_file():
        for name, value in _read(path).items():
            # One file does for both: what it says of the machine itself is `provision`'s business.
            if names is not None or name not in table(MachineSettings):
                given.put(name, value, f"from {path}")
    for prefix in ("TF_VAR_", ""):
        for name in variables() if names is None else names:
            variable = prefix + (name if prefix else name.upper())
            if value := environment.get(variable):
                given.put(name, _unquoted(value) if prefix else value, f"from the environment: {variable}")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise OperatorError(
                f'--set "{name[:40]}" has no value.', hint="Write --set ai_ollama_model=qwen2.5:1.5b", exit_code=USAGE
            )
        given.put(name.strip(), value, "from --set")
    for name, value in (options or {}).items():
        if value is not None:
            given.put(name, value, f"from --{name.removeprefix('ai_').replace('_', '-')}")
    return given


def _unquoted(value: str) -> Any:
    """Read a list or a table as Terraform takes it from its environment: TF_VAR_ai_profiles='["monitoring"]'."""
    if value.lstrip().startswith(("[", "{")):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


class _Loader(yaml.SafeLoader):
    """YAML as it is, except that a name given twice is an error and not the later one."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is given twice", key_node.start_mark)
        seen.add(key)
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def _read(path: Path) -> dict[str, Any]:
    try:
        # A subclass of SafeLoader: no tag in the file makes an object.
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # see above
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read: {error.strerror}.",
            hint="Begin with a copy: cp bootstrap/ai/ai.example.yml ai.yml",
            exit_code=USAGE,
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or "it is not UTF-8 text"
        raise OperatorError(
            f"{path}{where} is not YAML: {what}.", hint="Correct that line; `yamllint` says more.", exit_code=USAGE
        ) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise OperatorError(
            f"{path} holds no settings.", hint="Write one `name: value` a line, as in ai.example.yml.", exit_code=USAGE
        )
    return {str(name): value for name, value in content.items()}
