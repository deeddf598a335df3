"""The pieces that need no process: formats, wishes, languages, times, cuts, notes, storage."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.tokenizer import _LANGUAGE_CODES

from service_kit.errors import ServiceError
from whisper_api import formats, languages, recognise, storage
from whisper_api.speech_times import snapped
from whisper_api.transcript import Facts, Transcript
from whisper_api.wishes import Wishes


def _transcript(*segments: tuple[float, float, str], language: str = "en") -> Transcript:
    return Transcript(
        language, 12.5, 1.0, [{"start": start, "end": end, "text": text} for start, end, text in segments]
    )


def test_srt_numbers_cues_and_writes_hours() -> None:
    said = _transcript((0.0, 1.5, " Hello."), (3661.25, 3662.0009, " A --> b\n\nc"))
    assert formats.srt(said) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello.\n\n2\n01:01:01,250 --> 01:01:02,001\nA -> b c\n\n"
    )


def test_vtt_escapes_what_would_be_markup() -> None:
    assert formats.vtt(_transcript((0, 1, "a < b & c"))) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt; b &amp; c\n\n"
    )


def test_text_is_joined_as_its_language_is_written() -> None:
    parts = ((0.0, 1.0, " one"), (1.0, 2.0, "two "))
    assert _transcript(*parts).text == "one two"
    assert _transcript(*parts, language="ja").text == "onetwo"
    assert formats.usage(_transcript()) == {"type": "duration", "seconds": 13}


def test_the_languages_are_those_of_the_library() -> None:
    assert set(languages.NAMES) == set(_LANGUAGE_CODES)


@pytest.mark.parametrize(
    ("given", "code"),
    [("en", "en"), ("EN", "en"), ("pt-BR", "pt"), ("zh_TW", "zh"), ("English", "en"), ("haitian creole", "ht")],
)
def test_languages_are_taken_in_any_usual_spelling(given: str, code: str) -> None:
    assert languages.code_of(given) == code
    assert languages.code_of(languages.name_of(code)) == code


def test_unknown_languages_are_none() -> None:
    assert languages.code_of("klingon") is None
    assert languages.code_of("") is None


MULTILINGUAL = Facts("cpu", "int8", 2, 4, True)
ENGLISH = Facts("cpu", "int8", 2, 4, False)


@pytest.mark.parametrize(
    ("model", "facts", "wishes", "param"),
    [
        ("small", MULTILINGUAL, Wishes(task="translate"), None),
        ("small", MULTILINGUAL, Wishes(language="pt"), None),
        ("large-v3-turbo", MULTILINGUAL, Wishes(task="translate"), "task"),
        ("distil-large-v3", MULTILINGUAL, Wishes(task="translate"), "task"),
        ("mine", ENGLISH, Wishes(task="translate"), "task"),
        ("mine", ENGLISH, Wishes(language="pt"), "language"),
        ("mine", ENGLISH, Wishes(language="en"), None),
        ("base.en", None, Wishes(language="pt"), "language"),
        ("base", None, Wishes(language="pt"), None),
    ],
)
def test_what_a_model_can_do_is_known_by_its_facts_or_its_name(
    model: str, facts: Facts | None, wishes: Wishes, param: str | None
) -> None:
    if param is None:
        wishes.check_model_can(model, facts)
        assert wishes.for_engine()["task"] == wishes.task
    else:
        with pytest.raises(ServiceError) as raised:
            wishes.check_model_can(model, facts)
        assert (raised.value.status, raised.value.param) == (400, param)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (" [Music]", ""),
        (" (upbeat music) ♪ ♪", ""),
        (" *laughs*", ""),
        (" ...", ""),
        (" Hello (he said).", "Hello (he said)."),
        (" 42", "42"),
        (" ¡Olá!", "¡Olá!"),
    ],
)
def test_notes_of_sounds_are_no_text(text: str, left: str) -> None:
    assert recognise.without_notes(text) == left


def test_long_samples_are_cut_where_it_is_quiet_and_wholly_covered() -> None:
    rate = recognise.SAMPLE_RATE
    samples = np.full(1500 * rate, 1000, np.int16)
    quiet = ((585, 586), (1180, 1182))
    for start, end in quiet:
        samples[start * rate : end * rate] = 0
    cut = list(recognise.windows(samples))
    assert cut[0][0] == 0
    assert cut[-1][1] == len(samples)
    assert [end for _, end in cut[:-1]] == [start for start, _ in cut[1:]]
    for (start, end), (_, at) in zip(quiet, cut, strict=False):
        assert start <= at / rate <= end
    assert max(end - start for start, end in cut) <= (recognise.WINDOW_S + recognise.CUT_SEARCH_S) * rate
    assert list(recognise.windows(samples[:0])) == []


def test_times_are_moved_out_of_the_silence_between_two_stretches() -> None:
    speech = [(1.0, 5.0), (40.0, 45.0)]
    assert snapped(4.9, 44.0, speech) == (40.0, 44.0)
    assert snapped(1.0, 40.1, speech) == (1.0, 5.0)
    assert snapped(2.0, 44.0, speech) == (2.0, 44.0)
    assert snapped(41.0, 44.0, speech) == (41.0, 44.0)
    assert snapped(1.0, 2.0, []) == (1.0, 2.0)
    assert snapped(1.9, 4.0, [(1.0, 2.0), (2.5, 4.0)]) == (1.9, 4.0), "a breath is no silence"


@pytest.mark.promise("S3.3")
def test_a_sweep_takes_only_what_nobody_holds_and_what_is_ours(tmp_path: Path) -> None:
    held = storage.Storage(tmp_path, 0)
    dead = tmp_path / "whisper-api-dead"
    (dead / "request").mkdir(parents=True)
    (dead / "lock").touch()
    starting = tmp_path / "whisper-api-starting"
    starting.mkdir()
    old = tmp_path / "whisper-api-old"
    old.mkdir()
    os.utime(old, (0, 0))
    other = tmp_path / "someone-else"
    other.mkdir()
    link = tmp_path / "whisper-api-link"
    link.symlink_to(other)
    assert storage.sweep(tmp_path) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [held.path.name, starting.name, other.name, link.name]
    )
    held.close()
    assert not held.path.exists()


def test_a_full_disk_is_said_before_the_upload(tmp_path: Path) -> None:
    full = storage.Storage(tmp_path, 1 << 40)
    with pytest.raises(ServiceError) as raised, full.request_directory():
        pass
    assert (raised.value.status, raised.value.code) == (503, "storage_full")
    assert raised.value.retry_after_s
    full.close()
