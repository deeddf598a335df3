"""The model behind all four: faster-whisper, loaded once, used by one request at a time."""

from __future__ import annotations

import io
import os
import threading
from typing import Any, BinaryIO

from faster_whisper import WhisperModel, decode_audio

Segments = list[Any]
RATE = 16000


class UnreadableError(Exception):
    """The file holds no sound that FFmpeg could decode."""


class Engine:
    """`OLD_MODEL` names a folder, or a model of Hugging Face's cache; `root` is where that cache lies."""

    def __init__(self, name: str, root: str | None = None) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._model = WhisperModel(
            os.environ.get("OLD_MODEL") or name,
            device="cpu",
            compute_type="int8",
            cpu_threads=int(os.environ.get("OLD_THREADS", "0")),
            download_root=root,
            local_files_only=True,
        )

    def transcribe(self, samples: Any, **options: Any) -> tuple[Segments, Any]:
        """Segments and info as faster-whisper has them."""
        with self._lock:
            found, info = self._model.transcribe(samples, beam_size=5, **options)
            return list(found), info

    def language(self, samples: Any) -> tuple[str, float]:
        """Code of the language of the first 30 s, and how likely it is."""
        with self._lock:
            _, info = self._model.transcribe(samples[: 30 * RATE], beam_size=5)
        return info.language, float(info.language_probability)


def samples_of(file: BinaryIO) -> Any:
    """Decode `file` to mono float32 at 16 kHz. Raises UnreadableError."""
    try:
        return decode_audio(io.BytesIO(file.read()), sampling_rate=RATE)
    except Exception as error:  # (whatever FFmpeg says of it)
        raise UnreadableError(str(error)) from error
