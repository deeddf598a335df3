"""Downloads from Hugging Face: only what is needed, resumed where it stopped, and checked against the hub's checksums.

`huggingface_hub` itself gave resuming up (since 2.x a broken download is removed), so the partial file is kept here
and its own `http_get` continues it. Everything else (endpoint, token, headers, redirects, retries) is the library's.
"""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ai_services.console import Advance, Screen
from ai_services.exits import BLOCKED, OperatorError
from ai_services.local.home import write_json
from ai_services.models.hub_errors import explained, wrong_content
from ai_services.models.resolve import Reference
from ai_services.models.room import require_memory, require_space

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

_SPEECH_FILES = ("config.json", "model.bin", "tokenizer.json", "preprocessor_config.json", "vocabulary.*")
# The first that a repository has is taken when no file is named: good answers for their size come first.
_QUANTISATIONS = ("q4_k_m", "q4_0", "q5_k_m", "q4_k_s", "q6_k", "q8_0", "f16", "bf16")
_MANIFEST = ".ai-model.json"


@dataclass(frozen=True)
class HubFile:
    """One file as the hub publishes it: bytes, and sha256 (large files) or git's blob id (small ones)."""

    name: str
    size: int
    sha256: str | None
    blob_id: str | None

    @classmethod
    def of(cls, sibling: RepoSibling) -> HubFile:
        """Take over what the hub says of a file."""
        sha256 = sibling.lfs.sha256 if sibling.lfs else None
        return cls(sibling.rfilename, sibling.size or 0, sha256, sibling.blob_id)


def token_file(models: Path) -> Path:
    """Return where a token for this stack alone may lie; otherwise HF_TOKEN and the library's own file count."""
    return models.parent / "secrets" / "huggingface.token"


def download(reference: Reference, models: Path, screen: Screen) -> Path:
    """Return the directory (speech) or GGUF file (llm) of a Hugging Face id, downloaded now if it is not here whole.

    What is here whole is used without asking the hub, so that a stack starts offline.

    Raises:
        OperatorError: no such model or file, no access, no network, no space, or wrong content; each with its remedy.
    """
    repository, _, wanted = reference.where.partition(":")
    directory = models / "huggingface" / repository.replace("/", "--")
    manifest = directory / _manifest_name(wanted)
    if names := _complete(manifest, directory):
        return _result(reference, directory, names)
    from huggingface_hub import HfApi, constants
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    # What a cut connection costs: by default up to 10 MiB of a chunk that was not whole yet, every time.
    constants.DOWNLOAD_CHUNK_SIZE = 256 << 10
    token = _token(models)
    with explained(repository, token_file(models), reference.kind):
        info = HfApi(endpoint=endpoint(), token=token).model_info(repository, files_metadata=True)
    files = _choose(reference, wanted, [HubFile.of(sibling) for sibling in info.siblings or []])
    directory.mkdir(parents=True, exist_ok=True)
    total, here = sum(file.size for file in files), _bytes_here(files, directory)
    require_space(directory, (total - here) >> 20, reference.name)
    if not reference.memory_mib:
        # The file is mapped into memory whole; what it needs beside that only its makers know.
        require_memory([replace(reference, memory_mib=total >> 20)])
    licence = _licence(info)
    screen.say(
        f"Downloading {reference.name}: {total / 2**20:.0f} MiB"
        + (f", {here / 2**20:.0f} MiB of them are here already" if here else "")
        + (f", licence {licence}" if licence else "")
    )
    done = 0
    with screen.transfer(f"downloading {reference.name}", total) as advance:
        for file in files:
            with explained(repository, token_file(models), reference.kind):
                _get(repository, info.sha or "main", file, directory, token, _from(done, advance))
            done += file.size
    write_json(manifest, {"id": reference.where, "revision": info.sha, "files": {f.name: f.size for f in files}})
    return _result(reference, directory, [file.name for file in files])


def endpoint() -> str | None:
    """Return the hub's address where HF_ENDPOINT names another than the public one (a mirror)."""
    return os.environ.get("HF_ENDPOINT") or None


def _manifest_name(wanted: str) -> str:
    return f".{wanted.replace('/', '--')}{_MANIFEST}" if wanted else _MANIFEST


