"""S0.2, S3.1, S3.2: speech through the front door of a running stack."""

from __future__ import annotations

import socket
from pathlib import Path

import psutil
import pytest
import requests
from support import audio, speech
from support.speech import word_error_rate
from support.stack import Stack, wait_until


@pytest.mark.promise("S0.2")
def test_transcribe(stack: Stack, spoken: tuple[Path, str]) -> None:
    path, words = spoken
    answer = stack.transcribe(path)
    assert answer.status_code == 200
    told = answer.json()
    assert word_error_rate(words, told["text"]) <= 0.15
    assert told["language"] == "en"
    assert told["duration"] == pytest.approx(_seconds(path), abs=0.2)
    assert 0 < told["processing_time"] < 120


@pytest.mark.promise("S3.1")
@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_minutes(stack: Stack, tmp_path: Path) -> None:
    """A long file comes back whole: neither its end nor its middle is lost on the way."""
    said = speech.say_for(600)
    path = audio.write(tmp_path / "long.mp3", said.pcm, said.rate, "mp3")
    answer = stack.transcribe(path)
    assert answer.status_code == 200
    told = answer.json()
    assert told["duration"] == pytest.approx(said.duration_s, abs=1)
    assert word_error_rate(said.text, told["text"]) <= 0.15


@pytest.mark.promise("S0.1")
def test_a_loopback_address_is_not_fetched(stack: Stack) -> None:
    answer = requests.post(
        f"{stack.url}/transcribe/url", headers=stack.auth, json={"url": f"{stack.url}/health"}, timeout=60
    )
    assert 400 <= answer.status_code < 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert stack.ready()


@pytest.mark.promise("S3.2")
def test_the_queue_is_told(stack: Stack) -> None:
    told = requests.get(f"{stack.url}/queue/status", headers=stack.auth, timeout=30).json()
    assert told["queue_size"] == 0
    assert told["max_queue_size"] == 128


@pytest.mark.promise("S3.2")
def test_who_leaves_frees_the_machine(stack: Stack, spoken: tuple[Path, str], tmp_path: Path) -> None:
    """The connection is cut while the engine works: the place becomes free and the work stops, long before its end."""
    said = speech.say_for(120)
    whole = audio.write(tmp_path / "hour.wav", _repeated(said.pcm, 30), said.rate)
    connection = _upload(stack, whole)
    wait_until(lambda: _queue(stack)["running"] == 1, "the transcription runs")
    connection.close()
    wait_until(lambda: _queue(stack)["running"] == 0 and _queue(stack)["queue_size"] == 0, "the queue is empty", 30)
    wait_until(lambda: _cpu_share(stack, "whisper-api") < 0.2, "the processor rests", 30)
    path, words = spoken
    assert word_error_rate(words, stack.transcribe(path).json()["text"]) <= 0.15


@pytest.mark.promise("S3.3")
def test_nothing_stays_behind(stack: Stack, spoken: tuple[Path, str], tmp_path: Path) -> None:
    """Neither a good file nor a bad one leaves a trace in the stack's temporary directory."""

    def kept() -> set[Path]:
        return {path for path in (stack.home / "tmp").rglob("*") if path.is_file()}

    junk = tmp_path / "junk.wav"
    junk.write_bytes(b"RIFF" + bytes(range(256)) * 64)
    assert stack.transcribe(spoken[0]).status_code == 200  # whatever a first request makes for good is there now
    before = kept()
    assert stack.transcribe(spoken[0]).status_code == 200
    assert 400 <= stack.transcribe(junk).status_code < 500
    assert kept() == before


def _seconds(path: Path) -> float:
    import wave

    with wave.open(str(path)) as opened:
        return float(opened.getnframes() / opened.getframerate())


def _repeated(pcm: audio.Pcm, times: int) -> audio.Pcm:
    import numpy as np

    return np.tile(pcm, times)


def _queue(stack: Stack) -> dict[str, int]:
    found = requests.get(f"{stack.url}/queue/status", headers=stack.auth, timeout=30).json()
    assert isinstance(found, dict)
    return found


def _upload(stack: Stack, path: Path) -> socket.socket:
    """Send a whole multipart upload, and keep the connection without reading from it."""
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    tail = b"\r\n--b--\r\n"
    length = len(head) + path.stat().st_size + len(tail)
    connection = socket.create_connection(("127.0.0.1", stack.port), timeout=60)
    connection.sendall(
        f"POST /transcribe HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {stack.key}\r\nContent-Length: {length}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode()
        + head
    )
    with path.open("rb") as opened:
        connection.sendfile(opened)
    connection.sendall(tail)
    return connection


def _cpu_share(stack: Stack, component: str) -> float:
    """Cores kept busy by a component and its children, over one second."""
    top = psutil.Process(stack.component(component)["pid"])
    family = [top, *top.children(recursive=True)]
    for process in family:
        process.cpu_percent()
    psutil.cpu_percent(interval=1.0)
    return sum(process.cpu_percent() for process in family if process.is_running()) / 100
