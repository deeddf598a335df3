"""What the old APIs keep: results for their time and no longer, streams while they are heard, places."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import wave
from typing import Any

import pytest
from support.whisper import WhisperServer, whisper_server

from service_kit.errors import ServiceError
from whisper_api.decode import Samples
from whisper_api.multipart import Form
from whisper_api.old import kept, speaches, uploads
from whisper_api.service import Answer
from whisper_api.tasks import TaskQueue
from whisper_api.transcript import Transcript
from whisper_api.wishes import Wishes

SEGMENT: dict[str, Any] = {
    "seek": 0, "start": 0.0, "end": 1.5, "text": "Good morning.", "tokens": [1], "avg_logprob": -0.1,
    "compression_ratio": 1.0, "no_speech_prob": 0.0, "temperature": 0.0, "language": "en",
}  # fmt: skip


class Clock:
    """Time that passes when a test says so."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def _answer() -> Answer:
    return Answer(Transcript("en", 1.5, 0.1, [SEGMENT]), 0.2)


async def _finished(results: kept.Results, work: Any) -> kept.Kept:
    queue = TaskQueue(4, _never)
    one = kept.Kept("transcribe", "a.wav", queue.take_place())
    results.begin(one, work, contextlib.AsyncExitStack())
    await asyncio.gather(*results._running)
    return one


async def _never(*_: Any) -> Any:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_result_lives_as_long_after_it_was_last_asked_for() -> None:
    clock = Clock()
    results = kept.Results(60, clock)
    one = await _finished(results, _answer())
    assert one.status == "finished"
    clock.seconds = 59
    assert results.find(one.id) is one
    clock.seconds = 59 + 60
    assert results.find(one.id) is one
    clock.seconds = 59 + 60 + 61
    assert results.find(one.id) is None


async def test_work_that_fails_is_told_as_failed() -> None:
    async def fail() -> Answer:
        raise ServiceError(503, "engine_lost", "It was killed.")

    one = await _finished(kept.Results(60), fail())
    assert (one.status, one.answer) == ("failed", None)


async def test_callers_who_fetch_nothing_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST", 3)
    results = kept.Results(60)
    all_of_them = [await _finished(results, _answer()) for _ in range(5)]
    assert [results.find(one.id) is not None for one in all_of_them] == [False, False, True, True, True]


async def test_the_position_counts_down_to_the_one_being_served() -> None:
    begun, release = asyncio.Event(), asyncio.Event()

    async def run(*_: Any) -> Transcript:
        begun.set()
        await release.wait()
        return Transcript("en", 0.0, 0.0)

    queue = TaskQueue(4, run)
    queue.start()
    places = [queue.take_place() for _ in range(3)]
    assert [place.position for place in places] == [None, None, None]
    samples = Samples(None, 1.0)  # type: ignore[arg-type]  # never read here
    works = [asyncio.create_task(place.transcribe(samples, Wishes())) for place in places]
    await begun.wait()
    assert [place.position for place in places] == [0, 1, 2]
    release.set()
    await asyncio.gather(*works)
    assert [place.position for place in places] == [None, None, None]
    await queue.stop()


async def test_a_stream_tells_a_segment_before_the_next_one_is_heard() -> None:
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    go_on = asyncio.Event()

    async def work() -> Answer:
        heard.put_nowait(SEGMENT)
        await go_on.wait()
        heard.put_nowait({**SEGMENT, "text": "Good night."})
        return await _answer()

    events = speaches._events(asyncio.create_task(work()), heard, speaches.Fields(stream=True), False)
    assert json.loads((await anext(events)).removeprefix("data: ")) == {"text": "Good morning."}
    go_on.set()
    assert [json.loads(event.removeprefix("data: ")) async for event in events] == [{"text": "Good night."}]


async def test_who_leaves_a_stream_ends_its_work() -> None:
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    heard.put_nowait(SEGMENT)
    closed: list[str] = []
    work = _holding(closed)
    events = speaches._events(work, heard, speaches.Fields(stream=True), False)
    await anext(events)
    await events.aclose()  # type: ignore[attr-defined]  # a generator, said to be an iterator
    assert work.cancelled()
    assert closed == ["place"]


