"""HTTP metrics of a service in Prometheus' format, with labels that cannot grow without bound."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class HttpMetrics:
    """Counts and times finished requests by service, route template, method and status."""

    def __init__(self, service: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._service = service
        self._requests = Counter(
            "ai_http_requests", "HTTP requests answered", ["service", "route", "method", "status"], registry=registry
        )
        self._seconds = Histogram(
            "ai_http_request_seconds",
            "Seconds from the request's head to the answer's last byte",
            ["service", "route"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge(
            "ai_http_requests_in_flight", "HTTP requests being answered", ["service"], registry=registry
        ).labels(service)
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Record one finished request; `route` is a template such as /v1/models/{id}, never a raw path."""
        if method not in _METHODS:
            method = "other"
        key = (route, method, status)
        children = self._children.get(key)
        if children is None:
            children = (
                self._requests.labels(self._service, route, method, str(status)),
                self._seconds.labels(self._service, route),
            )
            self._children[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """Body and content type of a scrape."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
