"""A paused backend: requests wait, are told so, are let in by their place, and none is lost."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import aiohttp
import openai
import pytest
from dialects.harness import AUTH, KEY, MODEL, Connection
from dialects.house import CHAT, EVENT, WAIT_S, House, house_over, post, read_until
from dialects.house_admin import ADMIN, ask, pause, paused, resume, state_of, until, until_waiting

MIB = 2**20
TEXT = b'{"text":"hello"}'
DONE = b"data: [DONE]\n\n"
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture(scope="module")
def narrow_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Three may wait, with a MiB of JSON between them, for two seconds; a client must move every second."""
    with house_over(
        tmp_path_factory.mktemp("narrow-house"),
        PAUSE_MAX_WAITING="3",
        PAUSE_MAX_WAITING_MIB="1",
        PAUSE_MAX_WAIT_S="2",
        PAUSE_MAX_S="3",
        CLIENT_BODY_TIMEOUT_S="1",
        UPSTREAM_FIRST_BYTE_TIMEOUT_S="1",
    ) as running:
        yield running


async def answer(connection: Connection, body: bytes = TEXT, status: str = "200 OK") -> None:
    """The backends here serve one request a connection, and say so."""
    body = b"" if connection.head.startswith(b"HEAD ") else body
    head = f"HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
    await connection.write(head.encode() + body)


async def says(connection: Connection) -> None:
    await connection.read_request()
    await answer(connection)


async def streams(connection: Connection) -> None:
    await connection.read_request()
    await connection.start_chunked("text/event-stream")
    await connection.chunk(EVENT)
    await connection.chunk(DONE)
    await connection.end_chunked()


async def chat(
    house: House, path: str = "/v1/chat/completions", **members: Any
) -> tuple[int, Mapping[str, str], bytes]:
    async with post(house, path, json=CHAT | members) as response:
        return response.status, response.headers, await response.read()


@contextlib.asynccontextmanager
async def sending(house: House, head: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A raw request on a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.gateway.port)
    writer.write(f"{head}\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n".encode())
    try:
        yield reader, writer
    finally:
        writer.close()


class TestAdministrators:
    @pytest.mark.parametrize("path", ["", "/llm/pause", "/llm/resume"])
    async def test_only_their_key_opens_it(self, house: House, path: str) -> None:
        method, body = ("POST", {"owner": "me", "why": "w", "lease_s": 1}) if path else ("GET", None)
        status, problem = await ask(house, method, path, body, headers=AUTH)
        assert status == 403
        assert problem["code"] == "admin_only"
        status, _ = await ask(house, method, path, body, headers={})
        assert status == 401
        assert (await state_of(house, "llm"))["paused"] is None

    async def test_their_key_opens_the_other_routes_too(self, house: House) -> None:
        async with aiohttp.ClientSession(headers=ADMIN) as session, session.get(f"{house.url}/v1/models") as response:
            assert response.status == 200

    async def test_without_a_key_file_nobody_is_one(self, house_without_admins: House) -> None:
        status, _ = await ask(house_without_admins, "GET", "")
        assert status == 401
        status, problem = await ask(house_without_admins, "GET", "", headers=AUTH)
        assert (status, problem["code"]) == (403, "admin_only")

    async def test_every_backend_is_listed(self, house: House) -> None:
        status, found = await ask(house, "GET", "")
        assert status == 200
        assert found["version"]
        assert found["in_flight"] == 0
        state = {"in_flight": 0, "waiting": 0, "paused": None, "standby": None}
        assert found["backends"] == [
            {"name": "whisper-api", "kind": "whisper"} | state,
            {"name": "llm", "kind": "openai"} | state,
        ]

    @pytest.mark.parametrize(
        ("body", "param"),
        [
            ({"why": "w", "lease_s": 1}, None),
            ({"owner": "", "why": "w", "lease_s": 1}, "owner"),
            ({"owner": "me", "why": "w", "lease_s": 121}, "lease_s"),
            ({"owner": "me", "why": "w", "lease_s": 0}, "lease_s"),
            ({"owner": "me", "why": "w" * 501, "lease_s": 1}, "why"),
        ],
    )
    async def test_a_wrong_pause_pauses_nothing(self, house: House, body: object, param: str | None) -> None:
        status, problem = await ask(house, "POST", "/llm/pause", body)
        assert (status, problem["code"], problem.get("param")) == (400, "invalid_request", param)
        assert (await state_of(house, "llm"))["paused"] is None

    @pytest.mark.parametrize("name", ["nobody", "llm/pause"])
    async def test_an_unknown_backend(self, house: House, name: str) -> None:
        status, problem = await ask(house, "POST", f"/{name}/resume", {"owner": "me"})
        assert status == 404
        assert problem["code"] == ("backend_not_found" if name == "nobody" else "not_found")


