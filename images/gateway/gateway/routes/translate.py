"""Ollama's dialect over an OpenAI-speaking backend."""

from __future__ import annotations

from gateway.exchange import Exchange
from gateway.registry import Backend
from service_kit.errors import ServiceError


async def translate(exchange: Exchange, backend: Backend, body: bytes) -> None:
    """Answer an Ollama request from `backend`."""
    raise ServiceError(501, "not_yet", "Not yet.")
