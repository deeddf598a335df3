"""Routes that the gateway answers itself: health, the list of models, the documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property

import msgspec

from gateway.catalogue import Catalogue
from gateway.exchange import Exchange, Services
from gateway.health import Health
from gateway.routes.admin import AdminRoutes
from gateway.routing import Route
from service_kit.docs import swagger_html

_JSON = b"application/json"
_HTML = b"text/html; charset=utf-8"


class LocalRoutes:
    """One method per route; `answer` finds it."""

    def __init__(self, services: Services, table: tuple[Route, ...]) -> None:
        self._table = table
        self._health = Health(services.registry, services.upstream, services.admission, services.takeovers)
        self._catalogue = Catalogue(services.registry, services.upstream, services.admission)
        admin = AdminRoutes(services)
        self._by_path: dict[str, Callable[[Exchange], Awaitable[None]]] = {
            "/": self._root,
            "/health": self._get_health,
            "/docs": self._docs,
            "/openapi.json": self._openapi,
            "/v1/models": self._models,
            "/v1/models/{id}": self._model,
            "/api/admin/backends": admin.backends,
            "/api/admin/backends/{name}/pause": admin.pause,
            "/api/admin/backends/{name}/resume": admin.resume,
        }

    async def answer(self, exchange: Exchange) -> None:
        """Answer `exchange`; its row is one without capability."""
        await self._by_path[exchange.route.path](exchange)

    async def _root(self, exchange: Exchange) -> None:
        await exchange.answer(307, b"See /docs.\n", b"text/plain", (b"location", b"/docs"))

    async def _get_health(self, exchange: Exchange) -> None:
        status, report = await self._health.report()
        await exchange.answer(status, msgspec.json.encode(report), _JSON, (b"cache-control", b"no-store"))

    async def _docs(self, exchange: Exchange) -> None:
        await exchange.answer(200, self._page, _HTML)

    async def _openapi(self, exchange: Exchange) -> None:
        await exchange.answer(200, self._document, _JSON)

    async def _models(self, exchange: Exchange) -> None:
        entries, silent = await self._catalogue.models()
        more = [(b"x-unavailable-backends", ", ".join(silent).encode())] if silent else []
        await exchange.answer(200, msgspec.json.encode({"object": "list", "data": entries}), _JSON, *more)

    async def _model(self, exchange: Exchange) -> None:
        await exchange.answer(200, msgspec.json.encode(await self._catalogue.model(exchange.rest)), _JSON)

    @cached_property
    def _page(self) -> bytes:
        return swagger_html("ai-services").encode()

    @cached_property
    def _document(self) -> bytes:
        from gateway.openapi import document  # only who asks for it pays its memory

        return msgspec.json.encode(document(self._table))
