"""An old service answers until ours has taken over: nobody meets a service that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from dialects.harness import AUTH, INTERNAL_KEY, Connection, GatewayProcess, ScriptedBackend, free_port, gateway
from dialects.harness import internal_key_file as key_file
from dialects.house import WAIT_S, House
from dialects.house_admin import ADMIN, answer, ask, pause, paused, resume, state_of, until_waiting
from yarl import URL

from gateway.takeover import CHECK_EVERY_S, CHECK_TIMEOUT_S

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@dataclass(frozen=True)
class Migrating(House):
    """A house whose whisper-api has a standby, of the API asr."""

    old: ScriptedBackend


@contextmanager
def running(directory: Path, standby: dict[str, Any], **environment: str) -> Iterator[Migrating]:
    speech, old = ScriptedBackend(free_port()), ScriptedBackend(free_port())
    line = speech.line("whisper", "whisper-api", ["tiny.en"], key_file(directory))
    line["standby"] = {"url": f"http://127.0.0.1:{old.port}", "api": "asr"} | standby
    with gateway(directory, [line], **environment) as process:
        yield Migrating(process, speech, ScriptedBackend(free_port()), old)


@pytest.fixture
def migrating(tmp_path: Path) -> Iterator[Migrating]:
    """A gateway of its own for every test: what it decides stays decided."""
    with running(tmp_path, {}, OLD_API="asr", OLD_API_KEYLESS="true") as house:
        yield house


@asynccontextmanager
async def service(backend: ScriptedBackend, says: bytes) -> AsyncIterator[list[Connection]]:
    """A service on the port of `backend` that says its name to everybody, and is healthy."""
    seen: list[Connection] = []

    async def play(connection: Connection) -> None:
        body = await connection.read_request()
        if not connection.head.startswith((b"GET /health ", b"GET / ")):
            connection.head += body
            seen.append(connection)
        await answer(connection, says)

    async with backend.playing(play):
        yield seen


async def transcribe(house: House, path: str = "/asr?output=json", **headers: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession(headers=FORM | headers) as session,
        session.post(house.url + path, data=b"audio") as response,
    ):
        return response.status, await response.read()


async def test_until_then_the_old_service_sees_what_the_caller_sent(migrating: Migrating) -> None:
    """Every header but the key and what belongs to the connection; its answer comes back with its cookies and rules."""

    async def old(connection: Connection) -> None:
        body = await connection.read_request()
        if connection.head.startswith(b"POST"):
            connection.head += body
            seen.append(connection)
        await connection.write(
            b"HTTP/1.1 401 Unauthorized\r\nset-cookie: a=b\r\naccess-control-allow-origin: *\r\nasr-engine: whisper\r\n"
            b"www-authenticate: Basic\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno"
        )

    seen: list[Connection] = []
    headers = {**FORM, "X-Anything": "1", "Cookie": "c=d", "Host": "whisper.example.com", "Authorization": "Bearer x"}
    headers |= {"X-User": "Jörg", "Connection": "keep-alive, X-Hop", "X-Hop": "1"}
    async with (
        migrating.old.playing(old),
        aiohttp.ClientSession() as session,
        session.post(
            URL(f"{migrating.url}/asr?task=a%20b&&c=d+e%2F%C3%a4", encoded=True), data=b"audio", headers=headers
        ) as response,
    ):
        assert (response.status, await response.read()) == (401, b"no")
        said = response.headers
    assert (said["set-cookie"], said["access-control-allow-origin"], said["asr-engine"]) == ("a=b", "*", "whisper")
    [asked] = seen
    assert asked.head.startswith(b"POST /asr?task=a%20b&&c=d+e%2F%C3%a4 HTTP/1.1\r\n")
    assert "\r\nX-User: Jörg\r\n".lower().encode() in asked.head.lower()
    assert asked.head.endswith(b"audio")
    got = asked.headers
    assert (got["x-anything"], got["cookie"], got["host"]) == ("1", "c=d", "whisper.example.com")
    assert got["content-type"] == FORM["Content-Type"]
    assert (got["content-length"], got["connection"]) == ("5", "close")
    assert not {"authorization", "x-hop"} & set(got)


@pytest.mark.parametrize("serves", ["old", "new"])
async def test_a_gateway_that_starts_finds_the_one_that_serves_though_it_is_busy(tmp_path: Path, serves: str) -> None:
    """While the gateway starts, this process waits for it and answers nobody; the port of the other one is closed."""
    ports = {"old": free_port(), "new": free_port()}
    async with service(ScriptedBackend(ports[serves]), serves.encode()):
        line = ScriptedBackend(ports["new"]).line("whisper", "whisper-api", ["tiny.en"], key_file(tmp_path))
        line["standby"] = {"url": f"http://127.0.0.1:{ports['old']}", "api": "asr"}
        with gateway(tmp_path, [line], OLD_API="asr", OLD_API_KEYLESS="true") as process:
            house = Migrating(process, *(ScriptedBackend(free_port()) for _ in range(3)))
            assert await transcribe(house) == (200, serves.encode())


async def test_a_door_with_nobody_behind_it_is_no_service(tmp_path: Path) -> None:
    """A gateway starts after the exchange, ours is busy, and the old service's relay still listens: systemd's proxy."""
    speech = ScriptedBackend(free_port())
    with closing_door() as port:
        line = speech.line("whisper", "whisper-api", ["tiny.en"], key_file(tmp_path))
        line["standby"] = {"url": f"http://127.0.0.1:{port}", "api": "asr"}
        async with service(speech, b"new"):
            with gateway(tmp_path, [line], OLD_API="asr", OLD_API_KEYLESS="true") as process:
                house = Migrating(process, *(ScriptedBackend(free_port()) for _ in range(3)))
                assert await transcribe(house) == (200, b"new")


@contextmanager
def closing_door() -> Iterator[int]:
    """The port of a listener that closes every connection at once; its own thread, for the tests' loop is busy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close_all() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        thread = threading.Thread(target=close_all)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.long
