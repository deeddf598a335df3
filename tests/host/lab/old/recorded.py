"""The recorded shapes of the old APIs, and a client that asks for each and says what is otherwise."""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

SHAPES = Path(__file__).parent / "shapes"
APIS = tuple(sorted(path.stem for path in SHAPES.glob("*.yaml")))
TIMEOUT_S = 120
# that many of the sentence's words must be in a text that is said to hold it
WORDS_HEARD = 0.7
_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "int": (int,), "float": (float, int), "bool": (bool,), "null": (type(None),), "any": (object,),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One request and what came of it."""

    api: str
    name: str
    request: dict[str, Any]
    status: int
    raw: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.api}: {self.name}"


@dataclass
class Caller:
    """Somebody who uses an old API at `url`: `files` by kind, `said` is what the sound says."""

    url: str
    files: dict[str, bytes]
    said: str
    headers: dict[str, str] = field(default_factory=dict)
    verify: str | bool = True
    kept: dict[str, str] = field(default_factory=dict)

    def differences(self, case: Case) -> list[str]:
        """Ask for `case`; answers what is otherwise than recorded, empty when nothing is."""
        answer = self.ask(case)
        until = case.raw.get("until", {})
        deadline = time.monotonic() + TIMEOUT_S
        while until and answer.ok and not until.items() <= answer.json().items() and time.monotonic() < deadline:
            time.sleep(0.1)
            answer = self.ask(case)
        if answer.status_code != case.status:
            return [f"status {answer.status_code} instead of {case.status}: {answer.text[:300]}"]
        for name, member in case.raw.get("keep", {}).items():
            self.kept[f"${name}"] = answer.json()[member]
        return list(self._differences(case.raw, answer))

    def ask(self, case: Case) -> requests.Response:
        """Send the request of `case` as it stands."""
        wanted = case.request
        query = {name: self.kept.get(value, value) for name, value in wanted.get("query", {}).items()}
        form: dict[str, Any] = {name: (None, value) for name, value in wanted.get("form", {}).items()}
        if "upload" in wanted:
            kind = wanted.get("file", "wav")
            form[wanted["upload"]] = (f"sentence.{kind}", self.files[kind])
        return requests.request(
            wanted["method"], self.url + wanted["path"], params=query, files=form or None, allow_redirects=False,
            headers=self.headers | wanted.get("headers", {}), timeout=TIMEOUT_S, verify=self.verify,
        )  # fmt: skip

    def _differences(self, recorded: dict[str, Any], answer: requests.Response) -> list[str]:
        found = []
        kind = answer.headers.get("content-type")
        if recorded.get("type", kind) != kind:
            found.append(f"content type {kind} instead of {recorded['type']}")
        for name, value in recorded.get("headers", {}).items():
            if answer.headers.get(name) != value:
                found.append(f"header {name} is {answer.headers.get(name)!r} instead of {value!r}")
        if "json" in recorded:
            found += self._unlike(answer.json(), recorded["json"], "")
        if "events" in recorded:
            for event in _events(answer.text):
                found += self._unlike(json.loads(event), recorded["events"], "event")
        if "lines" in recorded:
            found += _other_lines(answer.text, recorded["lines"])
        if recorded.get("words") and not self._heard(answer.text):
            found.append(f"not what was said: {answer.text[:300]!r}")
        return found

    def _unlike(self, value: Any, shape: Any, where: str) -> list[str]:
        if isinstance(shape, dict):
            if not isinstance(value, dict):
                return [f"{where or 'body'} is no object"]
            found = [f"{where}.{name} is missing" for name in shape.keys() - value.keys()]
            found += [f"{where}.{name} is new" for name in value.keys() - shape.keys()]
            for name in shape.keys() & value.keys():
                found += self._unlike(value[name], shape[name], f"{where}.{name}")
            return found
        if isinstance(shape, list):
            if not isinstance(value, list) or (len(shape) > 1 and len(shape) != len(value)) or not value:
                return [f"{where} is not a list like {shape}: {value!r}"]
            shapes = shape if len(shape) > 1 else shape * len(value)
            pairs = enumerate(zip(value, shapes, strict=True))
            return [one for number, pair in pairs for one in self._unlike(*pair, f"{where}[{number}]")]
        return [] if self._is(value, str(shape)) else [f"{where or 'body'} is {value!r}, not {shape}"]

    def _is(self, value: Any, shape: str) -> bool:
        if shape.startswith("="):
            return bool(value == ((shape[1:] == "true") if isinstance(value, bool) else shape[1:]))
        match shape:
            case "words":
                return isinstance(value, str) and self._heard(value)
            case "hex":
                return re.fullmatch("[0-9a-f]{32}", str(value)) is not None
            case "time":
                return isinstance(value, str) and dt.datetime.fromisoformat(value).tzinfo is None
        wanted = tuple(kind for name in shape.split("|") for kind in _TYPES[name])
        return isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted or object in wanted)

    def _heard(self, text: str) -> bool:
        said, heard = (set(re.findall("[a-z]+", words.lower())) for words in (self.said, text))
        return len(said & heard) >= WORDS_HEARD * len(said)


def cases(api: str) -> list[Case]:
    """The recorded requests of `api`, in their order: later ones use what earlier ones gave."""
    content = yaml.safe_load((SHAPES / f"{api}.yaml").read_text())
    return [Case(api, one["name"], one["request"], one["status"], one) for one in content["cases"]]


def _events(text: str) -> list[str]:
    found = [block.removeprefix("data: ") for block in text.split("\n\n") if block]
    return found or ["null"]


def _other_lines(text: str, patterns: list[str]) -> list[str]:
    """Lines beyond the patterns repeat the last ones: longer speech has more of the same."""
    lines = text.split("\n")
    wrong = [
        f"line {number} is {line!r}, not {pattern}"
        for number, (line, pattern) in enumerate(zip(lines, patterns, strict=False))
        if re.fullmatch(pattern, line) is None
    ]
    return wrong or ([f"only {len(lines)} lines: {text!r}"] if len(lines) < len(patterns) else [])
