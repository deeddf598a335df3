"""Callers of an old API before, while and after their host is migrated: the old service, the same behind our gateway,
and our whisper-api in its place are asked the same, and answer alike."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from host.lab.old.locally import caller, old_service
from host.lab.old.recorded import Caller, Case, cases
from support import speech
from support.whisper import whisper_server

from dialects.harness import free_port, gateway

# A request takes up what an earlier one was answered: one process for all of them, in their order.
pytestmark = [pytest.mark.long, pytest.mark.promise("S0.7"), pytest.mark.xdist_group("old-apis")]

APIS = ("asr", "speaches", "whisper_api", "seed")
WHEN = ("before", "behind the gateway", "after")
CASES = [case for api in APIS for case in cases(api)]
# the same model hears the same sentence; voice activity detection and batches may cost a word
SAME_TEXT = 0.15


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Caller]]:
    """A caller without a key for each API and each time of a migration."""
    folder = tmp_path_factory.mktemp("doors")
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(whisper_server(folder, OLD_API=",".join(APIS)))
        found: dict[tuple[str, str], Caller] = {}
        key_file = folder / "key"
        key_file.write_text(ours.headers["Authorization"].removeprefix("Bearer "))
        for api in APIS:
            old = stack.enter_context(old_service(api, folder))
            found["before", api] = caller(old, folder)
            for when, port, standby in (("behind the gateway", free_port(), old), ("after", ours.port, None)):
                line = _line(port, key_file) | ({"standby": {"url": old, "api": api}} if standby else {})
                front = gateway(folder / f"{api}-{when.split()[0]}", [line], OLD_API=api, OLD_API_KEYLESS="true")
                found[when, api] = caller(stack.enter_context(front).url, folder)
        yield found


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("when", WHEN)
def test_the_answer_is_as_recorded(doors: dict[tuple[str, str], Caller], when: str, case: Case) -> None:
    assert doors[when, case.api].differences(case) == []


@pytest.mark.parametrize("case", [case for case in CASES if case.raw.get("words")], ids=str)
def test_the_text_is_the_same_before_and_after(doors: dict[tuple[str, str], Caller], case: Case) -> None:
    before, after = (_words(doors[when, case.api].ask(case).text) for when in ("before", "after"))
    assert speech.word_error_rate(before, after) <= SAME_TEXT


def _line(port: int, key_file: Path) -> dict[str, object]:
    return {
        "name": "whisper-api", "kind": "whisper", "url": f"http://127.0.0.1:{port}", "models": ["tiny.en"],
        "api_key_file": str(key_file),
    }  # fmt: skip


def _words(text: str) -> str:
    with contextlib.suppress(ValueError):
        text = str(json.loads(text).get("text", text))
    return " ".join(re.findall(r"[a-z']+", re.sub(r"[\d:.,]+ --> [\d:.,]+|WEBVTT|data:", " ", text.lower())))