async def test_its_own_key_is_said_to_it(tmp_path: Path) -> None:
    with running(tmp_path, {"api_key_file": str(key_file(tmp_path))}) as house:
        async with service(house.old, b"old") as seen:
            assert await transcribe(house, **AUTH) == (200, b"old")
    assert seen[0].headers["authorization"] == f"Bearer {INTERNAL_KEY}"


async def test_what_the_old_service_cannot_do_comes_later(migrating: Migrating) -> None:
    async with service(migrating.old, b"old"), aiohttp.ClientSession(headers=AUTH) as session:
        async with session.post(f"{migrating.url}/v1/audio/transcriptions", data=b"x") as response:
            assert response.status == 503
            assert (await response.json())["error"]["code"] == "not_migrated_yet"
            assert int(response.headers["Retry-After"]) > 0
        async with session.get(f"{migrating.url}/health") as response:
            health = await response.json()
        assert (response.status, health["components"]["whisper-api"]["standby"]) == (200, "asr")
    assert (await state_of(migrating, "whisper-api"))["standby"] == {
        "url": f"http://127.0.0.1:{migrating.old.port}",
        "active": True,
    }


async def test_ours_takes_over_under_a_pause_and_nobody_meets_a_dead_service(migrating: Migrating) -> None:
    """As a migration does it: pause, the old one ends, ours starts and is proven, resume."""
    async with service(migrating.old, b"old") as old:
        assert await transcribe(migrating) == (200, b"old")
        await pause(migrating, "whisper-api")
        waiting = [asyncio.create_task(transcribe(migrating)) for _ in range(20)]
        await until_waiting(migrating, "whisper-api", 20)
        # under the pause an administrator meets whoever is healthy
        assert await transcribe(migrating, **ADMIN) == (200, b"old")
        asked_of_old = len(old)
    assert (await transcribe(migrating, **ADMIN))[0] == 503
    async with service(migrating.speech, b"new"):
        assert await transcribe(migrating, **ADMIN) == (200, b"new")
        assert not any(task.done() for task in waiting)
        state = await resume(migrating, "whisper-api")
        assert state["standby"]["active"] is False
        assert await asyncio.gather(*waiting) == [(200, b"new")] * 20
        assert len(old) == asked_of_old
        assert (await transcribe(migrating, "/v1/audio/transcriptions", **AUTH)) == (200, b"new")
    # ours is gone for a moment: the old one is not asked in its place
    async with service(migrating.old, b"old"):
        assert (await transcribe(migrating))[0] == 503


async def test_ours_did_not_come_up_and_the_old_one_is_back(migrating: Migrating) -> None:
    """The other way out of the same pause."""
    await pause(migrating, "whisper-api")
    async with service(migrating.speech, b"new"):
        assert await transcribe(migrating, **ADMIN) == (200, b"new")
    waiting = asyncio.create_task(transcribe(migrating))
    await until_waiting(migrating, "whisper-api", 1)
    async with service(migrating.old, b"old"):
        assert (await resume(migrating, "whisper-api"))["standby"]["active"] is True
        assert await waiting == (200, b"old")


