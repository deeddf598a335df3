"""When a request may go to a backend: the one place every request passes on its way to one.

Today all are let in and counted. Pausing a backend, limits and the GPU arbiter decide here.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from prometheus_client import Gauge

from gateway.metrics import BACKEND_IN_FLIGHT
from gateway.registry import Backend, Registry


class Admitted:
    """A place at a backend, held for as long as the request runs: `async with admission.admit(backend): …`."""

    __slots__ = ("_gauge",)

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    async def __aenter__(self) -> Self:
        self._gauge.inc()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gauge.dec()


class Admission:
    """Hands out the places at every backend of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._gauges = {backend.name: BACKEND_IN_FLIGHT.labels(backend.name) for backend in registry.backends}

    def admit(self, backend: Backend) -> Admitted:
        """A place at `backend`."""
        return Admitted(self._gauges[backend.name])
