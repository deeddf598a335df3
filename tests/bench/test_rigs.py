"""The rigs themselves, on a tiny count: that they measure the real thing, not how fast it is here today."""

import shutil
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench import chat, gateway_proxy, memory, speech, upstream
from bench.load import BadAnswerError, Plan, run

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
needs_nginx = pytest.mark.skipif(NGINX is None, reason="no nginx here (apt install nginx-light)")


@contextmanager
def answering(raw: bytes) -> Iterator[int]:
    """A server that answers whatever it gets with the same bytes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # the load generator leaves in the middle of an answer
                while self.request.recv(65536):
                    self.request.sendall(raw)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _plan(port: int) -> Plan:
    return Plan("127.0.0.1", port, "/", "{}", connections=2, duration_s=0.1, warmup_s=0.0, expect="Paris")


def test_load_counts_whole_answers_only() -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nParis") as port:
        result = run(_plan(port))
    assert result.requests > 10
    assert result.requests_per_s == pytest.approx(result.requests / 0.1)
    assert 0 < result.first_byte_median_ms <= result.median_ms <= result.p99_ms < 100


def test_load_reads_chunked_answers_to_their_end() -> None:
    with answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nParis\r\n0\r\n\r\n") as port:
        assert run(_plan(port)).requests > 10


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nParis",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nRome",
        b"HTTP/1.1 200 OK\r\n\r\nParis",
    ],
    ids=["an error", "another text", "no length"],
)
def test_load_gives_no_figure_for_wrong_answers(raw: bytes) -> None:
    with answering(raw) as port, pytest.raises(BadAnswerError):
        run(_plan(port))


@needs_nginx
def test_gateway_under_test_answers_from_the_fixed_backend_and_asks_for_its_key(tmp_path: Path) -> None:
    with (
        upstream.serving(tmp_path / "nginx", ()) as backend,
        gateway_proxy.serving(tmp_path / "gw", backend, ()) as port,
    ):
        ours = chat.Contestant("gateway", port, port, gateway_proxy.KEY)
        assert chat.drive(ours, 1, 0.2, (), stream=False).requests > 1
        assert chat.drive(ours, 1, 0.2, (), stream=True).requests > 1
        with pytest.raises(RuntimeError, match="401"):
            chat.drive(chat.Contestant("gateway", port, port, "wrong"), 1, 0.2, (), stream=False)


@pytest.mark.bench
@needs_nginx
def test_chat_rig_drives_all_three() -> None:
    measurement = chat.measure(rounds=1, seconds=0.5)
    assert [row[0] for row in measurement.rows] == ["direct to the backend", "ai-services gateway", "LiteLLM proxy"]
    assert len(measurement.bounds) == 2


@pytest.mark.bench
def test_speech_rig_hears_the_same_both_ways() -> None:
    measurement = speech.measure(rounds=1, lengths_s=(10,))
    assert measurement.rows[0][5] == "yes"


@pytest.mark.bench
def test_memory_rig_sees_every_process_of_the_stack() -> None:
    measurement = memory.measure(rest_s=0)
    names = {row[0] for row in measurement.rows}
    assert {"gateway", "whisper-api", "whisper-api: decoder", "supervisord", "everything"} <= names
    assert any("engine" in name for name in names)
