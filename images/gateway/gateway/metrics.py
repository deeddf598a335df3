"""What the gateway counts beside the requests that every service counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

BACKEND_FAILURES = Counter(
    "ai_gateway_backend_failures",
    "Requests that a backend failed, by phase (connect, send, first_byte, idle, answer, nonsense, key)",
    ["backend", "phase"],
)
BACKEND_IN_FLIGHT = Gauge("ai_gateway_backend_in_flight", "Requests that a backend is working on", ["backend"])
BACKEND_PAUSED = Gauge("ai_gateway_backend_paused", "1 while requests to a backend are made to wait", ["backend"])
BACKEND_WAITING = Gauge("ai_gateway_backend_waiting", "Requests that wait until a backend is resumed", ["backend"])
WAIT_SECONDS = Histogram(
    "ai_gateway_wait_seconds",
    "Seconds that a request waited for a paused backend, by how that ended (let_in, left, gave_up)",
    ["backend", "end"],
    buckets=(0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600),
)
