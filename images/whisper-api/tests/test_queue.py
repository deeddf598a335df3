"""First in, first out, with a limit; who leaves is gone at once, and so is the work for them."""

from __future__ import annotations

import concurrent.futures
import http.client
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import speech
from support.whisper import WhisperServer, whisper_server

from .conftest import Sounds

PLACES = 3


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperServer]:
    """Three may wait. Small batches, so that there are moments to look at a caller who left."""
    with whisper_server(
        tmp_path_factory.mktemp("busy"), MAX_TASK_QUEUE_SIZE=str(PLACES), BATCH_SIZE="1", CANCEL_GRACE_S="20"
    ) as running:
        yield running


@pytest.fixture(scope="module")
def long(sounds: Sounds) -> Path:
    """Two minutes of speech: some seconds of work."""
    return sounds.spoken(speech.say_for(120))


class Caller:
    """A caller who can leave: sends a file and does not read the answer."""

    def __init__(self, server: WhisperServer, file: Path) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
        head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        body = head + file.read_bytes() + b"\r\n--b--\r\n"
        headers = server.headers | {"Content-Type": "multipart/form-data; boundary=b"}
        self._connection.request("POST", "/transcribe", body, headers)

    def leave(self) -> None:
        self._connection.close()

    def status(self) -> int:
        answer = self._connection.getresponse()
        answer.read()
        return answer.status


@pytest.mark.promise("S3.2")
def test_a_full_queue_refuses_with_retry_after_and_order_is_kept(
    busy: WhisperServer, sounds: Sounds, long: Path
) -> None:
    first = Caller(busy, long)
    busy.wait_until(lambda: busy.queue()["running"] == 1)
    served: list[int] = []
    with concurrent.futures.ThreadPoolExecutor(PLACES) as pool:
        waiting = []
        for number in range(PLACES):
            file = sounds.spoken(speech.say(speech.SENTENCES[number]))

            def ask(number: int = number, file: Path = file) -> str:
                text: str = busy.transcribe(file).json()["text"]
                served.append(number)
                return text

            waiting.append(pool.submit(ask))
            busy.wait_until(lambda number=number: busy.queue()["waiting"] == number + 1)  # type: ignore[misc]  # mypy does not infer such a lambda

        status = busy.queue()
        assert status["queue_size"] == status["max_queue_size"] == PLACES
        assert status["estimated_wait_s"] > 0
        assert status["running_audio_s"] == pytest.approx(120, abs=10)
        refused = busy.transcribe(long)
        assert (refused.status_code, refused.json()["code"]) == (429, "queue_full")
        assert 1 <= int(refused.headers["retry-after"]) <= 3600
        refused = busy.transcribe_openai(long)
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")

        texts = [one.result() for one in waiting]
    assert first.status() == 200
    assert served == list(range(PLACES))
    for number, text in enumerate(texts):
        assert speech.word_error_rate(speech.SENTENCES[number], text) <= 0.2
    assert busy.queue()["queue_size"] == 0


@pytest.mark.promise("S3.2")
def test_who_leaves_while_waiting_frees_the_place_at_once(busy: WhisperServer, long: Path) -> None:
    first = Caller(busy, long)
    busy.wait_until(lambda: busy.queue()["running"] == 1)
    impatient = Caller(busy, long)
    busy.wait_until(lambda: busy.queue()["waiting"] == 1)
    assert len(busy.recordings()) == 2
    impatient.leave()
    busy.wait_until(lambda: busy.queue()["waiting"] == 0)
    assert busy.queue()["running"] == 1, "the one being served was not disturbed"
    busy.wait_until(lambda: len(busy.recordings()) == 1)
    first.leave()
    busy.wait_until(lambda: busy.queue()["running"] == 0)


@pytest.mark.promise("S3.2")
def test_the_work_stops_when_its_caller_leaves(busy: WhisperServer, sounds: Sounds, long: Path) -> None:
    engine = busy.health()["engine"]
    caller = Caller(busy, long)
    busy.wait_until(lambda: busy.queue()["running"] == 1)
    caller.leave()
    busy.wait_until(lambda: not busy.recordings())
    # The next caller waits for a moment between two batches, not for two minutes of speech.
    file = sounds.spoken(speech.say(speech.SENTENCES[0]))
    assert busy.transcribe(file).status_code == 200
    busy.wait_until(lambda: '"status":499' in busy.log)
    assert busy.health()["engine"] == engine, "the engine stopped by itself"
    metrics = busy.get("/metrics").text
    assert 'whisper_tasks_total{outcome="left"}' in metrics


@pytest.mark.promise("S3.2")
def test_an_engine_that_does_not_stop_is_replaced(sounds: Sounds, long: Path, tmp_path: Path) -> None:
    """One batch holds the whole recording, so the engine cannot look up from it."""
    with whisper_server(tmp_path, BATCH_SIZE="8", CANCEL_GRACE_S="0.2") as server:
        before = server.health()["engine"]["pid"]
        engine = psutil.Process(before)
        idle_s = engine.cpu_times().user
        caller = Caller(server, long)
        server.wait_until(lambda: server.queue()["running"] == 1)
        # In the midst of the batch: before it, the engine still looks up.
        server.wait_until(lambda: engine.cpu_times().user > idle_s + 1)
        caller.leave()
        server.wait_until(lambda: server.health()["engine"]["restarts"] == 1)
        file = sounds.spoken(speech.say(speech.SENTENCES[0]))
        assert server.transcribe(file).status_code == 200
        assert server.health()["engine"]["pid"] != before


@pytest.mark.promise("S3.2")
def test_the_queue_is_measured(busy: WhisperServer, sounds: Sounds, sentence: speech.Speech) -> None:
    assert busy.transcribe(sounds.spoken(sentence)).status_code == 200
    metrics = busy.get("/metrics").text
    for name in (
        "whisper_queue_waiting 0.0",
        "whisper_queue_refused_total",
        "whisper_wait_seconds_count",
        "whisper_audio_seconds_total",
        "whisper_processing_seconds_total",
        "whisper_decode_seconds_count",
        "whisper_engine_restarts_total 0.0",
        'whisper_tasks_total{outcome="done"}',
    ):
        assert name in metrics