class TestOwners:
    async def test_the_second_is_told_of_the_first(self, house: House) -> None:
        async with paused(house, "llm"):
            for path in ("/llm/pause", "/llm/resume"):
                body = {"owner": "you", "why": "w", "lease_s": 1}
                status, problem = await ask(house, "POST", path, body)
                assert (status, problem["code"]) == (409, "paused_by_another")
                assert "'me'" in problem["detail"]
            assert (await state_of(house, "llm"))["paused"]["owner"] == "me"
        await resume(house, "llm", owner="you")  # nothing to resume is no mistake

    async def test_the_owner_renews(self, house: House) -> None:
        first = (await pause(house, "llm", lease_s=5))["paused"]
        second = (await pause(house, "llm", lease_s=50))["paused"]
        assert second["since"] == first["since"]
        assert first["ends_in_s"] <= 5 < second["ends_in_s"] <= 50
        assert (await resume(house, "llm"))["paused"] is None

    async def test_a_dead_owners_lease_ends(self, house: House) -> None:
        async with house.llm.playing(says):
            await pause(house, "llm", owner="dead", lease_s=0.5)
            status, headers, _ = await chat(house)
            assert status == 200
            assert headers["X-Queue-Position"] == "1"
        assert (await state_of(house, "llm"))["paused"] is None
        ended = [event for event in house.gateway.events() if event["event"] == "backend_resumed"][-1]
        assert (ended["by"], ended["owner"], ended["level"]) == ("lease", "dead", "warning")

    async def test_renewing_for_ever_ends_too(self, narrow_house: House) -> None:
        began_at = time.monotonic()
        async with asyncio.timeout(WAIT_S):
            while True:
                if (await pause(narrow_house, "llm", lease_s=60))["paused"]["ends_in_s"] < 0.3:
                    break
                await asyncio.sleep(0.1)
        await until(narrow_house, "llm", lambda state: state["paused"] is None)
        assert time.monotonic() - began_at >= 2.5
        ended = [event for event in narrow_house.gateway.events() if event["event"] == "backend_resumed"][-1]
        assert ended["by"] == "limit"


