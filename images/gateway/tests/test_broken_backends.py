"""A backend that is down, dies, speaks nonsense or takes too long: what the client is told (B.2, B.7)."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest
from dialects.harness import AUTH, KEY, MODEL, Connection
from dialects.house import CHAT, EVENT, WAIT_S, House, post, read_until


class TestBrokenBackends:
    async def test_down(self, house: House) -> None:
        """B.2: nobody listens: 503, when to come back, and why."""
        async with aiohttp.ClientSession(headers=AUTH) as session:
            async with session.post(f"{house.url}/v1/chat/completions", json=CHAT) as response:
                assert response.status == 503
                assert int(response.headers["retry-after"]) >= 1
                error = (await response.json())["error"]
                assert error["code"] == "backend_unavailable"
                assert "'llm' cannot be reached (connection refused)" in error["message"]
            async with session.post(f"{house.url}/api/chat", json=CHAT) as response:
                assert response.status == 503
                assert "'llm' cannot be reached" in (await response.json())["error"]

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
    async def test_dies_before_the_head(self, house: House, path: str) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            connection.abort()

        async with house.llm.playing(backend), post(house, f"{path}", json=CHAT) as response:
            assert response.status == 503
            assert response.headers["retry-after"]
            assert "broke off" in await response.text()

    async def test_dies_within_an_event_stream(self, house: House) -> None:
        """The client is told in the stream, and the stream breaks: nobody takes it for whole."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
            connection.abort()

        async with (
            house.llm.playing(backend),
            post(house, "/v1/chat/completions", json=CHAT | {"stream": True}) as response,
        ):
            received = await read_until(response, b'"error"')
            assert received.startswith(EVENT)
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        told = json.loads(received.split(b"\n\n")[1].removeprefix(b"data: "))
        assert told["error"]["code"] == "backend_unavailable"

    async def test_dies_within_an_event(self, house: House) -> None:
        """Half an event cannot be followed by another: the stream only breaks."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT[:20])
            connection.abort()

        async with (
            house.llm.playing(backend),
            post(house, "/v1/chat/completions", json=CHAT | {"stream": True}) as response,
        ):
            assert await read_until(response, EVENT[:20]) == EVENT[:20]
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    async def test_dies_within_a_translated_stream(self, house: House) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
            connection.abort()

        async with house.llm.playing(backend), post(house, "/api/chat", json=CHAT) as response:
            received = await read_until(response, b'"error"')
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        assert "broke off" in json.loads(received.splitlines()[1])["error"]

    async def test_ends_a_translated_stream_too_early(self, house: House) -> None:
        """A clean end without a finish is no end."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
            await connection.end_chunked()

        async with house.llm.playing(backend), post(house, "/api/chat", json=CHAT) as response:
            assert b"in the middle" in await read_until(response, b'"error"')

    async def test_dies_within_a_counted_answer(self, house: House) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            connection.abort()

        async with house.llm.playing(backend), post(house, "/v1/chat/completions", json=CHAT) as response:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    @pytest.mark.parametrize(
        "nonsense",
        [
            b"SSH-2.0-OpenSSH\r\n\r\n",
            b"\x00" * 200,
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\ncontent-length: 2\r\n\r\nhi",
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            b"HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nhi",
        ],
    )
    async def test_speaks_no_http(self, house: House, nonsense: bytes) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.write(nonsense)

        async with house.llm.playing(backend), post(house, "/v1/chat/completions", json=CHAT) as response:
            assert response.status == 502
            assert (await response.json())["error"]["code"] == "bad_backend_answer"

    async def test_answers_nonsense_where_it_is_translated(self, house: House) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b'{"choices": "none"}')

        async with house.llm.playing(backend), post(house, "/api/chat", json=CHAT | {"stream": False}) as response:
            assert response.status == 502
            assert "nobody understands" in (await response.json())["error"]

    async def test_refuses_our_own_key(self, house: House) -> None:
        """A 401 from behind is not the caller's: they would look for the fault in their own key."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b"{}", status="401 Unauthorized")

        async with house.llm.playing(backend), post(house, "/v1/chat/completions", json=CHAT) as response:
            assert response.status == 502
            assert (await response.json())["error"]["code"] == "backend_refused_key"

    async def test_its_own_errors_come_through(self, house: House, ollama_house: House) -> None:
        said = b'{"error":"model requires more system memory"}'

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(said, status="500 Internal Server Error")

        async with ollama_house.llm.playing(backend), post(ollama_house, "/api/chat", CHAT) as response:
            assert response.status == 500
            assert await response.read() == said
        async with house.llm.playing(backend), post(house, "/api/chat", CHAT) as response:
            assert response.status == 500
            assert (await response.json())["error"] == "model requires more system memory"

    async def test_redirects_are_answers(self, house: House) -> None:
        """A backend cannot send the gateway somewhere else."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.write(
                b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
            )

        async with (
            house.llm.playing(backend),
            post(house, "/v1/chat/completions", json=CHAT, allow_redirects=False) as response,
        ):
            assert response.status == 307


