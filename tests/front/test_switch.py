"""No request fails while nginx reloads or the gateway behind it is exchanged (B.2)."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from front import door as doors
from front.door import DOMAIN, Door
from front.upstream import Upstream

pytestmark = [pytest.mark.skipif(not doors.NGINX, reason=doors.NO_NGINX), pytest.mark.xdist_group("front-switch")]
CLOSED_WHILE_IDLE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
UNLIMITED: dict[str, Any] = {"ai_max_requests_per_s_per_address": 0}


class Load:
    """Clients that ask without a pause; `answers` counts (status, who answered), `failures` what went wrong.

    Half of them keep their connection, half open one for each request; all send POSTs with a body, which nobody may
    send a second time for them.
    """

    def __init__(self, door: Door, clients: int = 4) -> None:
        self.answers: Counter[tuple[int, str]] = Counter()
        self.failures: list[str] = []
        self.reopened = 0
        self._door = door
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._client, args=(number % 2 == 0,)) for number in range(clients)]
        for thread in self._threads:
            thread.start()

    def wait_for(self, who: str, more: int) -> None:
        """Wait until `who` has answered `more` requests than now."""
        wanted = self.count(who) + more
        deadline = time.monotonic() + 60
        while self.count(who) < wanted:
            assert time.monotonic() < deadline, (self.answers, self.failures[:3])
            time.sleep(0.01)

    def count(self, who: str) -> int:
        with self._lock:
            return sum(count for (_, by), count in self.answers.items() if by == who)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _client(self, kept: bool) -> None:
        connection = self._connection()
        idle = False
        while not self._stop.is_set():
            try:
                connection.request("POST", "/v1/chat/completions", body=b'{"model": "x"}', headers={"Host": DOMAIN})
                answer = connection.getresponse()
                body = answer.read()
                with self._lock:
                    self.answers[answer.status, json.loads(body).get("by", "nginx")] += 1
                # nginx says so when it is about to close; a client that listens opens a new connection
                again = not kept or answer.will_close
            except CLOSED_WHILE_IDLE as error:
                # A kept connection may be closed between two requests, in the moment that the next one is written:
                # nothing of that was read, and client libraries open a new connection then. (nginx from 1.27.4 avoids
                # even this: keepalive_min_timeout.) On a connection that is fresh it is a failure.
                if not idle:
                    self.failures.append(f"a fresh connection was closed without an answer: {error!r}")
                self.reopened += 1
                again = True
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                again = True
            idle = not again
            if again:
                connection.close()
                connection = self._connection()
        connection.close()

    def _connection(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection("127.0.0.1", self._door.https_port, timeout=30)
        connection.sock = self._door.connect()
        return connection


@pytest.fixture
def blue_and_green(tmp_path: Path) -> Iterator[tuple[Door, Upstream, Upstream]]:
    blue, green = Upstream("blue").start(), Upstream("green").start()
    with doors.running(tmp_path, blue.port, second_port=green.port, **UNLIMITED) as door:
        yield door, blue, green
    blue.stop()
    green.stop()


@pytest.mark.long
def test_reloads_under_load_fail_no_request(blue_and_green: tuple[Door, Upstream, Upstream]) -> None:
    door, _, _ = blue_and_green
    load = Load(door)
    for _ in range(5):
        load.wait_for("blue", 50)
        door.reload()
    load.wait_for("blue", 50)
    load.end()
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


@pytest.mark.long
def test_the_gateway_is_exchanged_under_load_without_a_failed_request(
    blue_and_green: tuple[Door, Upstream, Upstream],
) -> None:
    """Blue to green and back: after the switch the old one gets nothing new, so that it can be stopped."""
    door, blue, green = blue_and_green
    load = Load(door)
    for new, old in ((green, blue), (blue, green), (green, blue)):
        load.wait_for(old.name, 50)
        door.point_at(new is green)
        load.wait_for(new.name, 50)
        # A request whose head was read before the switch may still be on its way: each client waits for its answer.
        load.wait_for(new.name, 50)
        finished = old.finished
        load.wait_for(new.name, 50)
        assert old.finished == finished
    load.end()
    assert load.failures == []
    assert {status for status, _ in load.answers} == {200}


def test_a_request_in_the_middle_is_finished_by_the_gateway_that_began_it(
    blue_and_green: tuple[Door, Upstream, Upstream],
) -> None:
    door, blue, _ = blue_and_green
    connection = http.client.HTTPSConnection("127.0.0.1", door.https_port, timeout=30)
    connection.sock = door.connect()
    connection.request("GET", "/v1/stream", headers={"Host": DOMAIN})
    blue.go(b"data: 1\n\n")
    answer = connection.getresponse()
    assert answer.readline() == b"data: 1\n"
    door.point_at(second=True)
    assert door.ask("GET", "/health").json()["by"] == "green"
    blue.go(b"data: 2\n\n")
    blue.go(None)
    assert answer.read() == b"\ndata: 2\n\n"
    connection.close()


def test_a_switch_that_points_at_nobody_costs_no_request(tmp_path: Path) -> None:
    """A gateway that was restarted may have the other port: a refused connection has sent nothing, nobody notices."""
    blue = Upstream("blue").start()
    with doors.running(tmp_path, blue.port, **UNLIMITED) as door:
        door.point_at(second=True)
        answer = door.ask("POST", "/v1/chat/completions", body=b'{"model": "x"}')
        assert (answer.status, answer.json()["by"]) == (200, blue.name)
        assert door.ask("POST", "/transcribe", body=iter([b"x" * 65536] * 4)).status == 200
        assert blue.received == 4 * 65536
    blue.stop()


def test_from_outside_there_is_no_door_for_the_hosts_own_use(blue_and_green: tuple[Door, Upstream, Upstream]) -> None:
    door, _, _ = blue_and_green
    for path in ("/api/admin/backends", "/api/admin", "/api/admin/backends/ollama/pause", "/api/%61dmin/backends"):
        assert door.ask("GET", path).json()["target"] == "/not-from-outside", path
