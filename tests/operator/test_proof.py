"""What counts as an answer of a language model that was asked for a proof."""

from __future__ import annotations

from typing import Any

import pytest

from ai_services.local import proof


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"role": "assistant", "content": "Paris."}, "Paris."),
        ({"content": None, "reasoning_content": "The user asks"}, "The user asks"),
        ({"content": "", "reasoning": "Hmm, the capital"}, "Hmm, the capital"),
        ({"response": "", "thinking": "Okay, so", "done": True}, "Okay, so"),
        ({"response": " Paris", "thinking": "Okay"}, " Paris"),
        ({"role": "assistant", "content": ""}, ""),
    ],
)
def test_a_model_that_is_still_thinking_is_not_called_silent(said: dict[str, Any], words: str) -> None:
    assert proof.words_of(said) == words
