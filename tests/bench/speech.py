"""Transcription through the front door against the library called directly, on the same files with the same options."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.speech import Speech, say_for, word_error_rate
from support.stack import running

from bench import machine
from bench.door import Door
from bench.report import Bound, Measurement
from whisper_api.settings import WhisperSettings

RATIO_LIMIT = 1.10
BOUND_AT_S = 60


@dataclass
class Pair:
    """Seconds of each run of one file, the door's and the library's, and what both heard."""

    speech: Speech
    door_s: list[float] = field(default_factory=list)
    library_s: list[float] = field(default_factory=list)
    door_text: str = ""
    library_text: str = ""

    @property
    def ratio(self) -> float:
        """Median through the door over median of the library."""
        return statistics.median(self.door_s) / statistics.median(self.library_s)

    @property
    def same_text(self) -> bool:
        """Whether both heard exactly the same."""
        return self.door_text == self.library_text


def measure(rounds: int, lengths_s: tuple[int, ...]) -> Measurement:
    """Transcribe generated speech of each length ``rounds`` times each way, in turn.

    Raises StackError when the stack does not come up, RuntimeError when the library's process ends.
    """
    with ExitStack() as cleanup:
        directory = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="ai-bench-")))
        door = Door(cleanup.enter_context(running()))
        engine = _engine(door)
        library = cleanup.enter_context(_library(engine))
        pairs = {length_s: _play(door, library, directory, length_s, rounds) for length_s in lengths_s}
    return _measurement(pairs, rounds, engine)


class Library:
    """The process of ``bench.library``, loaded and waiting."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def say(self, line: str) -> dict[str, Any]:
        """Send one line, wait for the answer to it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the library's process ended with status {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found


@contextmanager
def _library(engine: dict[str, Any]) -> Iterator[Library]:
    with subprocess.Popen(
        [sys.executable, "-m", "bench.library"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        library = Library(process)
        library.say(json.dumps(engine))
        yield library
        process.terminate()


def _engine(door: Door) -> dict[str, Any]:
    """How the stack's own engine runs, so that the library runs in the same way."""
    facts = door.engine()
    return {
        "model": door.speech_model(),
        "beam_size": WhisperSettings.model_fields["beam_size"].default,
        **{name: facts[name] for name in ("device", "compute_type", "cpu_threads", "batch_size")},
    }


def _play(door: Door, library: Library, directory: Path, length_s: int, rounds: int) -> Pair:
    pair = Pair(say_for(length_s))
    file = directory / f"{length_s}.wav"
    _write_wav(file, pair.speech)
    door.transcribe(file)  # neither pays for the first time in a round
    library.say(str(file))
    for index in range(rounds):
        for through_door in (True, False) if index % 2 else (False, True):
            if through_door:
                begun = time.perf_counter()
                pair.door_text = str(door.transcribe(file)["text"])
                pair.door_s.append(time.perf_counter() - begun)
            else:
                answer = library.say(str(file))
                pair.library_s.append(float(answer["seconds"]))
                pair.library_text = str(answer["text"])
    return pair


def _write_wav(file: Path, speech: Speech) -> None:
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(speech.rate)
        out.writeframes(speech.pcm.tobytes())


def _measurement(pairs: dict[int, Pair], rounds: int, engine: dict[str, Any]) -> Measurement:
    columns = ["speech", "library", "front door", "ratio", "times real time", "same text", "word errors"]
    rows = [
        [
            f"{pair.speech.duration_s:.0f} s",
            f"{statistics.median(pair.library_s):.2f} s",
            f"{statistics.median(pair.door_s):.2f} s",
            f"{pair.ratio:.2f}",
            f"{pair.speech.duration_s / statistics.median(pair.door_s):.0f}",
            "yes" if pair.same_text else "no",
            f"{word_error_rate(pair.speech.text, pair.door_text):.1%}",
        ]
        for pair in pairs.values()
    ]
    judged = pairs.get(BOUND_AT_S) or next(iter(pairs.values()))
    bound = Bound(
        f"speech: {judged.speech.duration_s:.0f} s of it through the front door against the library called directly",
        f"{judged.ratio:.2f} times the time, {'equal' if judged.same_text else 'different'} text",
        f"≤ {RATIO_LIMIT:.2f} times, equal text",
        judged.ratio <= RATIO_LIMIT and judged.same_text,
    )
    notes = [
        f"tiny.en, {engine['compute_type']} on {engine['device']}, {engine['cpu_threads']} threads, "
        f"batches of {engine['batch_size']}, beam {engine['beam_size']}; medians of {rounds} runs each, in turn.",
        "Generated speech (espeak-ng), 16-bit WAV. Times real time: seconds of speech a second, through the door.",
        machine.versions("whisper-api", "faster-whisper", "ctranslate2", "av"),
    ]
    return Measurement(columns, rows, [bound], machine.facts(), notes)