class TestWaiting:
    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v1/embeddings"])
    async def test_a_request_waits_and_is_answered(self, house: House, path: str) -> None:
        async def answers(connection: Connection) -> None:
            await connection.read_request()
            await answer(connection, b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"data":[]}')

        async with house.llm.playing(answers):
            async with paused(house, "llm"):
                waiting = asyncio.create_task(chat(house, path, stream=False))
                await until_waiting(house, "llm", 1)
                assert (await state_of(house, "llm"))["in_flight"] == 0
                assert not waiting.done()
            status, headers, _ = await waiting
        assert status == 200
        assert headers["X-Queue-Position"] == "1" or path != "/v1/chat/completions"

    async def test_look_ups_wait_too(self, ollama_house: House) -> None:
        async with ollama_house.llm.playing(says), aiohttp.ClientSession(headers=AUTH) as session:
            async with paused(ollama_house, "llm"):
                get = asyncio.create_task(session.get(f"{ollama_house.url}/api/tags"))
                await until_waiting(ollama_house, "llm", 1)
                head = asyncio.create_task(session.head(f"{ollama_house.url}/api/version"))
                await until_waiting(ollama_house, "llm", 2)
            answer = await get
            assert (answer.status, answer.headers["X-Queue-Position"]) == (200, "1")
            answer = await head
            assert (answer.status, answer.headers["X-Queue-Position"]) == (200, "2")

    async def test_health_and_models_do_not_wait(self, ollama_house: House) -> None:
        async def lists(connection: Connection) -> None:
            await connection.read_request()
            await answer(connection, b'{"object":"list","data":[{"id":"m:latest","created":5}]}')

        async with aiohttp.ClientSession(headers=AUTH) as session:
            async with ollama_house.llm.playing(lists), session.get(f"{ollama_house.url}/v1/models") as response:
                before = await response.json()
            async with paused(ollama_house, "llm"), paused(ollama_house, "whisper-api"):
                async with session.get(f"{ollama_house.url}/v1/models") as response:
                    assert await response.json() == before
                    assert "X-Unavailable-Backends" not in response.headers
                async with session.get(f"{ollama_house.url}/health") as response:
                    health = await response.json()
        assert (response.status, health["status"]) == (200, "ok")
        assert {each["status"] for each in health["components"].values()} == {"paused"}

    async def test_an_administrator_passes(self, house: House) -> None:
        async with (
            house.llm.playing(says),
            paused(house, "llm"),
            aiohttp.ClientSession(headers=ADMIN) as session,
            session.post(f"{house.url}/v1/chat/completions", json=CHAT) as response,
        ):
            assert (response.status, await response.read()) == (200, TEXT)
            assert "X-Queue-Position" not in response.headers

    async def test_the_other_backend_goes_on(self, house: House) -> None:
        async with house.llm.playing(says), paused(house, "whisper-api"):
            assert (await chat(house))[0] == 200

    async def test_a_stream_that_runs_ends_whole_before_the_backend_is_idle(self, house: House) -> None:
        go_on = asyncio.Event()

        async def slow(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
            await go_on.wait()
            await connection.chunk(DONE)
            await connection.end_chunked()

        async with house.llm.playing(slow), post(house, "/v1/chat/completions", CHAT | {"stream": True}) as response:
            await read_until(response, EVENT)
            assert (await pause(house, "llm"))["in_flight"] == 1
            _, found = await ask(house, "GET", "")
            assert found["in_flight"] == 1
            go_on.set()
            assert await response.read() == DONE
            await until(house, "llm", lambda state: state["in_flight"] == 0)
        await resume(house, "llm")

    async def test_everybody_inside_is_counted(self, house: House) -> None:
        """Whoever drains this gateway waits for those that wait here, too."""
        async with house.llm.playing(says):
            async with paused(house, "llm"):
                waiting = [asyncio.create_task(chat(house)) for _ in range(3)]
                await until_waiting(house, "llm", 3)
                assert (await ask(house, "GET", ""))[1]["in_flight"] == 3
            await asyncio.gather(*waiting)
        assert (await ask(house, "GET", ""))[1]["in_flight"] == 0

    async def test_metrics_and_log(self, house: House) -> None:
        async with house.llm.playing(says), aiohttp.ClientSession(headers=AUTH) as session:
            async with paused(house, "llm"):
                waiting = asyncio.create_task(chat(house))
                await until_waiting(house, "llm", 1)
                metrics = await (await session.get(f"{house.url}/metrics")).text()
                assert 'ai_gateway_backend_waiting{backend="llm"} 1.0' in metrics
                assert 'ai_gateway_backend_paused{backend="llm"} 1.0' in metrics
            await waiting
            metrics = await (await session.get(f"{house.url}/metrics")).text()
        assert 'ai_gateway_backend_waiting{backend="llm"} 0.0' in metrics
        assert 'ai_gateway_backend_paused{backend="llm"} 0.0' in metrics
        assert 'ai_gateway_wait_seconds_count{backend="llm",end="let_in"}' in metrics
        events = house.gateway.events()
        waited = [event for event in events if event["event"] == "waited"][-1]
        assert (waited["backend"], waited["place"], waited["end"]) == ("llm", 1, "let_in")
        assert {event["event"] for event in events} >= {"backend_paused", "backend_resumed"}


class TestOrder:
    async def test_first_come_first_served(self, house: House) -> None:
        """Also beyond the first few, and for one that comes after the resume, while others still wait."""
        served: list[str] = []

        async def notes(connection: Connection) -> None:
            served.append(json.loads(await connection.read_request())["user"])
            await answer(connection)

        async with house.llm.playing(notes):
            waiting = []
            async with paused(house, "llm"):
                for number in range(30):
                    waiting.append(asyncio.create_task(chat(house, user=str(number))))
                    await until_waiting(house, "llm", number + 1)
            waiting.append(asyncio.create_task(chat(house, user="late")))
            answers = await asyncio.gather(*waiting)
        assert [status for status, _, _ in answers] == [200] * 31
        assert [headers.get("X-Queue-Position") for _, headers, _ in answers[:30]] == [str(n + 1) for n in range(30)]
        assert sorted(served[:8]) == sorted(map(str, range(8)))
        # each connects on its own, so neighbours may overtake each other on the way; nobody more than his group
        assert all(abs(served.index(str(number)) - number) <= 8 for number in range(30))

    async def test_no_crowd_falls_upon_a_backend_that_is_back(self, house: House) -> None:
        """Eight at once, then one for each that ends, and slowly more while none does."""
        at_once = most = 0
        go_on = asyncio.Event()

        async def slow(connection: Connection) -> None:
            nonlocal at_once, most
            await connection.read_request()
            at_once += 1
            most = max(most, at_once)
            await go_on.wait()
            at_once -= 1
            await answer(connection)

        async with house.llm.playing(slow):
            async with paused(house, "llm"):
                waiting = [asyncio.create_task(chat(house)) for _ in range(40)]
                await until_waiting(house, "llm", 40)
            state = await until(house, "llm", lambda state: state["in_flight"] > 0)
            assert state["in_flight"] < 20
            state = await until(house, "llm", lambda state: state["in_flight"] >= 10)  # though none has ended
            assert state["waiting"] > 0
            go_on.set()
            answers = await asyncio.gather(*waiting)
        assert {status for status, _, _ in answers} == {200}
        assert most < 40

    async def test_whoever_leaves_gives_the_place_up(self, house: House) -> None:
        async with house.llm.playing(says):
            async with paused(house, "llm"):
                first = asyncio.create_task(chat(house))
                await until_waiting(house, "llm", 1)
                second = asyncio.create_task(chat(house))
                await until_waiting(house, "llm", 2)
                first.cancel()
                await until_waiting(house, "llm", 1)
                third = asyncio.create_task(chat(house))
                await until_waiting(house, "llm", 2)
            assert (await second)[0] == 200
            assert (await third)[1]["X-Queue-Position"] == "2"
        assert (await state_of(house, "llm"))["in_flight"] == 0
        assert len(house.llm.connections) > 0

    async def test_a_second_pause_before_all_are_in(self, house: House) -> None:
        """Who still waits goes on waiting; who is in gets the answer."""
        go_on = asyncio.Event()

        async def slow(connection: Connection) -> None:
            await connection.read_request()
            await go_on.wait()
            await answer(connection)

        async with house.llm.playing(slow):
            await pause(house, "llm")
            waiting = [asyncio.create_task(chat(house)) for _ in range(20)]
            await until_waiting(house, "llm", 20)
            await resume(house, "llm")
            state = await pause(house, "llm", owner="next")
            left = state["waiting"]
            assert left > 0
            go_on.set()
            state = await until(house, "llm", lambda state: state["in_flight"] == 0)
            assert state["waiting"] == left
            await resume(house, "llm", owner="next")
            assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}


