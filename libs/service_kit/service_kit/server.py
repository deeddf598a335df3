"""Runs a service's ASGI app under uvicorn: uvloop, httptools, bounded heads, bounded graceful shutdown."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn

from service_kit.linger import Lingering
from service_kit.protocol import BoundedHttpProtocol
from service_kit.settings import ServiceSettings

KEEP_ALIVE_S = 75


def serve(app: Any, settings: ServiceSettings) -> None:
    """Serve `app` until SIGTERM or SIGINT; running requests get SHUTDOWN_GRACE_S to finish.

    Exits with 1 when the service cannot start (port taken, startup failed); what went wrong is in the log.
    """
    server = uvicorn.Server(
        uvicorn.Config(
            Lingering(app),
            host=settings.listen,
            port=settings.port,
            http=BoundedHttpProtocol,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=settings.shutdown_grace_s,
        )
    )
    server.run()
    if not server.started:
        raise SystemExit(1)
