"""By what each known speech API is told from others: its image, its command and package, its routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from ai_services.migrate.found import Api, Fact, Store
from ai_services.migrate.seen import Answer


@dataclass(frozen=True)
class Mark:
    """What tells one API: patterns of image and command, packages, and routes that only it has together."""

    api: Api
    image: str
    command: str
    packages: tuple[str, ...]
    routes: tuple[str, ...]
    port: int
    models: tuple[str, ...]
    key_variables: tuple[str, ...] = ()


# Sources: the first version's README; mayniklas/whisper_api (src/whisper_api/api_endpoints), ahmetoner/
# whisper-asr-webservice (app/webservice.py, app/config.py), speaches-ai/speaches (src/speaches/{main,config}.py,
# docs/installation.md) and its images' former name fedirz/faster-whisper-server.
MARKS: Final = (
    Mark(
        "asr", r"(?:^|/)openai-whisper-asr-webservice(?::|@|$)", r"\bwhisper-asr-webservice\b|\bapp\.webservice\b",
        ("whisper_asr_webservice",), ("/asr", "/detect-language"), 9000, ("ASR_MODEL",),
    ),
    Mark(
        "whisper_api", r"(?:^|/)mayniklas/whisper_api(?::|@|$)", r"(?:^|/|\s)whisper_api(?::app|\.main:app|$|\s)",
        ("whisper_api",), ("/api/v1/transcribe", "/api/v1/decoder_status"), 3001, ("MAX_MODEL",),
    ),
    Mark(
        "speaches", r"(?:^|/)(?:speaches|faster-whisper-server)(?::|@|$)", r"\b(?:speaches|faster_whisper_server)\b",
        ("speaches", "faster_whisper_server"), ("/v1/audio/transcriptions", "/api/ps"), 8000,
        ("WHISPER__MODEL", "WHISPER_MODEL", "PRELOAD_MODELS"), ("API_KEY",),
    ),
    Mark(
        "seed", r"(?:^|/)whisper-api(?::|@|$)", r"^$", (), ("/transcribe", "/transcribe/url", "/queue/status"), 8000,
        ("WHISPER_MODEL", "MODEL_SIZE", "MODEL"),
    ),
)  # fmt: skip
_SPEECH: Final = re.compile(r"(?i)whisper|transcri|speech[-_]?to[-_]?text|/asr\b|\bstt\b|/v1/audio/")
_KEY_NAME: Final = re.compile(r"(?i)^(?:\w+_)?(?:api_?keys?|auth_?tokens?|access_?tokens?)$")
# Keys that are for others' doors, not for its own.
_FOREIGN_KEY: Final = re.compile(r"(?i)openai|chat_completion|hf_|hugging|github|aws|azure")
# What faster-whisper calls each of the names that old services used.
_RENAMED: Final = {"large": "large-v3", "turbo": "large-v3-turbo", "large-turbo": "large-v3-turbo"}


@dataclass(frozen=True)
class Candidate:
    """What is known of one service before it is told which API it is."""

    image: str
    command: str
    packages: Mapping[str, str]
    answer: Answer | None
    where: str

    @property
    def is_silent(self) -> bool:
        """Whether it answers HTTP and describes no routes: what its image is called tells nothing then."""
        return self.answer is not None and not self.answer.paths


def tell(candidate: Candidate) -> tuple[Api, tuple[Fact, ...]]:
    """Return which API it is, and what that rests on. Its own description outweighs how it is called.

    Two different answers of equal weight are no answer: "unknown".
    """
    facts: list[Fact] = []
    weights: dict[Api, int] = {}
    for mark in MARKS:
        for what, weight, evidence in _signs(mark, candidate):
            facts.append(Fact(f"{what} of {mark.api}", evidence))
            weights[mark.api] = weights.get(mark.api, 0) + weight
    if not weights:
        return "unknown", _described(candidate)
    ranked = sorted(weights, key=lambda api: -weights[api])
    if len(ranked) > 1 and weights[ranked[0]] == weights[ranked[1]]:
        return "unknown", tuple(facts)
    best = ranked[0]
    if candidate.answer and candidate.answer.paths and not _has_routes(best, candidate.answer.paths):
        # It describes itself, and it is not what it is called.
        return "unknown", (*facts, Fact(f"its routes are not those of {best}", f"{candidate.where}/openapi.json"))
    return best, tuple(facts)


def _signs(mark: Mark, candidate: Candidate) -> Iterable[tuple[str, int, str]]:
    if candidate.answer and candidate.answer.paths and _has_routes(mark.api, candidate.answer.paths):
        yield "its routes are those", 4, f"{candidate.where}/openapi.json has {', '.join(mark.routes)}"
    if candidate.image and re.search(mark.image, candidate.image) and not candidate.is_silent:
        yield "its image is that", 2, candidate.image
    if re.search(mark.command, candidate.command) and candidate.command:
        yield "its command is that", 1, candidate.command
    for name in mark.packages:
        if name in candidate.packages:
            yield "a package in it is that", 1, f"{name} {candidate.packages[name]}"


def _has_routes(api: Api, paths: Iterable[str]) -> bool:
    have = set(paths)
    mark = next(one for one in MARKS if one.api == api)
    if api == "speaches" and not have & {"/transcribe", "/asr"}:
        # Older ones have no /api/ps; other OpenAI-like servers have no list of what runs.
        return mark.routes[0] in have and bool(have & {"/api/ps", "/v1/audio/translations"})
    return set(mark.routes) <= have and not (api == "seed" and "/v1/audio/transcriptions" in have)


def _described(candidate: Candidate) -> tuple[Fact, ...]:
    answer = candidate.answer
    facts = [Fact(f"its image is {candidate.image}", "docker inspect")] if candidate.image else []
    if candidate.command:
        facts.append(Fact(f"it is started by `{candidate.command}`", "its command line"))
    if answer and (answer.title or answer.paths):
        speech = [path for path in answer.paths if _SPEECH.search(path)]
        facts.append(
            Fact(
                f'it calls itself "{answer.title} {answer.version}" and has {len(answer.paths)} routes'
                + (f", among them {', '.join(speech[:5])}" if speech else ""),
                f"{candidate.where}/openapi.json",
            )
        )
    return tuple(facts)


def is_speech(candidate: Candidate) -> bool:
    """Tell whether it looks like a speech service at all, known or not."""
    answer = candidate.answer
    own = " ".join([answer.title, *answer.paths]) if answer else ""
    # An image that is known to describe itself, and does not: somebody runs another program of it.
    known = any(re.search(mark.image, candidate.image) for mark in MARKS)
    image = "" if known and candidate.is_silent else candidate.image
    return _SPEECH.search(f"{image} {candidate.command} {' '.join(candidate.packages)} {own}") is not None


def model_of(
    api: Api, environment: Mapping[str, str], said: Mapping[str, Answer], stores: Iterable[Store]
) -> tuple[str, str]:
    """Return the speech model and where that is said; ("", "") where nothing tells."""
    names = next((mark.models for mark in MARKS if mark.api == api), ("WHISPER_MODEL", "MODEL", "MODEL_NAME"))
    for name in names:
        value = environment.get(name, "").strip()
        if value.startswith("["):
            try:
                listed = json.loads(value)
            except ValueError:
                listed = []
            value = str(listed[0]) if isinstance(listed, list) and listed else ""
        if value:
            return _today(value), f"its environment: {name}"
    for path, answer in said.items():
        for member in ("model", "model_name", "whisper_model"):
            said_there = answer.content.get(member)
            if isinstance(said_there, str) and said_there:
                return _today(said_there), f"{path} says it"
    cached = {model: store.path for store in stores for model in store.models}
    if len(cached) == 1:
        model, path = cached.popitem()
        return _today(model), f"the only one in {path}"
    return "", ""


def _today(model: str) -> str:
    short = re.sub(r"^(?:Systran|SYSTRAN|guillaumekln)/faster-(?:distil-)?whisper-", "", model)
    return _RENAMED.get(short, short)


def key_variable(api: Api, names: Iterable[str]) -> str:
    """Return the environment variable that holds the key which callers must give, "" where none is set."""
    names = list(names)
    known = next((mark.key_variables for mark in MARKS if mark.api == api), ())
    if api in ("asr", "whisper_api"):
        return ""
    sure = [name for name in names if name in known]
    return (sure or [name for name in names if _KEY_NAME.match(name) and not _FOREIGN_KEY.search(name)] or [""])[0]
