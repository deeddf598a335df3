"""Other people's Whisper APIs, kept alive after a migration (OLD_API): their paths, fields, answers and errors.

One module each, all over the same service. docs/old-apis.md has them route by route; the tables that they are held to
are in tests/host/lab/old/shapes.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI


def routers(names: Iterable[str]) -> list[APIRouter]:
    """The routes of these APIs; `seed` has none of its own, its routes are ours."""
    from whisper_api.old import asr, speaches, whisper_api

    known = {"asr": asr.router, "speaches": speaches.router, "whisper_api": whisper_api.router}
    return [known[name] for name in dict.fromkeys(names) if name in known]


async def stop(app: FastAPI) -> None:
    """End what the old APIs have running in the background."""
    if (results := getattr(app.state, "old_results", None)) is not None:
        await results.stop()
