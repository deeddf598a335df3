"""The server's side of decoding: keeps the decoder process, hands it files, gets 16 kHz samples on disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_kit.errors import ServiceError
from service_kit.log import get_logger
from whisper_api.settings import WhisperSettings

BYTES_PER_SECOND = 32_000  # 16 kHz, mono, signed 16 bit: what sound.py writes
_TOO_LARGE = frozenset({"audio_too_long"})
_OURS = {"storage_full": 503, "decode_failed": 500, "decoder_lost": 503}
_HINTS = {
    "not_audio": "Send a recording, not a playlist, a document or a link.",
    "no_sound": "Check that something was recorded.",
    "audio_truncated": "Send it whole; if it is whole, rewrite it with 'ffmpeg -i FILE FILE.flac'.",
    "audio_damaged": "Rewrite it with 'ffmpeg -i FILE FILE.flac' and send that.",
    "audio_too_long": "Cut it into parts.",
    "decode_timeout": "Convert it to 16 kHz mono FLAC and send that.",
    "decode_memory": "Convert it to 16 kHz mono FLAC and send that.",
    "decode_crashed": "Convert it to 16 kHz mono FLAC and send that.",
    "decode_failed": "Try again; the server's log has the cause.",
    "storage_full": "Try again later, or free disk space under TEMP_DIR.",
    "decoder_lost": "Try again.",
}


@dataclass(frozen=True)
class Samples:
    """Decoded sound: a file of 16 kHz mono signed 16-bit samples, and its length."""

    path: Path
    seconds: float


class Decoder:
    """Turns files into samples, `decode_workers` at a time, in processes that may fail without harm."""

    def __init__(self, settings: WhisperSettings) -> None:
        self._limits = {
            "memory_mib": settings.decode_memory_mib,
            "cpu_s": max(1, int(settings.decode_timeout_s)),
            "max_audio_s": settings.max_audio_s,
            "output_bytes": int((settings.max_audio_s + 10) * BYTES_PER_SECOND),
        }
        self._timeout_s = settings.decode_timeout_s
        self._starting = asyncio.Lock()
        self._room = asyncio.Semaphore(settings.decode_workers)
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._log = get_logger()

    @property
    def pid(self) -> int | None:
        """Process id of the waiting decoder, None when it is not running."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the decoder process unless it runs."""
        async with self._starting:
            if self.pid is None:
                await self._spawn()

    async def _spawn(self) -> None:
        self._close_control()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "whisper_api.decoder_process",
            str(os.getpid()),
            str(theirs.fileno()),
            pass_fds=(theirs.fileno(),),
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._control = ours

    async def stop(self) -> None:
        """End the decoder process and its children."""
        self._close_control()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def decode(self, source: Path, target: Path) -> Samples:
        """Decode `source` into `target`. Raises ServiceError (4xx: the file's fault, 5xx: ours)."""
        async with self._room:
            answer = await self._ask(source, target)
            if answer is None:  # the decoder itself was killed: a new one, once
                self._log.warning("decoder_lost")
                answer = await self._ask(source, target)
        if answer is None:
            answer = {"error": "decoder_lost", "message": "The decoder was killed twice while working on this file."}
        if "error" in answer:
            raise _refusal(str(answer["error"]), str(answer.get("message", "")))
        return Samples(target, float(answer["seconds"]))

    async def _ask(self, source: Path, target: Path) -> dict[str, Any] | None:
        """The decoder's answer, or None when the decoder was lost; then it is known to be dead."""
        await self.start()
        process = self._process
        answer = await self._exchange(source, target)
        if answer is None and process is not None and process.returncode is None:
            # An answer is missing only when the process is gone or of no use; others may have replaced it already.
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        return answer

    async def _exchange(self, source: Path, target: Path) -> dict[str, Any] | None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            self._hand_over(source, target, theirs)
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            async with asyncio.timeout(self._timeout_s):
                data = await reader.read(-1)
        except TimeoutError:
            return {"error": "decode_timeout", "message": "Decoding this file took too long and was stopped."}
        except ConnectionError:
            return None
        finally:
            writer.close()  # ends the child too, when it still works
        if not data:
            return None
        answer: dict[str, Any] = json.loads(data)
        return answer

    def _hand_over(self, source: Path, target: Path, answer: socket.socket) -> None:
        if self._control is None:
            return  # the answer stays empty: the decoder is gone
        descriptors: list[int] = []
        try:
            descriptors.append(os.open(source, os.O_RDONLY | os.O_CLOEXEC))
            descriptors.append(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
            with contextlib.suppress(ConnectionError):  # a lost decoder shows as an empty answer
                socket.send_fds(self._control, [json.dumps(self._limits).encode()], [*descriptors, answer.fileno()])
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None


def _refusal(code: str, message: str) -> ServiceError:
    status = 413 if code in _TOO_LARGE else _OURS.get(code, 400)
    return ServiceError(
        status, code, message, hint=_HINTS.get(code), param="file", retry_after_s=30 if status == 503 else None
    )
