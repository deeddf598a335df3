"""Structured logs: one JSON line per event on standard output, with the request's id.

Callers log names, counts and times; never a key, a transcript, a prompt or a query string.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import msgspec
import structlog

request_id_var: ContextVar[str] = ContextVar("request_id", default="")

_json = msgspec.json.Encoder(enc_hook=repr)


def configure(service: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's events to stdout as JSON lines that name `service`."""
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")

    def identify(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        if request_id := request_id_var.get():
            event["request_id"] = request_id
        return event

    shared: list[Any] = [structlog.stdlib.add_log_level, stamp, identify, structlog.processors.format_exc_info]
    numeric = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(serializer=_encode)],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: _json.encode(event).decode()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(numeric, logging.WARNING))
    logging.getLogger("uvicorn").setLevel(max(numeric, logging.WARNING))


def get_logger() -> Any:
    """The service's logger: `logger.info("event_name", key=value)`."""
    return structlog.get_logger()


def _encode(event: MutableMapping[str, Any], **_: object) -> bytes:
    return _json.encode(event)
