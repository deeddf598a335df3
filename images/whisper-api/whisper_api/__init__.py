"""Speech to text over HTTP: faster-whisper behind a queue."""

__version__ = "0.1.0"
