"""Speech to text over HTTP: faster-whisper behind a queue."""

__version__ = "0.2.0"
