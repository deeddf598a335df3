"""A paused backend: requests wait, are told so, are let in by their place, and none is lost."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest
from dialects.harness import AUTH, KEY, Connection, gateway
from dialects.house import CHAT, EVENT, WAIT_S, House, post, read_until
from dialects.house_admin import (
    ADMIN,
    DONE,
    TEXT,
    answer,
    ask,
    chat,
    pause,
    paused,
    resume,
    says,
    state_of,
    until,
    until_waiting,
)


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

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("content", "why"),
        [(KEY, "is an ordinary key as well"), ("# none yet", "holds no admin key"), (None, "cannot read")],
    )
    def test_a_key_file_that_opens_too_much_or_nothing_is_refused(
        self, tmp_path: Path, content: str | None, why: str
    ) -> None:
        named = tmp_path / "named.key"
        if content is not None:
            named.write_text(content + "\n")
        with (
            pytest.raises(AssertionError, match=why),
            gateway(tmp_path / "gateway", [], ADMIN_KEYS_FILE=str(named)),
        ):
            pass

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

    @pytest.mark.long
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
        body = {"owner": "me", "why": "test", "lease_s": 60}
        status, problem = await ask(narrow_house, "POST", "/llm/pause", body)
        assert (status, problem["code"]) == (409, "pause_used_up")
        await resume(narrow_house, "llm")


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
        assert headers["X-Queue-Position"] == "1"

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

    @pytest.mark.long
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
