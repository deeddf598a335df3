"""Routes of the services that ran here before: only where they are asked for, and keyless only if so."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
import requests
from dialects.harness import AUTH, Connection
from dialects.house import House, house_over
from dialects.house_admin import answer, paused, says, until_waiting
from yarl import URL

from gateway.old_routes import ROWS
from gateway.registry import OldApi
from gateway.routing import TABLE, Body, Route

ALL: list[OldApi] = list(ROWS)
OURS = {(route.method, route.path) for route in TABLE}
NEW_ROWS = [route for rows in ROWS.values() for route in rows if (route.method, route.path) not in OURS]


@pytest.fixture(scope="module")
def old_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with house_over(tmp_path_factory.mktemp("old-house"), OLD_API=" asr, speaches,whisper_api,seed ") as running:
        yield running


@pytest.fixture(scope="module")
def keyless_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("keyless-house")
    with house_over(directory, OLD_API=",".join(ALL), OLD_API_KEYLESS="true") as running:
        yield running


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def ask(house: House, route: Route, headers: dict[str, str]) -> requests.Response:
    data = b"{}" if route.method == "POST" else None
    return requests.request(route.method, house.url + route.path, data=data, headers=headers, timeout=30)


@pytest.mark.parametrize("route", NEW_ROWS, ids=name)
async def test_they_reach_our_service_as_they_are(old_house: House, house: House, route: Route) -> None:
    """With their query, and who asks; elsewhere they do not exist."""
    heads: list[Connection] = []

    async def speech(connection: Connection) -> None:
        heads.append(connection)
        await connection.read_request()
        await answer(connection, b'{"detail": "task_id not valid"}', "400 Bad Request")

    query = "?output=json&word_timestamps=true&task_id=a%2Fb"
    async with old_house.speech.playing(speech), aiohttp.ClientSession(headers=AUTH) as session:
        headers = {"X-Email": "a@example.com", "X-User": "a", "X-Other": "b"}
        data = b"form" if route.body is Body.UPLOAD else None
        async with session.request(
            route.method, URL(f"{old_house.url}{route.path}{query}", encoded=True), headers=headers, data=data
        ) as response:
            assert response.status == 400
            assert await response.json(content_type=None) == {"detail": "task_id not valid"}
        async with session.request(route.method, f"{house.url}{route.path}") as response:
            assert response.status == 404
    [seen] = heads
    assert seen.head.startswith(f"{route.method} {route.path}{query} HTTP/1.1".encode())
    assert (seen.headers["x-email"], seen.headers["x-user"]) == ("a@example.com", "a")
    assert "x-other" not in seen.headers


async def test_people_go_with_old_routes_only(old_house: House) -> None:
    heads: list[Connection] = []

    async def speech(connection: Connection) -> None:
        heads.append(connection)
        await says(connection)

    async with old_house.speech.playing(speech), aiohttp.ClientSession(headers=AUTH) as session:
        await session.get(f"{old_house.url}/queue/status", headers={"X-Email": "a@example.com"})
    assert "x-email" not in heads[0].headers


@pytest.mark.parametrize("route", NEW_ROWS, ids=name)
def test_they_need_a_key_unless_they_never_did(old_house: House, keyless_house: House, route: Route) -> None:
    assert ask(old_house, route, {}).status_code == 401
    assert ask(keyless_house, route, {}).status_code == 503  # nobody plays the backend


def test_keyless_are_exactly_these(keyless_house: House) -> None:
    """The routes of the old services, and the list of models that speaches' clients ask for."""
    opened = {path for rows in ROWS.values() for path in (row.path for row in rows)} | {"/v1/models", "/health"}
    for route in TABLE:
        if "{" not in route.path:
            asked = ask(keyless_house, route, {})
            assert (asked.status_code != 401) == (route.path in opened), route
    assert requests.get(f"{keyless_house.url}/api/admin/backends", timeout=30).status_code == 401