@pytest.mark.long
async def test_a_migration_is_rolled_back(migrating: Migrating) -> None:
    async with service(migrating.speech, b"new"):
        async with paused(migrating, "whisper-api"):
            pass
        assert await transcribe(migrating) == (200, b"new")
        await pause(migrating, "whisper-api")
    async with service(migrating.old, b"old"):
        await resume(migrating, "whisper-api")
        assert await transcribe(migrating) == (200, b"old")


async def test_ours_is_asked_while_it_starts_where_the_old_one_is_gone(migrating: Migrating) -> None:
    """Its owner was killed between the two: whoever asks ours waits for its model, and the old one is stopped."""

    async def starting(connection: Connection) -> None:
        await connection.read_request()
        is_asked = connection.head.startswith(b"POST ")
        await answer(connection, b"new", "200 OK" if is_asked else "503 Service Unavailable")

    async with service(migrating.old, b"old"):
        assert await transcribe(migrating) == (200, b"old")
        await pause(migrating, "whisper-api")
    async with migrating.speech.playing(starting):
        assert (await resume(migrating, "whisper-api"))["standby"]["active"] is False
        assert await transcribe(migrating) == (200, b"new")


async def test_an_old_one_that_is_late_is_found_after_the_resume(migrating: Migrating) -> None:
    """It missed the two seconds in which it was asked; nobody would look again, and ours is gone."""
    async with service(migrating.speech, b"new"):
        async with paused(migrating, "whisper-api"):
            pass
        await pause(migrating, "whisper-api")
    assert (await resume(migrating, "whisper-api"))["standby"]["active"] is False
    assert (await transcribe(migrating))[0] == 503
    async with service(migrating.old, b"old"):
        assert await transcribe(migrating) == (200, b"old")
    assert (await state_of(migrating, "whisper-api"))["standby"]["active"] is True


@pytest.mark.long
async def test_ours_is_noticed_without_a_pause(migrating: Migrating) -> None:
    async with service(migrating.old, b"old"), service(migrating.speech, b"new"):
        async with asyncio.timeout(WAIT_S):
            while True:
                if await transcribe(migrating) == (200, b"new"):
                    break
                await asyncio.sleep(0.1)


@pytest.mark.long
async def test_an_owner_died_between_the_two(migrating: Migrating) -> None:
    """The lease ends; who waited goes to whoever is there by then."""
    async with service(migrating.old, b"old"):
        assert await transcribe(migrating) == (200, b"old")
        await pause(migrating, "whisper-api", owner="dead", lease_s=1)
        waiting = asyncio.create_task(transcribe(migrating))
        await until_waiting(migrating, "whisper-api", 1)
    async with service(migrating.speech, b"new"):
        assert await waiting == (200, b"new")


@pytest.mark.long
async def test_a_standby_that_is_described_wrongly(tmp_path: Path) -> None:
    line = ScriptedBackend(free_port()).line("ollama", "llm", [])
    line["standby"] = {"url": "http://127.0.0.1:9000", "api": "asr"}
    with pytest.raises(AssertionError, match="'standby' is for a backend of kind 'whisper'"), gateway(tmp_path, [line]):
        pass


@pytest.mark.long
async def test_the_gateway_starts_beside_one_that_has_taken_over(tmp_path: Path) -> None:
    """It looks before it answers: a new gateway, started after the migration, asks ours from the first request on."""
    speech = ScriptedBackend(free_port())
    line = speech.line("whisper", "whisper-api", ["tiny.en"], key_file(tmp_path))
    line["standby"] = {"url": f"http://127.0.0.1:{free_port()}", "api": "asr"}
    async with service(speech, b"new"):
        entered = gateway(tmp_path, [line])
        process: GatewayProcess = await asyncio.to_thread(entered.__enter__)
        house = House(process, speech, speech)
        assert await transcribe(house, **AUTH) == (200, b"new")
        _, found = await ask(house, "GET", "")
        assert found["backends"][0]["standby"]["active"] is False
        await asyncio.to_thread(entered.__exit__, None, None, None)


@pytest.mark.long
async def test_nobody_waits_while_ours_is_looked_for(migrating: Migrating) -> None:
    """A name that no resolver knows, a port that drops what comes: asking takes its whole two seconds."""

    async def silent(connection: Connection) -> None:
        await connection.until_gone()

    async with service(migrating.old, b"old"), migrating.speech.playing(silent):
        await asyncio.sleep(CHECK_EVERY_S)  # the last look was too long ago
        async with asyncio.timeout(CHECK_TIMEOUT_S / 2):
            assert await transcribe(migrating) == (200, b"old")
