"""Runs a service's ASGI app under uvicorn: uvloop, httptools, bounded heads, bounded graceful shutdown."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn

import uvicorn

from service_kit.linger import Lingering
from service_kit.protocol import BoundedHttpProtocol
from service_kit.settings import ServiceSettings

KEEP_ALIVE_S = 75


def serve(app: Any, settings: ServiceSettings) -> None:
    """Serve `app` until SIGTERM or SIGINT; running requests get SHUTDOWN_GRACE_S to finish.

    Exits with 0 when it was told to stop, with 1 when it cannot start (port taken, startup failed); what went wrong is
    in the log.
    """
    # uvicorn sends itself the signal again once all is done: to be told to stop is no failure.
    signal.signal(signal.SIGTERM, _leave)
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


def _leave(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)
