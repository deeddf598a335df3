"""What the engine tells: a transcript, and what the loaded model is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

# who gets each segment as soon as it is there
Heard = Callable[[dict[str, Any]], None]

WRITTEN_WITHOUT_BLANKS = frozenset({"zh", "ja", "yue", "th", "lo", "km", "my", "bo"})


@dataclass
class Transcript:
    """What was said. `segments` as recognise.py makes them; times in seconds.

    `language_probability` is known where only the language was asked for.
    """

    language: str
    duration_s: float
    processing_s: float
    segments: list[dict[str, Any]] = field(default_factory=list)
    language_probability: float | None = None

    @property
    def text(self) -> str:
        """All of it on one line."""
        blank = "" if self.language in WRITTEN_WITHOUT_BLANKS else " "
        return blank.join(str(segment["text"]).strip() for segment in self.segments)


@dataclass(frozen=True)
class Facts:
    """What the loaded model runs on and can do."""

    device: str
    compute_type: str
    cpu_threads: int
    batch_size: int
    multilingual: bool
