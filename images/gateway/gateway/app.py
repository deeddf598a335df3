"""Wires the gateway: settings, registry, upstream pool, routing table, handlers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from gateway import __version__
from gateway.admission import Admission
from gateway.bodies import ClientLeftError
from gateway.exchange import QUEUE_POSITION, Exchange, Services
from gateway.old_routes import keyless, table_with
from gateway.registry import Registry, RegistryError
from gateway.relay import BrokenAnswerError, end_in_error, timed_out
from gateway.routes.local import LocalRoutes
from gateway.routes.proxy import proxy
from gateway.routing import ADMIN_TABLE, TABLE, Route, Router
from gateway.settings import GatewaySettings
from gateway.takeover import TakeOver
from gateway.upstream import Upstream
from gateway.watch import Watch
from service_kit.asgi import App, Receive, Scope, Send, ServiceShell
from service_kit.auth import ApiKeys, KeyFileError
from service_kit.errors import ServiceError, shutting_down
from service_kit.health import Readiness
from service_kit.log import configure, get_logger
from service_kit.server import serve

Handler = Callable[[Exchange], Awaitable[None]]
SERVICE = "gateway"


class Gateway:
    """The ASGI app inside the shell: finds the row, lets its handler answer, and mends what ends early."""

    def __init__(self, services: Services, readiness: Readiness, table: tuple[Route, ...]) -> None:
        self._services = services
        self._readiness = readiness
        self._router = Router(table)
        self._local = LocalRoutes(services, table)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI connection."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "no route here speaks WebSocket"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if scope["method"] == "OPTIONS":
            allow = self._router.options(path)
            await send({"type": "http.response.start", "status": 204, "headers": [(b"allow", allow.encode())]})
            await send({"type": "http.response.body", "body": b""})
            return
        route, rest = self._router.find(scope["method"], path)
        scope["state"]["route"] = route.path
        if route.refused:
            raise ServiceError(403, "refused", route.refused)
        exchange = Exchange(self._services, scope, receive, send, route, rest, Watch(receive))
        if route.admin:
            if not exchange.is_admin:
                raise _admins_only()
            await self._answer(exchange)
            return
        guest = not exchange.is_admin
        admission = self._services.admission
        admission.inside += guest
        try:
            await self._answer(exchange)
        except ServiceError as error:
            if exchange.only_comments:
                get_logger().warning("stream_refused", route=route.path, error=error.code)
                await end_in_error(exchange, error)
                return
            if exchange.queue_position is not None:
                error.headers += ((QUEUE_POSITION.decode(), str(exchange.queue_position)),)
            raise
        finally:
            admission.inside -= guest

    async def _answer(self, exchange: Exchange) -> None:
        route, watch = exchange.route, exchange.watch
        try:
            await (proxy(exchange) if route.capability is not None else self._local.answer(exchange))
        except ClientLeftError:
            pass
        except BrokenAnswerError:
            # Not finishing the answer makes the server close the connection in the middle of it.
            get_logger().warning("answer_broken", route=route.path)
        except asyncio.CancelledError:
            if not watch.take_blame():
                if exchange.only_comments:
                    raise shutting_down() from None
                raise
            if not watch.left and (exchange.may_refuse and watch.phase != "client_read"):
                raise timed_out(exchange) from None
        finally:
            watch.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await self._services.upstream.start()
                for takeover in self._services.takeovers.values():
                    await takeover.decide()
                self._readiness.set("upstream_pool", ok=True)
                await send({"type": "lifespan.startup.complete"})
            else:
                await self._services.upstream.close()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _admins_only() -> ServiceError:
    return ServiceError(
        403,
        "admin_only",
        "This route is for whoever runs the host, and wants an administrator's key.",
        hint="On the host it stands in /opt/ai/secrets/admin.key; ADMIN_KEYS_FILE names it to the gateway.",
    )


def build_app(settings: GatewaySettings) -> App:
    """The whole gateway as an ASGI app. Raises RegistryError or KeyFileError for files that cannot be used."""
    registry = Registry.read(settings.backends_file)
    keys = ApiKeys.from_settings(settings)
    admins = ApiKeys.of_admins(settings.admin_keys_file, keys) if settings.admin_keys_file is not None else None
    readiness = Readiness("upstream_pool")
    upstream, admission = Upstream(settings, registry), Admission(registry, settings)
    takeovers = {}
    for backend in registry.backends:
        if backend.standby is not None:
            takeovers[backend.name] = takeover = TakeOver(backend, backend.standby, upstream)
            admission.gates[backend.name].on_abandoned = takeover.doubt
    services = Services(settings, registry, upstream, admission, takeovers)
    table = routes_of(settings, registry)
    return ServiceShell(
        Gateway(services, readiness, table),
        service=SERVICE,
        version=__version__,
        keys=keys,
        admin_keys=admins,
        readiness=readiness,
        open_paths=frozenset(route.path for route in table if route.open),
        quiet_paths=frozenset(route.path for route in TABLE if route.open),
    )


def routes_of(settings: GatewaySettings, registry: Registry) -> tuple[Route, ...]:
    """Every route of this gateway: ours, and those of old services that it is told of."""
    standbys = [backend.standby.api for backend in registry.backends if backend.standby is not None]
    apis = dict.fromkeys((*settings.old_api, *standbys))
    table = table_with(apis) + ADMIN_TABLE
    return keyless(table, apis) if settings.old_api_keyless else table


def main() -> None:
    """Run the gateway until it is told to stop. Exits with 2 for wrong settings, 1 when it cannot start."""
    settings = GatewaySettings.load()
    configure(SERVICE, settings.log_level_console)
    try:
        app = build_app(settings)
    except RegistryError as error:
        sys.stderr.write(f"BACKENDS_FILE {settings.backends_file}: {error}\n")
        raise SystemExit(2) from None
    except KeyFileError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    serve(app, settings)
