"""From what a person wrote after --whisper-model or --llm to a model on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ai_services.exits import BLOCKED, OperatorError
from ai_services.local.state import BackendKind
from ai_services.models import catalogue
from ai_services.models.catalogue import Entry, Kind

Origin = Literal["package", "huggingface", "ollama", "path"]


@dataclass(frozen=True)
class Reference:
    """A model and where it comes from.

    `name` is what clients say. `where` is a package, a Hugging Face id (REPOSITORY or REPOSITORY:FILE), an Ollama
    name or a path, as `origin` tells. Sizes in MiB, 0 where they are not known before asking the source.
    """

    kind: Kind
    name: str
    origin: Origin
    where: str
    entry: Entry | None = None
    size_mib: int = 0
    memory_mib: int = 0


def speech(text: str | None) -> Reference:
    """Resolve a speech model; None is the embedded one.

    Raises:
        OperatorError: there is no such catalogue name and it cannot be an id or a path; or the path is no model.
    """
    text = text or catalogue.default("speech").name
    if entry := catalogue.find(text, "speech"):
        return _from_entry(entry, ("package", "huggingface"))
    path = Path(text).expanduser()
    if _looks_like_path(text) or path.is_dir():
        if not (path / "model.bin").is_file():
            raise OperatorError(
                f"{path} is no faster-whisper model: it has no model.bin.",
                hint="Give the directory that holds model.bin, config.json and tokenizer.json.",
                exit_code=BLOCKED,
            )
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file()) >> 20
        return Reference("speech", path.resolve().name, "path", str(path.resolve()), None, size, size)
    if identifier := _hub_id(text):
        return Reference("speech", identifier, "huggingface", identifier)
    raise _unknown(text, "speech", "--whisper-model")


def llm(text: str | None, backend: BackendKind) -> Reference:
    """Resolve a language model for a backend; None is the embedded one.

    Raises:
        OperatorError: as for `speech`; or the backend cannot get it.
    """
    text = text or catalogue.default("llm").name
    if entry := catalogue.find(text, "llm"):
        order: tuple[Origin, ...] = ("package", "ollama", "huggingface")
        return _from_entry(entry, order if backend == "ollama" else ("package", "huggingface"))
    path = Path(text).expanduser()
    if _looks_like_path(text) or path.is_file():
        return _gguf(path)
    identifier = _hub_id(text)
    if identifier and (backend == "llama.cpp" or "gguf" in text.lower()):
        return Reference("llm", identifier, "huggingface", identifier)
    if backend == "ollama":
        return Reference("llm", text, "ollama", text)
    raise _unknown(text, "llm", "--llm")


def _gguf(path: Path) -> Reference:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be read: {error.strerror}.", hint="Give the path of a .gguf file.", exit_code=BLOCKED
        ) from error
    if magic != b"GGUF":
        raise OperatorError(
            f"{path} is no GGUF file: it does not begin with GGUF.",
            hint="Both backends read GGUF only; most models are offered in that form too.",
            exit_code=BLOCKED,
        )
    size = path.stat().st_size >> 20
    return Reference("llm", path.stem.lower(), "path", str(path.resolve()), None, size, size)


def _from_entry(entry: Entry, order: tuple[Origin, ...]) -> Reference:
    for origin in order:
        if where := getattr(entry.sources, origin):
            return Reference(entry.kind, entry.name, origin, where, entry, entry.size_mib, entry.memory_mib)
    raise OperatorError(
        f"{entry.name} comes from Ollama's library only, and the backend here is llama.cpp.",
        hint=f"Install Ollama, or name a GGUF file on Hugging Face: ./ai up --llm OWNER/REPOSITORY:FILE.gguf "
        f"(with llama.cpp this works now: {', '.join(_without_ollama())})",
        exit_code=BLOCKED,
    )


def _without_ollama() -> list[str]:
    return [e.name for e in catalogue.catalogue() if e.kind == "llm" and (e.sources.package or e.sources.huggingface)]


def _looks_like_path(text: str) -> bool:
    return text.startswith(("/", "./", "../", "~"))


def _hub_id(text: str) -> str | None:
    identifier = text.removeprefix("https://").removeprefix("hf.co/").removeprefix("huggingface.co/")
    repository, _, _ = identifier.partition(":")
    parts = repository.split("/")
    return identifier if len(parts) == 2 and all(parts) else None


def _unknown(text: str, kind: Kind, option: str) -> OperatorError:
    close = catalogue.near(text, kind)
    names = [entry.name for entry in catalogue.catalogue() if entry.kind == kind]
    return OperatorError(
        f"There is no {'speech' if kind == 'speech' else 'language'} model called {text} in the catalogue"
        + (", did you mean " + " or ".join(close) + "?" if close else "."),
        hint=f"{option} takes: {', '.join(names)}; a Hugging Face id (OWNER/NAME); or a local path.",
        exit_code=BLOCKED,
    )
