"""A small closed-loop HTTP load generator: N connections, one request in flight on each, every answer checked.

It runs as a process of its own (``python -m bench.load``, a JSON plan on stdin, a JSON result on stdout) so that it
can be kept on another core than the server under test. Requests are prepared bytes and answers are only cut at their
end, so that one core of it is several times faster than any proxy measured with it; the "direct" rows show by how much.
"""

import json
import os
import re
import selectors
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

_HEADERS_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Plan:
    """What to send where. ``expect`` must occur in every body; ``cores`` pins this process (empty: anywhere)."""

    host: str
    port: int
    path: str
    body: str
    headers: dict[str, str] = field(default_factory=dict)
    connections: int = 1
    duration_s: float = 2.0
    warmup_s: float = 0.5
    expect: str = ""
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Result:
    """Answers within ``duration_s``; latencies from before the request is sent to the last (first) body byte read."""

    requests: int
    duration_s: float
    requests_per_s: float
    median_ms: float
    p99_ms: float
    first_byte_median_ms: float


class BadAnswerError(RuntimeError):
    """The server under test answered something else than what the plan expects: a figure would mean nothing."""


class _Connection:
    """One keep-alive connection with one request in flight."""

    def __init__(self, plan: Plan, request: bytes) -> None:
        self.request = request
        self.expect = plan.expect.encode()
        self.socket = socket.create_connection((plan.host, plan.port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_ns = 0
        self.first_byte_ns = 0

    def send(self) -> None:
        self.received = b""
        self.first_byte_ns = 0
        self.sent_ns = time.perf_counter_ns()
        self.socket.sendall(self.request)

    def receive(self) -> bool:
        """Read what is there; true once the answer is whole."""
        data = self.socket.recv(262_144)
        now = time.perf_counter_ns()
        if not data:
            raise BadAnswerError(f"connection closed by the server after {self.received[:300]!r}")
        self.received += data
        head_end = self.received.find(_HEADERS_END)
        if head_end < 0:
            return False
        body_start = head_end + len(_HEADERS_END)
        if not self.first_byte_ns and len(self.received) > body_start:
            self.first_byte_ns = now
        head = self.received[: head_end + 2]
        length = _LENGTH.search(head)
        if length:
            whole = len(self.received) >= body_start + int(length[1])
        elif _CHUNKED.search(head):
            whole = self.received.endswith(_LAST_CHUNK)
        else:
            raise BadAnswerError(f"an answer of unknown length: {head!r}")
        if whole and (b" 200 " not in self.received[:16] or self.expect not in self.received):
            raise BadAnswerError(f"expected 200 and {self.expect!r}, got {self.received[:500]!r}")
        return whole


def run(plan: Plan) -> Result:
    """Drive the plan and return its figures.

    Raises BadAnswerError on any answer that is not 200 with the expected text, OSError when nobody listens.
    """
    if plan.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, plan.cores)
    request = _request_bytes(plan)
    connections = [_Connection(plan, request) for _ in range(plan.connections)]
    selector = selectors.DefaultSelector()
    for connection in connections:
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.send()
    latencies_ns: list[int] = []
    first_bytes_ns: list[int] = []
    start = time.perf_counter_ns() + int(plan.warmup_s * 1e9)
    end = start + int(plan.duration_s * 1e9)
    now = 0
    while now < end:
        ready = selector.select(timeout=30)
        if not ready:
            raise BadAnswerError(f"no answer from port {plan.port} within 30 s")
        for key, _ in ready:
            connection = key.data
            if not connection.receive():
                continue
            now = time.perf_counter_ns()
            if connection.sent_ns >= start and now <= end:
                latencies_ns.append(now - connection.sent_ns)
                first_bytes_ns.append(connection.first_byte_ns - connection.sent_ns)
            connection.send()
    for connection in connections:
        connection.socket.close()
    return _result(plan, latencies_ns, first_bytes_ns)


def _request_bytes(plan: Plan) -> bytes:
    body = plan.body.encode()
    lines = [f"POST {plan.path} HTTP/1.1", f"Host: {plan.host}:{plan.port}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in plan.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


def _result(plan: Plan, latencies_ns: list[int], first_bytes_ns: list[int]) -> Result:
    if not latencies_ns:
        raise BadAnswerError(f"not one whole answer within {plan.duration_s} s")
    latencies_ns.sort()
    first_bytes_ns.sort()
    count = len(latencies_ns)
    return Result(
        requests=count,
        duration_s=plan.duration_s,
        requests_per_s=count / plan.duration_s,
        median_ms=latencies_ns[count // 2] / 1e6,
        p99_ms=latencies_ns[min(count - 1, count * 99 // 100)] / 1e6,
        first_byte_median_ms=first_bytes_ns[count // 2] / 1e6,
    )


if __name__ == "__main__":
    json.dump(asdict(run(Plan(**json.load(sys.stdin)))), sys.stdout)
