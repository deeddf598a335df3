"""Wires the service: settings in, ASGI application out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from service_kit import log
from service_kit.asgi import ServiceShell
from service_kit.auth import ApiKeys
from service_kit.errors import install_handlers
from service_kit.health import Readiness
from whisper_api import __version__, old
from whisper_api.fetch import Resolver, system_resolver
from whisper_api.routes import openai, page, status, transcribe
from whisper_api.service import Service
from whisper_api.settings import WhisperSettings

CLIENT_LEFT = 499


def create_app(settings: WhisperSettings, resolver: Resolver = system_resolver) -> Any:
    """The whole service as an ASGI application. Raises KeyFileError when keys are wanted and none can be read."""
    keys = ApiKeys.from_settings(settings)
    log.configure("whisper-api", settings.log_level_console)
    readiness = Readiness("engine")

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        service = Service(settings, readiness, resolver)
        app.state.service = service
        await service.start()
        try:
            yield
        finally:
            await old.stop(app)
            await service.stop()

    app = FastAPI(
        title="whisper-api",
        summary="Speech to text over HTTP",
        version=__version__,
        lifespan=life,
        docs_url=None,
        redoc_url=None,
    )
    install_handlers(app)
    app.add_exception_handler(ClientDisconnect, _client_left)
    # Who comes first answers: an old API's routes are its own where they are switched on.
    for router in (*old.routers(settings.old_api), *(one.router for one in (transcribe, openai, status, page))):
        app.include_router(router)
    return ServiceShell(
        app,
        service="whisper-api",
        version=__version__,
        keys=keys,
        readiness=readiness,
        open_paths=frozenset({"/health"}),
    )


async def _client_left(_request: Request, _error: Exception) -> Response:
    """Nobody reads this; it gives the access log its status."""
    return Response(status_code=CLIENT_LEFT)
