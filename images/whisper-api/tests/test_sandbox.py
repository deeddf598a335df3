"""What a decoder child can still do: nothing but decode."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from support import speech

from service_kit.errors import ServiceError
from whisper_api import sound, syscall_filter
from whisper_api.decode import Decoder, Samples
from whisper_api.settings import WhisperSettings

from .conftest import Sounds


def _with_decoder(work: Callable[[Decoder], Awaitable[object]], **settings: float) -> object:
    async def main() -> object:
        decoder = Decoder(WhisperSettings(**settings))  # type: ignore[arg-type]  # pydantic looks
        await decoder.start()
        try:
            return await work(decoder)
        finally:
            await decoder.stop()

    return asyncio.run(main())


@pytest.mark.promise("S3.1")
@pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")
def test_a_confined_process_can_touch_nothing_outside() -> None:
    """Each attempt exits with its error number: EPERM from the filter."""
    attempts: list[Callable[[], object]] = [
        lambda: os.kill(os.getppid(), 0),
        lambda: os.open("/etc/passwd", os.O_RDONLY),
        socket.socket,
        os.fork,
        lambda: os.execv("/bin/true", ["true"]),
        lambda: os.chmod("/tmp", 0o1777),  # noqa: PTH101  (the call itself is meant)
        lambda: os.setuid(0),
        lambda: os.kill(1, 0),
    ]
    for attempt in attempts:
        pid = os.fork()
        if pid == 0:
            code = 200
            try:
                if syscall_filter.confine():
                    attempt()
                    code = 0
            except OSError as error:
                code = error.errno or 201
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@pytest.mark.promise("S3.1")
def test_many_files_are_decoded_side_by_side(sounds: Sounds, sentence: speech.Speech, tmp_path: Path) -> None:
    files = [sounds.spoken(sentence, form) for form in ("wav", "mp3", "flac", "ogg-opus", "m4a", "webm")] * 3

    async def work(decoder: Decoder) -> list[Samples]:
        return await asyncio.gather(
            *(decoder.decode(file, tmp_path / f"{number}") for number, file in enumerate(files))
        )

    for samples in _with_decoder(work):  # type: ignore[attr-defined]  # a list, from `work`
        assert samples.seconds == pytest.approx(sentence.duration_s, abs=0.2)
        assert samples.path.stat().st_size == samples.seconds * sound.BYTES_PER_SECOND


@pytest.mark.promise("S3.1")
def test_a_decoder_that_takes_too_long_is_stopped(sounds: Sounds, sentence: speech.Speech, tmp_path: Path) -> None:
    """A pipe that nobody writes to is a file that never ends."""
    endless = tmp_path / "endless"
    os.mkfifo(endless)
    keep_open = os.open(endless, os.O_RDWR)

    async def work(decoder: Decoder) -> None:
        with pytest.raises(ServiceError) as raised:
            await decoder.decode(endless, tmp_path / "samples")
        assert (raised.value.status, raised.value.code) == (400, "decode_timeout")
        await _childless(decoder)
        await decoder.decode(sounds.spoken(sentence), tmp_path / "next")

    try:
        _with_decoder(work, decode_timeout_s=0.3)
    finally:
        os.close(keep_open)


@pytest.mark.promise("S3.2")
def test_decoding_stops_when_its_caller_leaves(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    os.mkfifo(endless)
    keep_open = os.open(endless, os.O_RDWR)

    async def work(decoder: Decoder) -> None:
        decoding = asyncio.create_task(decoder.decode(endless, tmp_path / "samples"))
        await _until(lambda: bool(psutil.Process(decoder.pid).children()))
        decoding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await decoding
        await _childless(decoder)

    try:
        _with_decoder(work)
    finally:
        os.close(keep_open)


@pytest.mark.promise("S3.1")
def test_a_decoder_that_is_killed_while_it_works_is_replaced(tmp_path: Path) -> None:
    """Twice in a row: then the caller is told. A child of a dead decoder dies with it."""
    endless = tmp_path / "endless"
    os.mkfifo(endless)
    keep_open = os.open(endless, os.O_RDWR)

    async def work(decoder: Decoder) -> None:
        decoding = asyncio.create_task(decoder.decode(endless, tmp_path / "samples"))
        seen: set[int] = set()
        while len(seen) < 2 and not decoding.done():
            pid = decoder.pid
            if pid is None or pid in seen or not (children := psutil.Process(pid).children()):
                await asyncio.sleep(0.01)
                continue
            seen.add(pid)
            os.kill(pid, signal.SIGKILL)
            psutil.wait_procs(children, timeout=5)
            assert not [child for child in children if child.is_running()]
        with pytest.raises(ServiceError) as raised:
            await decoding
        assert (raised.value.status, raised.value.code) == (503, "decoder_lost")

    try:
        _with_decoder(work)
    finally:
        os.close(keep_open)


async def _childless(decoder: Decoder) -> None:
    await _until(lambda: not psutil.Process(decoder.pid).children())


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  (a process table sends no events)
            await asyncio.sleep(0.01)
