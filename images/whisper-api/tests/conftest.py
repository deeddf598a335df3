"""One real server for all tests of a worker, and sound files that are made once and kept in pytest's cache."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import audio, speech
from support.whisper import WhisperServer, whisper_server

Make = Callable[[Path], object]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperServer]:
    """A server with its defaults."""
    with whisper_server(tmp_path_factory.mktemp("whisper")) as running:
        yield running


class Sounds:
    """Files by name, each written once: `get("a.wav", write)` calls `write(path)` when it is not there yet."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: str, make: Make) -> Path:
        path = self._directory / name
        if not path.exists():
            # Workers side by side may make it twice; each puts a whole file in place.
            unfinished = path.with_name(f"{os.getpid()}-{name}")
            make(unfinished)
            unfinished.replace(path)
        return path

    def spoken(self, said: speech.Speech, form: str = "wav", *, channels: int = 1, rate: int | None = None) -> Path:
        """`said` as a file of one of audio.FORMATS, at its own rate or another."""
        pcm = said.pcm if rate is None else audio.resample(said.pcm, said.rate, rate)
        hertz = rate or said.rate
        name = f"{hashlib.sha256(pcm.tobytes()).hexdigest()[:16]}-{hertz}-{channels}-{form}{audio.FORMATS[form][0]}"
        return self.get(name, lambda path: audio.write(path, pcm, hertz, form, channels=channels))

    def bytes(self, name: str, content: bytes) -> Path:
        """A file with `content`."""
        return self.get(f"{hashlib.sha256(content).hexdigest()[:16]}-{name}", lambda path: path.write_bytes(content))


@pytest.fixture(scope="session")
def sounds(request: pytest.FixtureRequest) -> Sounds:
    """The kept sound files. The directory's name changes with the code that makes them."""
    sources = b"".join(Path(str(module.__file__)).read_bytes() for module in (audio, speech))
    return Sounds(request.config.cache.mkdir("speech-" + hashlib.sha256(sources).hexdigest()[:12]))


@pytest.fixture(scope="session")
def sentence() -> speech.Speech:
    """About four seconds that tiny.en understands without a mistake."""
    return speech.say(speech.SENTENCES[1])