class TestBounds:
    async def test_one_too_many(self, narrow_house: House) -> None:
        async with narrow_house.llm.playing(says):
            async with paused(narrow_house, "llm"):
                waiting = [asyncio.create_task(chat(narrow_house)) for _ in range(3)]
                await until_waiting(narrow_house, "llm", 3)
                status, headers, body = await chat(narrow_house)
                assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_waiting")
                assert int(headers["Retry-After"]) > 0
            assert {status for status, _, _ in await asyncio.gather(*waiting)} == {200}

    async def test_too_many_bytes(self, narrow_house: House) -> None:
        async with narrow_house.llm.playing(says):
            async with paused(narrow_house, "llm"):
                waiting = asyncio.create_task(chat(narrow_house, user="x" * (700 * 1024)))
                await until_waiting(narrow_house, "llm", 1)
                status, _, body = await chat(narrow_house, user="x" * (700 * 1024))
                assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_waiting")
            assert (await waiting)[0] == 200

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/transcribe"])
    async def test_too_long(self, narrow_house: House, path: str) -> None:
        name = "llm" if path.startswith("/v1") else "whisper-api"
        async with paused(narrow_house, name):
            async with post(narrow_house, path, json=CHAT) as response:
                assert response.status == 503
                assert "paused_too_long" in await response.text()
                assert int(response.headers["Retry-After"]) > 0
                assert response.headers["X-Queue-Position"] == "1"
            assert (await state_of(narrow_house, name))["waiting"] == 0


