"""What a caller asks for, read from form or JSON fields and checked. Errors name the field at fault."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service_kit.errors import ServiceError
from whisper_api import languages
from whisper_api.formats import FORMATS, GRANULARITIES, TIMED
from whisper_api.transcript import Facts

Fields = Mapping[str, Sequence[str]]
MODEL_ALIASES = ("whisper-1", "default")
TASKS = ("transcribe", "translate")
_SPECIAL_TOKEN = re.compile(r"<\|[^|>]*\|>")


@dataclass(frozen=True)
class Wishes:
    """A checked request. `language` None: find it out; `temperature` None: 0 with fallback."""

    language: str | None = None
    task: str = "transcribe"
    prompt: str | None = None
    temperature: float | None = None
    response_format: str = "json"
    granularities: frozenset[str] = frozenset()
    hotwords: str | None = None
    detect_only: bool = False

    def for_engine(self) -> dict[str, Any]:
        """Fields of recognise.Options."""
        return {
            "language": self.language,
            "task": self.task,
            "prompt": self.prompt,
            "temperature": self.temperature,
            "timestamps": self.response_format in TIMED,
            "words": "word" in self.granularities,
            "hotwords": self.hotwords,
            "detect_only": self.detect_only,
        }

    def check_model_can(self, model_name: str, facts: Facts | None) -> None:
        """Raises ServiceError 400 when the model cannot do this; `facts` None when it has not been loaded yet."""
        english_only = not facts.multilingual if facts is not None else model_name.endswith(".en")
        if english_only and self.language not in {None, "en"}:
            raise _invalid(
                "language",
                f"The model {model_name} understands English only, not {languages.name_of(str(self.language))}.",
                "Leave 'language' out, or ask the operator for a model without '.en' in its name.",
            )
        if self.task == "translate" and (english_only or not _can_translate(model_name)):
            raise _invalid(
                "task",
                f"The model {model_name} cannot translate.",
                "Transcribe instead, or ask the operator for a multilingual model that is not a turbo or distil one.",
            )


def from_fields(fields: Fields, task: str = "transcribe") -> Wishes:
    """The fields of /transcribe: language, task, prompt."""
    return Wishes(language=_language(fields), task=_choice(fields, "task", TASKS, task), prompt=_prompt(fields))


def from_openai_fields(fields: Fields, model_names: Sequence[str], task: str) -> Wishes:
    """The fields of OpenAI's /v1/audio/*. Raises ServiceError 400, or 404 `model_not_found`."""
    check_model(fields, model_names, required=True)
    response_format = _choice(fields, "response_format", FORMATS, "json")
    granularities = _granularities(fields)
    if granularities and response_format != "verbose_json":
        raise _invalid(
            "timestamp_granularities",
            f"timestamp_granularities needs response_format verbose_json, not {response_format}.",
            "Set response_format to verbose_json.",
        )
    return Wishes(
        language=_language(fields),
        task=task,
        prompt=_prompt(fields),
        temperature=_temperature(fields),
        response_format=response_format,
        granularities=granularities or frozenset({"segment"}),
    )


def check_model(fields: Fields, model_names: Sequence[str], *, required: bool) -> None:
    """Raises ServiceError when the asked model is not the one that runs here; `model_names`: its name first."""
    model = _one(fields, "model")
    if model is None:
        if required:
            raise _invalid("model", "The field 'model' is missing.", f"Send model={model_names[0]} or whisper-1.")
        return
    if model not in model_names and model not in MODEL_ALIASES:
        raise ServiceError(
            404,
            "model_not_found",
            f"The model '{model[:100]}' is not loaded here.",
            hint=f"This server has {model_names[0]} (also called {' and '.join(MODEL_ALIASES)}).",
            param="model",
        )


def _language(fields: Fields) -> str | None:
    language = _one(fields, "language")
    if language is None or language.strip().lower() == "auto":
        return None
    code = languages.code_of(language)
    if code is None:
        raise _invalid(
            "language",
            f"'{language[:50]}' is not a language that Whisper knows.",
            "Use an ISO-639-1 code such as en, or leave it out.",
        )
    return code


def _prompt(fields: Fields) -> str | None:
    return words_only(_one(fields, "prompt"))


def words_only(prompt: str | None) -> str | None:
    """A caller's prompt without what is spelled like Whisper's control tokens: a prompt is words."""
    return _SPECIAL_TOKEN.sub("", prompt).strip() or None if prompt is not None else None


def _temperature(fields: Fields) -> float | None:
    given = _one(fields, "temperature")
    if given is None:
        return None
    try:
        temperature = float(given)
    except ValueError:
        temperature = -1.0
    if not 0 <= temperature <= 1:
        raise _invalid(
            "temperature",
            f"temperature is '{given[:50]}', which is not a number from 0 to 1.",
            "Send 0 or leave it out.",
        )
    return temperature or None


def _granularities(fields: Fields) -> frozenset[str]:
    given = [*fields.get("timestamp_granularities[]", ()), *fields.get("timestamp_granularities", ())]
    for value in given:
        if value not in GRANULARITIES:
            raise _invalid(
                "timestamp_granularities",
                f"timestamp_granularities has '{value[:50]}'.",
                f"Use {' or '.join(GRANULARITIES)}.",
            )
    return frozenset(given)


def _choice(fields: Fields, name: str, choices: Sequence[str], default: str) -> str:
    value = _one(fields, name)
    if value is None:
        return default
    if value not in choices:
        raise _invalid(name, f"{name} is '{value[:50]}'.", f"Use one of {', '.join(choices)}.")
    return value


def _one(fields: Fields, name: str) -> str | None:
    values = fields.get(name)
    return values[-1] if values and values[-1] != "" else None


def _can_translate(model_name: str) -> bool:
    """Turbo and distil models were trained without translation: asked for it, they answer in the source language."""
    name = model_name.lower()
    return "turbo" not in name and "distil" not in name


def _invalid(param: str, message: str, hint: str) -> ServiceError:
    return ServiceError(400, f"invalid_{param}", message, hint=hint, param=param)