def _complete(manifest: Path, directory: Path) -> list[str]:
    try:
        sizes = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        whole = all((directory / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return []
    return list(sizes) if whole else []


def _result(reference: Reference, directory: Path, names: list[str]) -> Path:
    return directory if reference.kind == "speech" else directory / min(names)


def _token(models: Path) -> str | None:
    try:
        return token_file(models).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _from(before: int, advance: Advance) -> Advance:
    def counted(done: int, total: int | None = None) -> None:
        advance(before + done, total)

    return counted


def _licence(info: ModelInfo) -> str:
    tags = info.tags or []
    return next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "")


def _choose(reference: Reference, wanted: str, files: list[HubFile]) -> list[HubFile]:
    if reference.kind == "speech":
        chosen = [file for file in files if any(fnmatch.fnmatch(file.name, name) for name in _SPEECH_FILES)]
        if not any(file.name == "model.bin" for file in chosen):
            raise OperatorError(
                f"{reference.where} is no faster-whisper model: it has no model.bin.",
                hint="Look for a repository whose name has faster-whisper in it, such as Systran/faster-whisper-small.",
                exit_code=BLOCKED,
            )
        return chosen
    models = [file for file in files if file.name.lower().endswith(".gguf") and "mmproj" not in file.name.lower()]
    if not models:
        raise OperatorError(
            f"{reference.where} has no GGUF file, and the backends here read no other.",
            hint=f"Look for {reference.where.rpartition('/')[2]}-GGUF on the hub; most models are offered so too.",
            exit_code=BLOCKED,
        )
    if wanted:
        return _named(wanted, models)
    for quantisation in _QUANTISATIONS:
        if fitting := [file for file in models if quantisation in file.name.lower()]:
            return _parts(fitting[0], models)
    return _parts(min(models, key=lambda file: file.size), models)


def _named(wanted: str, models: list[HubFile]) -> list[HubFile]:
    # REPOSITORY:Q4_K_M, as Ollama and llama.cpp write it, is as good as the whole file name.
    exact = [file for file in models if file.name == wanted]
    tagged = [file for file in models if wanted.lower() in file.name.lower()]
    if exact or tagged:
        return _parts((exact or tagged)[0], models)
    raise OperatorError(
        f"The repository has no file {wanted}.",
        hint=f"It has: {', '.join(file.name for file in models[:12])}",
        exit_code=BLOCKED,
    )


def _parts(first: HubFile, models: list[HubFile]) -> list[HubFile]:
    split = re.fullmatch(r"(.*)-\d{5}-of-(\d{5})\.gguf", first.name)
    if not split:
        return [first]
    same = re.compile(rf"{re.escape(split[1])}-\d{{5}}-of-{split[2]}\.gguf")
    return sorted((file for file in models if same.fullmatch(file.name)), key=lambda file: file.name)


def _partial(file: HubFile, directory: Path) -> Path:
    # The checksum in the name: what is left of another version is not continued.
    mark = (file.sha256 or file.blob_id or "unknown")[:16]
    return directory / f"{file.name}.{mark}.partial"


def _bytes_here(files: list[HubFile], directory: Path) -> int:
    here = 0
    for file in files:
        for place in (directory / file.name, _partial(file, directory)):
            if place.exists():
                here += min(place.stat().st_size, file.size)
                break
    return here


class _Counted(io.FileIO):
    """A file that reports its length with every write."""

    def __init__(self, path: Path, advance: Advance) -> None:
        super().__init__(path, "r+" if path.exists() else "w+")
        self.seek(0, io.SEEK_END)
        self._advance = advance

    def write(self, block: bytes, /) -> int:  # type: ignore[override]  # bytes are all that is written here
        view = memoryview(block)
        while view:
            view = view[super().write(view) :]
        self._advance(self.tell())
        return len(block)


def _get(repository: str, revision: str, file: HubFile, directory: Path, token: str | None, advance: Advance) -> None:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    target = directory / file.name
    if target.exists() and target.stat().st_size == file.size and _is_right(target, file):
        return
    partial = _partial(file, directory)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if partial.exists() and partial.stat().st_size > file.size:
        partial.unlink()
    with _Counted(partial, advance) as stream:
        begin = stream.tell()
        if begin < file.size:
            http_get(
                hf_hub_url(repository, file.name, revision=revision, endpoint=endpoint()),
                stream,
                resume_size=begin,
                headers={**build_hf_headers(token=token), "Accept-Encoding": "identity"},
                expected_size=file.size,
            )
        os.fsync(stream.fileno())
    if not _is_right(partial, file):
        partial.unlink()
        raise wrong_content(repository, file.name)
    partial.replace(target)


def _is_right(path: Path, file: HubFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if file.sha256:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256
    if file.blob_id:
        # What git names a blob by: SHA-1 over a header and the content.
        content = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == file.blob_id
    return True
