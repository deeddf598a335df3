"""What the gateway counts beside the requests that every service counts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

BACKEND_FAILURES = Counter(
    "ai_gateway_backend_failures",
    "Requests that a backend failed, by phase (connect, send, first_byte, idle, answer, nonsense, key)",
    ["backend", "phase"],
)
BACKEND_IN_FLIGHT = Gauge("ai_gateway_backend_in_flight", "Requests that a backend is working on", ["backend"])
