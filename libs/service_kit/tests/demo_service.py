"""A small service built on the kit, run as a process of its own by the tests."""

from __future__ import annotations

import asyncio
import sys

from fastapi import FastAPI
from pydantic import BaseModel, Field

from service_kit import docs, errors, log
from service_kit.asgi import ServiceShell
from service_kit.auth import ApiKeys, KeyFileError
from service_kit.health import Readiness
from service_kit.server import serve
from service_kit.settings import ServiceSettings


class DemoSettings(ServiceSettings):
    port: int = Field(3999, ge=1, le=65535)
    ready: bool = True


class Item(BaseModel):
    name: str
    count: int = Field(ge=1)


def build(settings: DemoSettings) -> ServiceShell:
    app = FastAPI(docs_url=None, redoc_url=None)
    errors.install_handlers(app)
    readiness = Readiness("engine")
    readiness.set("engine", settings.ready, "" if settings.ready else "model is loading")

    @app.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/docs", include_in_schema=False)
    async def page() -> str:
        return docs.swagger_html("demo")

    @app.post("/items")
    @app.post("/v1/items")
    async def items(item: Item) -> Item:
        return item

    @app.get("/slow")
    async def slow(seconds: float = 1.0) -> dict[str, float]:
        await asyncio.sleep(seconds)
        return {"slept": seconds}

    @app.get("/busy")
    @app.get("/v1/busy")
    @app.get("/api/busy")
    async def busy() -> None:
        raise errors.ServiceError(429, "queue_full", "The queue is full.", hint="Try again.", retry_after_s=2.3)

    @app.get("/bug")
    async def bug() -> None:
        raise RuntimeError("secret detail")

    return ServiceShell(
        app,
        service="demo",
        version="1.2.3",
        keys=ApiKeys.from_settings(settings),
        readiness=readiness,
        open_paths=frozenset({"/health"}),
    )


if __name__ == "__main__":
    loaded = DemoSettings.load()
    log.configure("demo", loaded.log_level_console)
    try:
        application = build(loaded)
    except KeyFileError as error:
        sys.exit(str(error))
    serve(application, loaded)
