"""Chat through our gateway against the same backend directly and against LiteLLM's proxy, each on one core.

The three take turns within every round, so that a slow minute of the machine falls on all of them; the figures are
medians over the rounds. Both proxies check a key; ours also writes its access log and counts its metrics.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import gateway_proxy, litellm_proxy, machine, upstream
from bench.load import Plan, Result
from bench.process import cores_for_proxy_and_rest
from bench.report import Bound, Measurement

ADDED_LATENCY_LIMIT_MS = 0.6
THROUGHPUT_RATIO_LIMIT = 10.0
CONNECTIONS = 16
_PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Contestant:
    """A server to drive: the name in the table, where it listens (whole answers, streams), and its key."""

    name: str
    port: int
    stream_port: int
    key: str


@dataclass(frozen=True)
class Figures:
    """Medians over the rounds for one contestant."""

    median_ms: float
    p99_ms: float
    first_byte_ms: float
    requests_per_s: float


def measure(rounds: int, seconds: float) -> Measurement:
    """Run every contestant ``rounds`` times for ``seconds`` per figure.

    Raises FileNotFoundError without nginx, CalledProcessError when LiteLLM cannot be installed.
    """
    proxy_cores, other_cores = cores_for_proxy_and_rest()
    litellm_bin = litellm_proxy.install()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ai-bench-")))
        backend = stack.enter_context(upstream.serving(directory / "nginx", other_cores))
        gateway_port = stack.enter_context(gateway_proxy.serving(directory / "gateway", backend, proxy_cores))
        litellm_port = stack.enter_context(
            litellm_proxy.serving(litellm_bin, directory / "litellm", backend, proxy_cores)
        )
        contestants = [
            Contestant("direct to the backend", backend.port, backend.stream_port, "none"),
            Contestant("ai-services gateway", gateway_port, gateway_port, gateway_proxy.KEY),
            Contestant("LiteLLM proxy", litellm_port, litellm_port, litellm_proxy.KEY),
        ]
        figures = _play(contestants, rounds, seconds, other_cores)
    return _measurement(figures, rounds, seconds, backend.version, litellm_proxy.version(litellm_bin))


def _play(contestants: list[Contestant], rounds: int, seconds: float, cores: tuple[int, ...]) -> dict[str, Figures]:
    alone: dict[str, list[Result]] = defaultdict(list)
    streamed: dict[str, list[Result]] = defaultdict(list)
    crowd: dict[str, list[Result]] = defaultdict(list)
    for contestant in contestants:  # the first requests import, connect and compile; no round shall pay for that
        drive(contestant, 1, 3, cores, stream=False)
        drive(contestant, 1, 3, cores, stream=True)
    for index in range(rounds):
        shift = index % len(contestants)
        for contestant in contestants[shift:] + contestants[:shift]:
            alone[contestant.name].append(drive(contestant, 1, seconds, cores, stream=False))
            crowd[contestant.name].append(drive(contestant, CONNECTIONS, seconds, cores, stream=False))
            streamed[contestant.name].append(drive(contestant, 1, seconds, cores, stream=True))
    return {
        contestant.name: Figures(
            median_ms=statistics.median(r.median_ms for r in alone[contestant.name]),
            p99_ms=statistics.median(r.p99_ms for r in alone[contestant.name]),
            first_byte_ms=statistics.median(r.first_byte_median_ms for r in streamed[contestant.name]),
            requests_per_s=statistics.median(r.requests_per_s for r in crowd[contestant.name]),
        )
        for contestant in contestants
    }


def drive(contestant: Contestant, connections: int, seconds: float, cores: tuple[int, ...], *, stream: bool) -> Result:
    """Ask ``contestant`` for chat answers over ``connections`` for ``seconds``, from a load process on ``cores``.

    Raises RuntimeError with the contestant's answer when it is not the expected one.
    """
    question = [
        {"role": "system", "content": "You are a helpful assistant. Answer in one sentence."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    model = f"{upstream.MODEL}-stream" if stream else upstream.MODEL
    plan = Plan(
        host="127.0.0.1",
        port=contestant.stream_port if stream else contestant.port,
        path=_PATH,
        body=json.dumps({"model": model, "messages": question, "stream": stream, "temperature": 0.2}),
        headers={"Authorization": f"Bearer {contestant.key}"},
        connections=connections,
        duration_s=seconds,
        warmup_s=min(1.0, seconds / 2),
        expect="Paris",
        cores=cores,
    )
    process = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(asdict(plan)),
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    if process.returncode:
        raise RuntimeError(f"the load on {contestant.name} failed: {process.stderr.strip().splitlines()[-1:]}")
    return Result(**json.loads(process.stdout))


def _measurement(
    figures: dict[str, Figures], rounds: int, seconds: float, nginx_version: str, litellm_version: str
) -> Measurement:
    direct, ours, litellm = figures.values()
    added_ms = ours.median_ms - direct.median_ms
    ratio = ours.requests_per_s / litellm.requests_per_s
    columns = ["", "median, 1 connection", "p99", "first byte of a stream", f"requests/s, {CONNECTIONS} connections"]
    rows = [
        [name, f"{f.median_ms:.2f} ms", f"{f.p99_ms:.2f} ms", f"{f.first_byte_ms:.2f} ms", f"{f.requests_per_s:,.0f}"]
        for name, f in figures.items()
    ]
    bounds = [
        Bound(
            "chat: what the gateway adds to a request, median",
            f"{added_ms:.2f} ms",
            f"≤ {ADDED_LATENCY_LIMIT_MS} ms",
            added_ms <= ADDED_LATENCY_LIMIT_MS,
        ),
        Bound(
            f"chat: requests per second against LiteLLM's proxy, one core, {CONNECTIONS} connections",
            f"{ratio:.0f} times",
            f"≥ {THROUGHPUT_RATIO_LIMIT:.0f} times",
            ratio >= THROUGHPUT_RATIO_LIMIT,
        ),
    ]
    notes = [
        f"Backend: nginx {nginx_version} with a fixed answer, on the second core with the load generator "
        "(`tests/bench/load.py`). LiteLLM " + litellm_version + ", settings in `tests/bench/litellm_proxy.py`.",
        f"Medians of {rounds} rounds in turn, {seconds:g} s per figure.",
        machine.versions("gateway", "uvicorn", "aiohttp", "uvloop"),
    ]
    return Measurement(columns, rows, bounds, machine.facts(), notes)
