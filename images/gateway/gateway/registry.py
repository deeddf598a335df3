"""The one list of backends: what exists, what each speaks, and which of them serves a model.

BACKENDS_FILE holds `{"backends": [{"name", "kind", "url", "api_key_file", "models", "standby"}]}`:

* `kind` is the dialect the backend speaks: `whisper` (our own speech service), `openai` (llama.cpp, vLLM) or `ollama`.
* `api_key_file` names a file whose first line is sent to the backend as bearer token, or is null.
* `standby`, for `whisper` only, is the old service of a host that is being migrated: gateway.takeover.
* `models` are the names served. An `openai` backend must name them; an `ollama` one may leave them out, and is then
  asked itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from service_kit.errors import ServiceError

Kind = Literal["whisper", "openai", "ollama"]
Capability = Literal["speech", "llm"]
OldApi = Literal["asr", "speaches", "whisper_api", "seed"]

_CAPABILITY: dict[str, Capability] = {"whisper": "speech", "openai": "llm", "ollama": "llm"}
_HTTP_URL: TypeAdapter[HttpUrl] = TypeAdapter(HttpUrl)


class RegistryError(Exception):
    """BACKENDS_FILE cannot be used; the message says where it is wrong and what to do."""


def _base_url(value: str) -> str:
    url = _HTTP_URL.validate_python(value)
    if url.path not in {None, "/"} or url.query or url.fragment or url.username or url.password:
        raise ValueError("give scheme, host and port only, such as http://127.0.0.1:11434")
    return value.rstrip("/")


class Standby(BaseModel):
    """An old speech service that answers in a backend's place until that has taken over; `api` is what it speaks.

    `api_key_file` names the key that it asks for, if it does: every caller's requests then go there with that key.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: Annotated[str, AfterValidator(_base_url)]
    api: OldApi
    api_key_file: Path | None = None

    def as_backend(self, name: str) -> Backend:
        """The service as a backend of its own, beside the one called `name`."""
        return Backend.model_construct(
            name=f"{name}-standby",
            kind="whisper",
            url=self.url,
            api_key_file=self.api_key_file,
            models=(),
            standby=None,
        )


class Backend(BaseModel):
    """One backend, as BACKENDS_FILE names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    kind: Kind
    url: Annotated[str, AfterValidator(_base_url)]
    api_key_file: Path | None = None
    models: tuple[str, ...] = ()
    standby: Standby | None = None

    @property
    def capability(self) -> Capability:
        """What the backend is asked for."""
        return _CAPABILITY[self.kind]

    @model_validator(mode="after")
    def _names_what_it_serves(self) -> Self:
        if self.kind == "openai" and not self.models:
            raise ValueError("a backend of kind 'openai' must name the models it serves in 'models'")
        if any(not model for model in self.models):
            raise ValueError("'models' holds an empty name")
        if self.standby is not None and self.kind != "whisper":
            raise ValueError("'standby' is for a backend of kind 'whisper'")
        return self

    def api_key(self) -> str | None:
        """The key this backend asks for. Raises RegistryError when its file cannot be read or is empty."""
        if self.api_key_file is None:
            return None
        try:
            lines = self.api_key_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise RegistryError(f"backend '{self.name}': cannot read api_key_file: {error}") from error
        key = next((line.strip() for line in lines if line.strip()), "")
        if not key or not key.isascii() or not key.isprintable():
            raise RegistryError(f"backend '{self.name}': {self.api_key_file} holds no usable key in its first line")
        return key


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    backends: tuple[Backend, ...]


class Registry:
    """The backends, and the choice of one for a capability and a model."""

    def __init__(self, backends: tuple[Backend, ...]) -> None:
        self.backends = backends
        self._by_model: dict[Capability, dict[str, Backend]] = {"speech": {}, "llm": {}}
        self._first: dict[Capability, Backend] = {}
        self._asked: dict[Capability, Backend] = {}
        for backend in backends:
            capability = backend.capability
            self._first.setdefault(capability, backend)
            if backend.kind == "ollama" and not backend.models:
                self._asked.setdefault(capability, backend)
            for model in backend.models:
                self._by_model[capability].setdefault(model, backend)

    @classmethod
    def read(cls, path: Path) -> Registry:
        """The registry in BACKENDS_FILE `path`. Raises RegistryError with every mistake in it."""
        try:
            found = _File.model_validate_json(path.read_bytes())
        except OSError as error:
            raise RegistryError(f"cannot read it: {error}. Name a readable JSON file in BACKENDS_FILE.") from error
        except ValidationError as error:
            mistakes = [
                f"{'.'.join(str(part) for part in problem['loc']) or 'the file'}: {problem['msg']}"
                for problem in error.errors(include_input=False, include_url=False)
            ]
            raise RegistryError("; ".join(mistakes)) from None
        names = [backend.name for backend in found.backends]
        if len(set(names)) != len(names):
            raise RegistryError(f"backend names must differ, but these are given: {', '.join(names)}")
        return cls(found.backends)

    def only(self, capability: Capability) -> Backend:
        """The first backend with `capability`. Raises ServiceError 503 where there is none."""
        backend = self._first.get(capability)
        if backend is None:
            raise ServiceError(
                503,
                "no_backend",
                f"No backend for {capability} runs behind this gateway.",
                hint="Name one in BACKENDS_FILE and start the gateway again.",
            )
        return backend

    def of_kind(self, kind: Kind) -> Backend | None:
        """The first backend of `kind`, or None."""
        return next((backend for backend in self.backends if backend.kind == kind), None)

    def serving(self, capability: Capability, model: str | None) -> Backend:
        """The backend that serves `model`; the first with `capability` when no model is named.

        A name without tag means its `:latest`, as Ollama has it. A model that no backend names goes to a backend
        that is asked itself. Raises ServiceError 404 model_not_found, saying what exists, or 503.
        """
        if not model:
            return self.only(capability)
        known = self._by_model[capability]
        backend = known.get(model) or known.get(f"{model}:latest") or known.get(model.removesuffix(":latest"))
        backend = backend or self._asked.get(capability)
        if backend is not None:
            return backend
        self.only(capability)
        raise model_not_found(model, known)


def model_not_found(model: str, known: dict[str, Backend] | list[str]) -> ServiceError:
    """404 for a model that no backend serves, with the names that would have worked."""
    shown = model if len(model) <= 80 else model[:77] + "..."
    return ServiceError(
        404,
        "model_not_found",
        f"Model '{shown}' not found.",
        hint=f"These are served: {', '.join(sorted(known)) or 'none'}.",
        param="model",
    )
