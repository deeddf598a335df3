"""What a client sees of a pause: its upload stays with it, its clocks stand still, its stream is told its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from dialects.harness import KEY, MODEL, Connection
from dialects.house import CHAT, EVENT, WAIT_S, House, house_over, post, read_until
from dialects.house_admin import (
    DONE,
    TEXT,
    answer,
    chat,
    pause,
    paused,
    resume,
    says,
    sending,
    state_of,
    streams,
    until,
    until_waiting,
)

pytestmark = pytest.mark.long

MIB = 2**20
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


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

    @pytest.mark.long
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

    @pytest.mark.long
    async def test_a_backend_that_is_down_afterwards(self, house: House) -> None:
        await pause(house, "llm")
        async with post(house, "/v1/chat/completions", CHAT | {"stream": True}) as response:
            await resume(house, "llm")
            said = await response.read()
        told = json.loads(said.split(b"data: ")[1])
        assert told["error"]["code"] == "backend_unavailable"

    @pytest.mark.long
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

    @pytest.mark.long
    async def test_a_gateway_that_is_stopped_meanwhile(self, tmp_path: Path) -> None:
        """Who got its comments is told as an event, who got nothing yet as 503; neither is just cut off."""
        with house_over(tmp_path, SHUTDOWN_GRACE_S="3") as stopped:
            await pause(stopped, "llm")
            async with post(stopped, "/v1/chat/completions", CHAT | {"stream": True}) as response:
                plain = asyncio.create_task(chat(stopped))
                await until_waiting(stopped, "llm", 2)
                stopped.gateway.process.send_signal(signal.SIGTERM)
                said = await response.read()
            status, headers, _ = await plain
        assert json.loads(said.split(b"data: ")[1])["error"]["code"] == "shutting_down"
        assert (status, headers["Retry-After"]) == (503, "5")

    @pytest.mark.long
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
