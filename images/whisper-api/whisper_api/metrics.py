"""What this service counts beyond HTTP, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

QUEUE_WAITING = Gauge("whisper_queue_waiting", "Callers with a place in the queue that are not being worked on")
QUEUE_REFUSED = Counter("whisper_queue_refused", "Callers turned away because the queue was full")
WAIT_SECONDS = Histogram("whisper_wait_seconds", "Seconds from ready samples to the engine's turn", buckets=_SECONDS)
AUDIO_SECONDS = Counter("whisper_audio_seconds", "Seconds of sound transcribed")
PROCESSING_SECONDS = Counter("whisper_processing_seconds", "Seconds the engine spent transcribing")
DECODE_SECONDS = Histogram("whisper_decode_seconds", "Seconds from file to samples", buckets=_SECONDS)
ENGINE_RESTARTS = Counter("whisper_engine_restarts", "Engines replaced after they were lost, stalled or kept busy")
TASKS = Counter("whisper_tasks", "Finished tasks by outcome", ["outcome"])
for _outcome in ("done", "failed", "left"):
    TASKS.labels(_outcome)