@pytest.mark.parametrize(
    "line",
    [
        "GET /asr/../api/tags", "GET /asr/..%2fapi/tags", "GET //v1/models", "GET /v1/models/", "GET /v1/models/x",
        "GET /v1/models%2f..%2f..%2fapi/tags", "GET /api/v1/../tags", "GET /api/v1/logs", "GET /api/v1/",
        "POST /asr/", "POST /ASR", "POST /asr;x=1", "POST /asr%00", "POST /asr%20", "POST /asr%3Foutput=json",
        "GET http://x/api/tags", "POST http://x/asr/../generate", "OPTIONS /api/chat", "HEAD /api/tags",
        "GET /metrics", "GET /docs", "GET /healthz/../metrics",
    ],
)  # fmt: skip
async def test_no_spelling_opens_another_route(keyless_house: House, line: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", keyless_house.gateway.port)
    writer.write(f"{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode())
    assert b" 401 " in await reader.readline()
    writer.close()


@pytest.mark.parametrize("host", ["x", "api/admin", "127.0.0.1:1"])
async def test_the_backend_is_no_matter_of_the_host_that_is_named(keyless_house: House, host: str) -> None:
    """An address in the request line, or another Host, chooses nothing: the one backend is asked the table's path."""
    heads: list[bytes] = []

    async def speech(connection: Connection) -> None:
        await connection.read_request()
        heads.append(connection.head.split(b"\r\n")[0])
        await answer(connection)

    async with keyless_house.speech.playing(speech):
        reader, writer = await asyncio.open_connection("127.0.0.1", keyless_house.gateway.port)
        writer.write(f"POST http://{host}/asr?a=%2e%2E HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\n\r\nx".encode())
        assert (b" 200 " if host != "api/admin" else b" 401 ") in await reader.readline()
        writer.close()
    assert heads == ([b"POST /asr?a=%2e%2E HTTP/1.1"] if host != "api/admin" else [])


def test_only_the_named_service_is_keyless(tmp_path: Path) -> None:
    with house_over(tmp_path, OLD_API="asr", OLD_API_KEYLESS="true") as running:
        assert requests.post(f"{running.url}/asr", data=b"x", timeout=30).status_code == 503
        assert requests.post(f"{running.url}/transcribe", data=b"x", timeout=30).status_code == 401
        assert requests.get(f"{running.url}/v1/models", timeout=30).status_code == 401


def test_they_are_documented(old_house: House, house: House) -> None:
    def paths(asked: House) -> set[str]:
        return set(requests.get(f"{asked.url}/openapi.json", headers=AUTH, timeout=30).json()["paths"])

    assert paths(old_house) - paths(house) == {route.path for route in NEW_ROWS}


def test_keyless_requests_are_in_the_log(keyless_house: House) -> None:
    """Open paths of ours are asked every few seconds by monitors, and logged at DEBUG; these are people's requests."""
    ask(keyless_house, ROWS["asr"][0], {})
    logged = [event for event in keyless_house.gateway.events() if event.get("route") == "/asr"]
    assert logged[-1]["level"] == "info"


class TestTasks:
    async def test_asking_for_a_task_passes_a_pause(self, old_house: House) -> None:
        """Its result is in the memory of the service that is about to be replaced: fetched now or never."""
        async with old_house.speech.playing(says), paused(old_house, "whisper-api"):
            answered = await self._status(old_house)
        assert (answered.status, "X-Queue-Position" in answered.headers) == (200, False)

    async def test_it_waits_when_nobody_is_there_to_ask(self, old_house: House) -> None:
        async with paused(old_house, "whisper-api"):
            asking = asyncio.create_task(self._status(old_house))
            await until_waiting(old_house, "whisper-api", 1)
            playing = old_house.speech.playing(says)
            await playing.__aenter__()
        answered = await asking
        await playing.__aexit__(None, None, None)
        assert (answered.status, answered.headers["X-Queue-Position"]) == (200, "1")

    async def test_it_waits_when_who_is_there_says_nothing_any_more(self, tmp_path: Path) -> None:
        """A service that is being stopped, or a name that is asked for in vain where there is no network."""

        async def silent(connection: Connection) -> None:
            await connection.until_gone()

        limits = {"UPSTREAM_CONNECT_TIMEOUT_S": "1", "UPSTREAM_FIRST_BYTE_TIMEOUT_S": "1"}
        with house_over(tmp_path, OLD_API="whisper_api", **limits) as house:
            async with paused(house, "whisper-api"):
                async with house.speech.playing(silent):
                    asking = asyncio.create_task(self._status(house))
                    await until_waiting(house, "whisper-api", 1)
                playing = house.speech.playing(says)
                await playing.__aenter__()
            answered = await asking
            await playing.__aexit__(None, None, None)
        assert (answered.status, answered.headers["X-Queue-Position"]) == (200, "1")

    @staticmethod
    async def _status(house: House) -> aiohttp.ClientResponse:
        async with (
            aiohttp.ClientSession(headers=AUTH) as session,
            session.get(f"{house.url}/api/v1/status?task_id=1") as response,
        ):
            await response.read()
            return response