class TestPhases:
    """Each phase has its own limit, and the answer names the phase."""

    @staticmethod
    async def _phase(house: House, path: str = "/v1/chat/completions") -> str:
        async with post(house, f"{path}", json=CHAT) as response:
            text = await response.text()
            assert response.status == 504, text
            return text

    async def test_connect(self, impatient_house: House) -> None:
        import socket

        # a listening socket whose queue is full lets nobody in, and says nothing
        with socket.socket() as full:
            full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            full.bind(("127.0.0.1", impatient_house.llm.port))
            full.listen(0)
            waiting = [socket.socket() for _ in range(4)]
            for each in waiting:
                each.setblocking(False)
                each.connect_ex(full.getsockname())
            assert "phase connect" in await self._phase(impatient_house)
            for each in waiting:
                each.close()

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat"])
    async def test_first_byte(self, impatient_house: House, path: str) -> None:
        gone = asyncio.Event()

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.until_gone()
            gone.set()

        async with impatient_house.llm.playing(backend):
            assert "phase first_byte" in await self._phase(impatient_house, path)
            async with asyncio.timeout(WAIT_S):
                await gone.wait()

    async def test_idle(self, impatient_house: House) -> None:
        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.start_chunked("text/event-stream")
            await connection.chunk(EVENT)
            await connection.until_gone()

        async with (
            impatient_house.llm.playing(backend),
            post(impatient_house, "/v1/chat/completions", json=CHAT | {"stream": True}) as response,
        ):
            assert b"phase idle" in await read_until(response, b'"error"')
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()

    @pytest.mark.parametrize("beginning", ["", "{"])
    async def test_slow_json_body(self, impatient_house: House, beginning: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", impatient_house.gateway.port)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"content-length: 100\r\n\r\n{beginning}".encode()
        )
        async with asyncio.timeout(WAIT_S):
            answer = await reader.readuntil(b"}}")
        assert b"408 Request Timeout" in answer
        assert b"client_too_slow" in answer
        writer.close()

    @pytest.mark.long
    @pytest.mark.parametrize(("piece", "status"), [(4096, b" 200 "), (1, b" 408 ")])
    async def test_a_slow_line_is_given_its_time_and_a_dripping_one_is_not(
        self, impatient_house: House, piece: int, status: bytes
    ) -> None:
        """Two seconds long, where a body must be complete within one, and one more for every 4 KiB."""

        async def backend(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b"{}")

        body = b'{"model": "%s"}' % MODEL.encode()
        body += b" " * (10 * piece - len(body))
        reader, writer = await asyncio.open_connection("127.0.0.1", impatient_house.gateway.port)
        async with impatient_house.llm.playing(backend):
            writer.write(
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
                f"content-length: {10 * piece}\r\n\r\n".encode()
            )
            for start in range(0, 10 * piece, piece):
                writer.write(body[start : start + piece])
                await asyncio.sleep(0.2)
            async with asyncio.timeout(WAIT_S):
                assert status in await reader.readline()
        writer.close()
