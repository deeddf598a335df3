"""`python -m whisper_api.model_fetch MODEL`: fetch a speech model into HF_HOME, so that the service starts with it.

For deployments: the model is there before anything is stopped, and the service can run without the hub
(HF_HUB_OFFLINE=1). Standard output gets one JSON object a line, {"done_bytes", "total_bytes"}, and a last one
{"model", "path"}. HF_HOME/fetched.json then names every model that is there whole, with its folder relative to HF_HOME.

Exit codes: 0 it is there; 1 it cannot be had, and standard error says why and what to do.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from whisper_api.no_reports import NO_REPORTS

MIB = 1024 * 1024
# What a host needs beside the model to go on breathing: logs, uploads, the next image's layers.
RESERVE_MIB = 2048
NOTES = "fetched.json"
_TELL_EVERY_S = 1.0
# What faster-whisper itself takes out of a repository.
_FILES = ("config.json", "preprocessor_config.json", "model.bin", "tokenizer.json", "vocabulary.*")

Tell = Callable[[dict[str, Any]], None]


class FetchError(Exception):
    """The model cannot be had; the message says why and what to do."""


def fetch(model: str, home: Path, tell: Tell) -> Path:
    """Fetch `model` (a name that faster-whisper knows, or a Hugging Face id) into `home` and return its folder.

    Raises:
        FetchError: unknown name, no room, or the hub refused or broke off.
    """
    repository = _repository(model)
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    cache = home / "hub"
    try:
        home.mkdir(parents=True, exist_ok=True)
        total = _total_bytes(HfApi().model_info(repository, files_metadata=True).siblings or [])
        _check_room(model, home, total - _here(cache, repository))
        with _Telling(lambda: _here(cache, repository), total, tell):
            folder = snapshot_download(repository, allow_patterns=list(_FILES), cache_dir=cache)
    except GatedRepoError as error:
        raise FetchError(
            f"{repository} is gated: accept its terms on its page, then name a file with a read token in "
            "ai_huggingface_token_file."
        ) from error
    except RepositoryNotFoundError as error:
        raise FetchError(f"{endpoint} has no {repository}: check the name, or a token that may see it.") from error
    except HfHubHTTPError as error:
        raise FetchError(f"{endpoint} refused {repository}: {error}") from error
    except FetchError:
        raise
    except Exception as error:  # (the hub's transports share no base class)
        raise FetchError(
            f"{repository} cannot be fetched from {endpoint}: {type(error).__name__}: {error}. "
            "Check that this host reaches it, then try again: what has arrived is kept."
        ) from error
    if not (Path(folder) / "model.bin").exists():
        raise FetchError(f"{repository} holds no model.bin: it is no model that faster-whisper can load.")
    return Path(folder)


def present(model: str, home: Path, tell: Tell) -> Path:
    """The folder of `model`, fetched if need be: what was fetched whole before is asked nobody about.

    Without the hub a copy in `home` that others put there will do. Raises FetchError when there is none.
    """
    noted = home / _noted(home).get(model, "nowhere")
    if (noted / "model.bin").exists():
        return noted
    try:
        folder = fetch(model, home, tell)
    except FetchError:
        from faster_whisper.utils import download_model

        try:
            copy = Path(download_model(model, local_files_only=True, cache_dir=str(home / "hub")))
        except Exception:
            copy = home / "nowhere"
        if not (copy / "model.bin").exists():
            raise
        return copy
    remember(model, folder, home)
    return folder


def remember(model: str, folder: Path, home: Path) -> None:
    """Note in `home`/fetched.json that `model` is in `folder`, whole."""
    known = _noted(home) | {model: str(folder.relative_to(home))}
    notes = home / NOTES
    scratch = notes.with_name(f".{NOTES}")
    scratch.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    scratch.rename(notes)


def _noted(home: Path) -> dict[str, str]:
    try:
        known = json.loads((home / NOTES).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def main() -> None:
    """Fetch the model that the command line names."""
    if len(sys.argv) != 2:
        sys.stderr.write("usage: python -m whisper_api.model_fetch MODEL\n")
        raise SystemExit(2)
    os.environ.update(NO_REPORTS)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    home = Path(os.environ.get("HF_HOME", "/var/lib/huggingface"))
    model = sys.argv[1]
    try:
        folder = fetch(model, home, _print)
        remember(model, folder, home)
    except FetchError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(1) from None
    _print({"model": model, "path": str(folder)})


class _Telling:
    """While the block runs, tells about once a second how many bytes are there."""

    def __init__(self, here: Callable[[], int], total: int, tell: Tell) -> None:
        self._here, self._total, self._tell = here, total, tell
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._tell({"done_bytes": min(self._here(), self._total), "total_bytes": self._total})

    def _run(self) -> None:
        while not self._over.wait(_TELL_EVERY_S):
            self._tell({"done_bytes": min(self._here(), self._total), "total_bytes": self._total})


def _repository(model: str) -> str:
    if "/" in model:
        return model
    from faster_whisper import utils

    known: dict[str, str] = utils._MODELS
    if model not in known:
        raise FetchError(f"faster-whisper knows no '{model}', only {', '.join(known)}; or give a Hugging Face id.")
    return known[model]


def _total_bytes(siblings: list[Any]) -> int:
    import fnmatch

    wanted = [file for file in siblings if any(fnmatch.fnmatch(file.rfilename, pattern) for pattern in _FILES)]
    return sum(file.size or 0 for file in wanted)


def _here(cache: Path, repository: str) -> int:
    """Bytes of `repository` that have arrived, unfinished files included."""
    blobs = cache / f"models--{repository.replace('/', '--')}" / "blobs"
    found = 0
    for blob in blobs.iterdir() if blobs.is_dir() else ():
        try:
            found += blob.stat().st_size
        except FileNotFoundError:  # it has just got its final name
            continue
    return found


def _check_room(model: str, home: Path, needed_bytes: int) -> None:
    free_mib, needed_mib = shutil.disk_usage(home).free // MIB, max(0, needed_bytes) // MIB
    if needed_mib and free_mib < needed_mib + RESERVE_MIB:
        raise FetchError(
            f"{model} needs {needed_mib} MiB and the host {RESERVE_MIB} MiB beside it, but only {free_mib} MiB are "
            "free where Docker keeps its volumes. Free some room there, or choose a smaller model."
        )


def _print(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
