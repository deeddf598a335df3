"""What the service does with a recording, told apart from HTTP: file, samples, queue, engine, transcript."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service_kit.errors import ServiceError
from service_kit.health import Readiness
from service_kit.log import get_logger
from whisper_api import metrics, proof
from whisper_api.decode import Decoder, Samples
from whisper_api.engine import Engine
from whisper_api.fetch import Fetcher, Resolver, system_resolver
from whisper_api.settings import WhisperSettings
from whisper_api.storage import Storage
from whisper_api.tasks import Place, TaskQueue
from whisper_api.transcript import Heard, Transcript
from whisper_api.wishes import Wishes


@dataclass(frozen=True)
class Prepared:
    """Samples of a recording, and the seconds that decoding it took."""

    samples: Samples
    decode_s: float


@dataclass(frozen=True)
class Answer:
    """A transcript and how long this server worked for it (decoding and recognising, without waiting)."""

    transcript: Transcript
    processing_s: float


class Service:
    """The parts, wired. `start` and `stop` belong to the application's life."""

    def __init__(self, settings: WhisperSettings, readiness: Readiness, resolver: Resolver = system_resolver) -> None:
        self.settings = settings
        self.started_at = int(time.time())
        self.model_names = tuple(dict.fromkeys((settings.model_name, settings.whisper_model)))
        self._readiness = readiness
        self.engine = Engine(settings, on_change=self._show_readiness)
        self.decoder = Decoder(settings)
        self.queue = TaskQueue(settings.max_task_queue_size, self._run)
        self.fetcher = Fetcher(settings, resolver)
        self.storage = Storage(settings.temp_dir, settings.min_free_disk_mib)
        self.proof = proof.Proof(self._transcribe_sample, on_change=self._show_readiness)
        self._log = get_logger()

    async def start(self) -> None:
        """Start the decoder, the queue and, unless it waits for the first request, the engine."""
        if self.storage.swept:
            self._log.info("leftovers_removed", directories=self.storage.swept)
        await self.decoder.start()
        self.queue.start()
        if self.settings.load_model_on_startup:
            self.engine.load_in_background()
            self.proof.begin()
        self._show_readiness()

    async def stop(self) -> None:
        """End everything and remove every recording."""
        await self.proof.stop()
        await self.queue.stop()
        await self.engine.stop()
        await self.decoder.stop()
        self.storage.close()

    async def transcribe(self, place: Place, recording: Path, wishes: Wishes, heard: Heard | None = None) -> Answer:
        """Transcribe the file `recording`, which is removed once it is decoded. Raises ServiceError."""
        return await self.recognise(place, await self.prepare(recording, wishes), wishes, heard)

    async def prepare(self, recording: Path, wishes: Wishes) -> Prepared:
        """Decode `recording` and remove it: from here on its samples are there, beside it. Raises ServiceError."""
        if os.path.getsize(recording) == 0:  # noqa: ASYNC240, PTH202  # asks the kernel, in memory
            raise ServiceError(
                400, "empty_file", "The file is empty.", hint="Send a recording in form field 'file'.", param="file"
            )
        wishes.check_model_can(self.settings.model_name, self.engine.facts)
        started_at = time.monotonic()
        samples = await self.decoder.decode(recording, recording.with_name("samples"))
        os.unlink(recording)  # noqa: PTH108  # nothing to wait for there, either
        decode_s = time.monotonic() - started_at
        metrics.DECODE_SECONDS.observe(decode_s)
        return Prepared(samples, decode_s)

    async def recognise(self, place: Place, prepared: Prepared, wishes: Wishes, heard: Heard | None = None) -> Answer:
        """Wait for the turn, then transcribe what is prepared. Raises ServiceError."""
        samples, decode_s = prepared.samples, prepared.decode_s
        started_at = time.monotonic()
        transcript = await place.transcribe(samples, wishes, heard)
        self._log.info(
            "transcribed",
            audio_s=round(samples.seconds, 2),
            decode_s=round(decode_s, 3),
            processing_s=round(transcript.processing_s, 3),
            total_s=round(decode_s + time.monotonic() - started_at, 3),
            segments=len(transcript.segments),
            language=transcript.language,
        )
        self.proof.accept()
        return Answer(transcript, decode_s + transcript.processing_s)

    def health(self) -> dict[str, Any]:
        """The answer of /health. `status`: ok, starting (the model is being loaded), down (it cannot be)."""
        engine = self.engine
        facts = engine.facts
        return {
            "status": self._status(),
            "service": "whisper-api",
            "model": self.settings.model_name,
            "device": facts.device if facts else None,
            "compute_type": facts.compute_type if facts else None,
            "engine": {
                "state": engine.state,
                "pid": engine.pid,
                "restarts": engine.restarts,
                **({"failure": engine.failure} if engine.state == "failed" else {}),
            },
            "decoder": {"pid": self.decoder.pid},
            "queue": self.queue.status(),
        }

    async def _run(self, samples: Samples, wishes: Wishes, progress: Any, heard: Heard | None) -> Transcript:
        await self.engine.load()
        # The model may have been loaded only now: what it can do is known only now.
        wishes.check_model_can(self.settings.model_name, self.engine.facts)
        return await self.engine.run(samples.path, wishes.for_engine(), progress, heard)

    async def _transcribe_sample(self) -> str:
        await self.engine.load()
        with self.queue.take_place() as place, self.storage.request_directory() as directory:
            recording = directory / "upload"
            shutil.copyfile(proof.SAMPLE, recording)
            answer = await self.transcribe(place, recording, proof.WISHES)
        return answer.transcript.text

    def _status(self) -> str:
        if self.engine.state == "failed":
            return "down"
        # Once it has worked, a request waits for an engine that is unloaded or being replaced, and is served.
        return "ok" if self.proof.given or not self.settings.load_model_on_startup else "starting"

    def _show_readiness(self) -> None:
        status = self._status()
        detail = self.engine.fetched or self.engine.failure or self.engine.state
        if self.engine.state == "ready" and status != "ok":
            detail = self.proof.detail
        self._readiness.set("engine", status == "ok", detail)