class TestUploads:
    async def test_the_body_stays_with_the_client(self, house: House) -> None:
        """200 MiB wait outside: the gateway holds none of it, and every byte arrives afterwards."""
        size = 200 * MIB
        taken = 0
        arrived: list[int] = []

        async def backend(connection: Connection) -> None:
            await connection.read_head()
            left = size
            while left:
                left -= len(await connection.reader.read(min(left, MIB)))
            arrived.append(size - left)
            await answer(connection)

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal taken
            for _ in range(size // MIB):
                taken += 1
                yield b"x" * MIB

        async def upload() -> int:
            headers = FORM | {"Content-Length": str(size)}
            async with post(house, "/transcribe", data=pieces(), headers=headers) as response:
                return response.status

        async with house.speech.playing(backend):
            before_mib = house.gateway.peak_rss_mib()
            async with paused(house, "whisper-api"):
                uploading = asyncio.create_task(upload())
                await until_waiting(house, "whisper-api", 1)
                await asyncio.sleep(1)  # what would flow, flows now
                assert taken < 32  # the kernel's own buffers
            assert await uploading == 200
        assert arrived == [size]
        assert house.gateway.peak_rss_mib() - before_mib < 32

    @pytest.mark.parametrize("size", [1000, 4 * MIB])
    async def test_its_clock_stands_still(self, impatient_house: House, size: int) -> None:
        """A client must move every second; who is made to wait longer is not at fault."""

        async def backend(connection: Connection) -> None:
            assert len(await connection.read_request()) == size
            await answer(connection)

        async with impatient_house.speech.playing(backend):
            async with paused(impatient_house, "whisper-api"):
                uploading = asyncio.create_task(self._upload(impatient_house, b"x" * size))
                await until_waiting(impatient_house, "whisper-api", 1)
                await asyncio.sleep(1.5)  # longer than CLIENT_BODY_TIMEOUT_S
            assert await uploading == 200

    async def test_so_does_that_of_a_chat(self, impatient_house: House) -> None:
        async with impatient_house.llm.playing(says):
            async with paused(impatient_house, "llm"):
                waiting = asyncio.create_task(chat(impatient_house))
                await until_waiting(impatient_house, "llm", 1)
                await asyncio.sleep(1.5)  # longer than CLIENT_BODY_TIMEOUT_S and UPSTREAM_FIRST_BYTE_TIMEOUT_S
            assert (await waiting)[0] == 200

    @staticmethod
    async def _upload(house: House, data: bytes) -> int:
        async with post(house, "/transcribe", data=data, headers=FORM) as response:
            return response.status

    @pytest.mark.parametrize("end", ["close", "reset"])
    async def test_a_client_that_leaves_is_noticed(self, house: House, end: str) -> None:
        """Though nobody reads from its connection: the kernel is asked."""
        asked = len(house.speech.connections)
        async with (
            house.speech.playing(says),
            paused(house, "whisper-api"),
            sending(house, "POST /transcribe HTTP/1.1") as (_, writer),
        ):
            writer.write(b"content-length: 1000000\r\n\r\n" + b"x" * 1000)
            await until_waiting(house, "whisper-api", 1)
            if end == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.close()
            await until_waiting(house, "whisper-api", 0)
        assert len(house.speech.connections) == asked

    async def test_one_that_leaves_behind_a_full_window_is_noticed_when_its_turn_comes(self, house: House) -> None:
        """Its leaving stands behind bytes that nobody took; what it sent is no whole upload to the backend."""
        whole = 0

        async def backend(connection: Connection) -> None:
            nonlocal whole
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await connection.read_request()
                whole += 1

        async with house.speech.playing(backend):
            async with paused(house, "whisper-api"), sending(house, "POST /transcribe HTTP/1.1") as (_, writer):
                writer.write(b"content-length: %d\r\n\r\n" % (16 * MIB) + b"x" * (15 * MIB))
                await until_waiting(house, "whisper-api", 1)
                writer.transport.abort()
            await until(house, "whisper-api", lambda state: state["waiting"] + state["in_flight"] == 0)
        assert whole == 0

    async def test_continue_is_said_when_the_turn_has_come(self, house: House) -> None:
        async with house.speech.playing(says), sending(house, "POST /transcribe HTTP/1.1") as (reader, writer):
            async with paused(house, "whisper-api"):
                writer.write(b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
                await until_waiting(house, "whisper-api", 1)
            async with asyncio.timeout(WAIT_S):
                assert b"100 Continue" in await reader.readuntil(b"\r\n\r\n")
                writer.write(b"hi")
                assert b" 200 " in await reader.readline()

    async def test_http_1_0(self, house: House) -> None:
        async with house.speech.playing(says), sending(house, "POST /transcribe HTTP/1.0") as (reader, writer):
            async with paused(house, "whisper-api"):
                writer.write(b"content-length: 2\r\n\r\nhi")
                await until_waiting(house, "whisper-api", 1)
            async with asyncio.timeout(WAIT_S):
                answer = await reader.read()
        assert b" 200 " in answer.splitlines()[0]
        assert b"x-queue-position: 1" in answer
        assert answer.endswith(TEXT)


class TestWords:
    """A streamed chat is told its place in comments, which no client takes for content."""

    async def test_the_official_client_reads_a_stream_that_waited(self, house: House) -> None:
        async with (
            house.llm.playing(streams),
            openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=KEY, max_retries=0) as client,
        ):
            async with paused(house, "llm"):
                opening = asyncio.create_task(
                    client.chat.completions.create(
                        model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
                    )
                )
                stream = await opening  # the head comes while the request still waits
                assert (await state_of(house, "llm"))["waiting"] == 1
            pieces = [piece.choices[0].delta.content async for piece in stream]
        assert pieces == ["a"]

    async def test_comments_tell_the_place(self, house: House) -> None:
        async with (
            house.llm.playing(streams),
            paused(house, "llm"),
            post(house, "/v1/chat/completions", CHAT | {"stream": True}) as first,
            post(house, "/v1/chat/completions", CHAT | {"stream": True}) as second,
        ):
            assert (first.headers["X-Queue-Position"], second.headers["X-Queue-Position"]) == ("1", "2")
            assert first.headers["Content-Type"].startswith("text/event-stream")
            assert first.headers["X-Accel-Buffering"] == "no"
            assert await read_until(first, b"\n\n") == b": waiting, place 1\n\n"
            assert await read_until(second, b"\n\n") == b": waiting, place 2\n\n"
            first.close()
            assert b"place 1" in await read_until(second, b"place 1")
            await resume(house, "llm")
            assert (await second.read()).endswith(EVENT + DONE)

    async def test_an_error_afterwards_is_an_event(self, house: House) -> None:
        """The official client raises it; for others the stream has its proper end."""

        async def refuses(connection: Connection) -> None:
            await connection.read_request()
            await answer(connection, b'{"error":{"message":"too long a text"}}', status="400 Bad Request")

        async with (
            house.llm.playing(refuses),
            openai.AsyncOpenAI(base_url=f"{house.url}/v1", api_key=KEY, max_retries=0) as client,
        ):
            async with paused(house, "llm"):
                stream = await client.chat.completions.create(
                    model=MODEL, messages=[{"role": "user", "content": "Hi"}], stream=True
                )
            with pytest.raises(openai.APIError, match="too long a text"):
                async for _ in stream:
                    pass

    async def test_a_backend_that_is_down_afterwards(self, house: House) -> None:
        await pause(house, "llm")
        async with post(house, "/v1/chat/completions", CHAT | {"stream": True}) as response:
            await resume(house, "llm")
            said = await response.read()
        told = json.loads(said.split(b"data: ")[1])
        assert told["error"]["code"] == "backend_unavailable"

    async def test_a_backend_that_is_silent_afterwards(self, impatient_house: House) -> None:
        """Its clock runs again: the error is the one that others get as 504."""

        async def silent(connection: Connection) -> None:
            await connection.read_request()
            await connection.until_gone()

        async with impatient_house.llm.playing(silent):
            await pause(impatient_house, "llm")
            async with post(impatient_house, "/v1/chat/completions", CHAT | {"stream": True}) as response:
                await resume(impatient_house, "llm")
                said = await response.read()
        assert json.loads(said.split(b"data: ")[1])["error"]["code"] == "backend_timeout"

    @pytest.mark.parametrize("head", ["POST /v1/chat/completions HTTP/1.0", "POST /api/chat HTTP/1.1"])
    async def test_others_just_wait(self, house: House, head: str) -> None:
        """HTTP/1.0 has no chunks, NDJSON no comments."""
        body = json.dumps(CHAT | {"stream": True}).encode()
        async with house.llm.playing(streams), sending(house, head) as (reader, writer):
            async with paused(house, "llm"):
                writer.write(b"connection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(3):
                        await reader.read(1)
            async with asyncio.timeout(WAIT_S):
                answer = await reader.read()
        assert b" 200 " in answer.splitlines()[0]
        assert b"waiting" not in answer


async def test_a_request_on_its_way_when_it_is_paused_is_not_cut(house: House) -> None:
    """An upload half way through goes on to its end; the pause is for those behind it."""
    async with house.speech.playing(says), sending(house, "POST /transcribe HTTP/1.1") as (reader, writer):
        writer.write(b"content-length: 4\r\n\r\nhi")
        await until(house, "whisper-api", lambda state: state["in_flight"] == 1)
        async with paused(house, "whisper-api"):
            writer.write(b"ho")
            async with asyncio.timeout(WAIT_S):
                assert b" 200 " in await reader.readline()
            await until(house, "whisper-api", lambda state: state["in_flight"] == 0)
