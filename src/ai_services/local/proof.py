"""The proof that a stack works: real speech through the front door, and one question to the language model."""

from __future__ import annotations

import difflib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_services.exits import OperatorError
from ai_services.local.state import Stack

QUESTION = "What is the capital of France?"
# Of the sample's words, this share must be recognised: the smallest model has one wrong in sixteen at times.
ENOUGH = 0.8


@dataclass(frozen=True)
class Sample:
    """The speech that ships with the repository, and what is said in it."""

    file: Path
    text: str
    duration_s: float


def sample() -> Sample:
    """Return the shipped sample."""
    directory = Path(__file__).parent
    facts = json.loads((directory / "sample.json").read_text(encoding="utf-8"))
    return Sample(directory / facts["file"], facts["text"], facts["duration_s"])


@dataclass(frozen=True)
class Proof:
    """Both answers; times in seconds; `match` is the share of the sample's words that was recognised (0 to 1)."""

    transcript: str
    expected: str
    match: float
    transcribe_s: float
    question: str
    answer: str
    answer_s: float

    @property
    def ok(self) -> bool:
        """Whether both answers are good enough."""
        return self.match >= ENOUGH and bool(self.answer)


def prove(stack: Stack, key: str) -> Proof:
    """Ask the front door both questions.

    Raises:
        OperatorError: a request failed; the door's own words are in the message.
    """
    import requests

    spoken = sample()
    with requests.Session() as session:
        # A proxy of the environment has no business on the way to this machine itself.
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {key}"
        begun = time.monotonic()
        with spoken.file.open("rb") as audio:
            heard = _ask(session, f"{stack.url}/transcribe", files={"file": (spoken.file.name, audio, "audio/ogg")})
        transcribed = time.monotonic()
        said = _ask(
            session,
            f"{stack.url}/v1/chat/completions",
            json={
                "model": stack.llm.model,
                "messages": [{"role": "user", "content": QUESTION}],
                "max_tokens": 48,
                "temperature": 0,
            },
        )
        answered = time.monotonic()
    transcript = str(heard.get("text", "")).strip()
    answer = words_of(said["choices"][0]["message"]).strip()
    return Proof(
        transcript=transcript,
        expected=spoken.text,
        match=round(word_match(spoken.text, transcript), 3),
        transcribe_s=round(transcribed - begun, 2),
        question=QUESTION,
        answer=answer,
        answer_s=round(answered - transcribed, 2),
    )


def words_of(said: Mapping[str, Any]) -> str:
    """What a model says in an OpenAI message or delta, or in an answer of Ollama's /api/generate.

    A reasoning model may still be thinking when it is cut off after a few tokens: its thoughts are words, too.
    """
    found = (said.get(name) for name in ("content", "response", "reasoning_content", "reasoning", "thinking"))
    return str(next((text for text in found if text), ""))


def _ask(session: Any, url: str, **body: Any) -> dict[str, Any]:
    import requests

    try:
        answer = session.post(url, timeout=(5, 300), **body)
    except requests.RequestException as error:
        raise OperatorError(f"{url} did not answer: {error}", hint="Look at ./ai logs gateway") from error
    if answer.status_code != 200:
        raise OperatorError(f"{url} answered {answer.status_code}: {answer.text[:500]}", hint="Look at ./ai logs")
    found = answer.json()
    if not isinstance(found, dict):
        raise OperatorError(f"{url} answered something unexpected: {answer.text[:200]}", hint="Look at ./ai logs")
    return found


def word_match(expected: str, heard: str) -> float:
    """Return the share of the expected words found in the heard ones, in order; case and punctuation aside."""
    wanted, got = _words(expected), _words(heard)
    if not wanted:
        return 1.0
    blocks = difflib.SequenceMatcher(None, wanted, got, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(wanted)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())