async def test_who_leaves_before_a_stream_begins_ends_its_work() -> None:
    """The response is cancelled before it asks for the first event; place and file must come back all the same."""
    closed: list[str] = []
    work = _holding(closed)

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        await asyncio.sleep(0)

    stream = speaches._Stream(work, asyncio.Queue(), speaches.Fields(stream=True), False)
    await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    await asyncio.wait({work}, timeout=5)
    assert work.cancelled()
    assert closed == ["place"]


def _holding(closed: list[str]) -> asyncio.Task[Any]:
    held = contextlib.AsyncExitStack()
    held.callback(closed.append, "place")
    return asyncio.create_task(speaches._held(_never(), held))


@pytest.mark.parametrize("temperature", ["nan", "inf", "-1"])
def test_a_temperature_that_is_none_is_refused(temperature: str) -> None:
    upload = uploads.Upload(None, None, Form({"temperature": [temperature]}))  # type: ignore[arg-type]  # only the form is read
    with pytest.raises(uploads.InvalidFieldsError):
        speaches._fields(upload)


async def test_an_error_in_a_stream_is_its_last_event() -> None:
    async def fail() -> Answer:
        raise ServiceError(503, "engine_lost", "It was killed.", hint="Try again.")

    events = speaches._events(asyncio.create_task(fail()), asyncio.Queue(), speaches.Fields(), False)
    assert [event async for event in events] == ['data: {"detail": "It was killed. Try again."}\n\n']


def test_bare_samples_get_a_head_that_a_wav_reader_understands() -> None:
    with wave.open(io.BytesIO(uploads.wav_head() + bytes(32_000))) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getsampwidth()) == (16_000, 1, 2)


@pytest.mark.parametrize(
    "name", ["whisper-1", "Systran/faster-whisper-medium", "deepdml/faster-whisper-large-v3-turbo"]
)
def test_every_whisper_model_is_answered_by_the_one_here(name: str) -> None:
    assert speaches._is_here(name, _Named())  # type: ignore[arg-type]  # its name is all that is asked


@pytest.mark.parametrize("name", ["nvidia/parakeet-tdt-0.6b", "hexgrad/Kokoro-82M"])
def test_other_models_are_not_here(name: str) -> None:
    assert not speaches._is_here(name, _Named())  # type: ignore[arg-type]  # its name is all that is asked


class _Named:
    model_names = ("large-v3-turbo",)


def test_a_form_says_nothing_of_other_fields() -> None:
    upload = uploads.Upload(None, None, Form({"model": ["whisper-1"], "vad_filter": ["maybe"]}))  # type: ignore[arg-type]  # only the form is read
    assert speaches._fields(upload).model == "whisper-1"


def test_without_the_setting_there_is_nothing_of_it(server: WhisperServer) -> None:
    for path in ("/asr", "/detect-language", "/api/v1/transcribe"):
        assert server.post(path).status_code == 404
    assert server.get("/api/v1/version").status_code == 404


@pytest.mark.long
def test_results_are_gone_with_the_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As with the original: they are in memory only."""
    folder = tmp_path_factory.mktemp("gone")
    with whisper_server(folder, OLD_API="whisper_api") as running:
        file = {"file": ("a.wav", _silence())}
        task = running.post("/api/v1/transcribe", files=file).json()["task_id"]
        running.wait_until(lambda: running.get(f"/api/v1/status?task_id={task}").json()["status"] == "finished")
        assert not running.recordings()
    with whisper_server(folder, OLD_API="whisper_api") as running:
        assert running.get(f"/api/v1/status?task_id={task}").status_code == 400


def _silence() -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as opened:
        opened.setnchannels(1)
        opened.setsampwidth(2)
        opened.setframerate(16_000)
        opened.writeframes(bytes(32_000))
    return content.getvalue()
