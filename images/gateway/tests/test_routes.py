"""The table as callers meet it: keys, methods, health, models, documentation (S0.1, S0.12, S2.7, S4.1)."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import Any

import aiohttp
import pytest
import requests
from dialects.harness import AUTH, KEY, MODEL, Connection
from dialects.house import House, post

from gateway.routing import ADMIN_TABLE, TABLE, Route

OPEN = {"/health", "/healthz", "/readyz"}


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


def ask(house: House, route: Route, headers: dict[str, str]) -> requests.Response:
    path = re.sub(r"\{\w+\}", "x", route.path)
    data = b"{}" if route.method != "GET" else None
    return requests.request(
        route.method, house.url + path, headers=headers, data=data, timeout=30, allow_redirects=False
    )


@pytest.mark.parametrize("route", TABLE + ADMIN_TABLE, ids=name)
def test_every_route_needs_the_right_key(house: House, route: Route) -> None:
    """S0.12, S2.7: no key, wrong keys, the right key; any status but 401 shows that a key was right."""
    expected_open = route.path in OPEN
    for wrong in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {KEY}x"},
        {"Authorization": KEY},
        {"Authorization": f"Token {KEY}"},
        {"Authorization": "Bearer "},
        {"X-API-Key": KEY},
    ):
        answer = ask(house, route, wrong)
        assert (answer.status_code != 401) == expected_open
        if not expected_open:
            assert "WWW-Authenticate" in answer.headers
            assert KEY not in answer.text
    basic = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    for right in (AUTH, {"Authorization": f"bearer {KEY}"}, {"Authorization": f"Basic {basic}"}):
        assert ask(house, route, right).status_code != 401


@pytest.mark.parametrize("path", ["/metrics", "/docs/assets/swagger-ui.css", "/nowhere"])
def test_what_is_not_in_the_table_needs_the_key_too(house: House, path: str) -> None:
    assert requests.get(house.url + path, timeout=30).status_code == 401


@pytest.mark.parametrize("route", [route for route in TABLE if route.capability], ids=name)
def test_every_backend_route_says_when_its_backend_is_down(house: House, route: Route) -> None:
    """B.2: 503 with Retry-After and the reason; or what can be answered without it."""
    answer = ask(house, route, AUTH)
    if "unsupported" in route.over.values():
        assert answer.status_code == 501
    elif route.path == "/api/version":
        assert answer.status_code == 200
    elif route.path == "/api/show":
        assert answer.status_code == 400
    elif route.path in {"/api/embed", "/api/embeddings"}:
        assert answer.json() in ({"model": MODEL, "embeddings": []}, {"embedding": []})
    else:
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "cannot be reached" in answer.text


@pytest.mark.parametrize("route", [route for route in TABLE if route.refused], ids=name)
def test_refused_routes_say_why(house: House, route: Route) -> None:
    """S0.12: creating, pushing and blobs."""
    answer = ask(house, route, AUTH)
    assert answer.status_code == 403
    assert "closed" in answer.json()["error"]


@pytest.mark.parametrize("path", sorted({route.path for route in TABLE}))
def test_methods(house: House, path: str) -> None:
    real = re.sub(r"\{\w+\}", "x", path)
    options = requests.options(house.url + real, headers=AUTH, timeout=30)
    assert options.status_code == 204
    allowed = set(options.headers["Allow"].split(", "))
    assert {route.method for route in TABLE if route.path == path} < allowed
    wrong = requests.patch(house.url + real, headers=AUTH, timeout=30)
    assert wrong.status_code == 405
    assert wrong.headers["Allow"] == options.headers["Allow"]
    if "GET" in allowed:
        head = requests.head(house.url + real, headers=AUTH, timeout=30)
        assert head.status_code != 405
        assert head.content == b""


class TestHealth:
    async def test_every_component(self, house: House) -> None:
        """S0.1: Whisper's own health is inside."""

        async def speech(connection: Connection) -> None:
            await connection.read_request()
            assert connection.head.startswith(b"GET /health ")
            await connection.answer(b'{"status": "ok", "model": "tiny.en", "device": "cpu"}')

        async def llm(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b'{"status":"ok"}')

        async with house.speech.playing(speech), house.llm.playing(llm):
            status, health = await self._fresh(house, "ok")
        assert status == 200
        assert health["service"] == "ai-services"
        assert health["version"]
        assert health["timestamp"].endswith("Z")
        assert health["components"]["whisper-api"]["status"] == "ok"
        assert health["components"]["whisper-api"]["model"] == "tiny.en"
        assert health["components"]["whisper-api"]["device"] == "cpu"
        assert health["components"]["llm"]["status"] == "ok"
        assert health["components"]["llm"]["models"] == [MODEL]

    async def test_degraded_and_down(self, house: House) -> None:
        async def unwell(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b'{"status": "loading"}', status="503 Service Unavailable")

        async def well(connection: Connection) -> None:
            await connection.read_request()
            await connection.answer(b"{}")

        status, health = await self._fresh(house, "down")
        assert status == 503
        assert "connection refused" in health["components"]["llm"]["reason"]
        assert "127.0.0.1" not in json.dumps(health)
        async with house.speech.playing(unwell), house.llm.playing(well):
            status, health = await self._fresh(house, "degraded")
        assert status == 503
        assert health["components"]["whisper-api"]["status"] == "down"
        assert "503" in health["components"]["whisper-api"]["reason"]
        assert health["components"]["llm"]["status"] == "ok"

    async def test_is_no_amplifier_and_does_not_hang(self, house: House) -> None:
        """A hundred callers at once cost a hanging backend one question, and nobody waits long."""
        asked = 0

        async def hangs(connection: Connection) -> None:
            nonlocal asked
            await connection.read_request()
            asked += 1
            await connection.until_gone()

        async with house.speech.playing(hangs), house.llm.playing(hangs):
            await asyncio.sleep(1.1)  # until what an earlier test asked has been forgotten
            async with aiohttp.ClientSession() as session, asyncio.timeout(20):
                answers = await asyncio.gather(*(session.get(f"{house.url}/health") for _ in range(100)))
            assert {answer.status for answer in answers} == {503}
            assert asked == 2

    @staticmethod
    async def _fresh(house: House, wanted: str) -> tuple[int, dict[str, Any]]:
        """The report once it is not an earlier test's any more."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(10):
            while True:
                async with session.get(f"{house.url}/health") as response:
                    report = await response.json()
                if report["status"] == wanted:
                    return response.status, report
                await asyncio.sleep(0.1)


class TestModels:
    def test_all_backends_in_one_list(self, house: House) -> None:
        """S4.1: also while none of them runs, because the registry names them."""
        answer = requests.get(f"{house.url}/v1/models", headers=AUTH, timeout=30).json()
        assert answer["object"] == "list"
        owners = {entry["id"]: entry["owned_by"] for entry in answer["data"]}
        assert owners == {"tiny.en": "whisper-api", MODEL: "llm"}
        assert all(entry["object"] == "model" and entry["created"] > 0 for entry in answer["data"])

    async def test_ollama_is_asked(self, ollama_house: House) -> None:
        async def llm(connection: Connection) -> None:
            await connection.read_request()
            entries = [{"id": "hf.co/org/model:Q4", "created": 5}, {"id": "plain:latest", "created": 6}]
            await connection.answer(json.dumps({"object": "list", "data": entries}).encode())

        async with ollama_house.llm.playing(llm):
            listed = await self._get(ollama_house, "/v1/models")
            assert [entry["id"] for entry in listed["data"]] == ["tiny.en", "hf.co/org/model:Q4", "plain:latest"]
            slashed = await self._get(ollama_house, "/v1/models/hf.co/org/model:Q4")
            encoded = await self._get(ollama_house, "/v1/models/hf.co%2Forg%2Fmodel%3AQ4")
            assert (
                slashed == encoded == {"id": "hf.co/org/model:Q4", "object": "model", "created": 5, "owned_by": "llm"}
            )
            assert (await self._get(ollama_house, "/v1/models/plain"))["id"] == "plain:latest"

    def test_a_silent_backend_is_named(self, ollama_house: House) -> None:
        answer = requests.get(f"{ollama_house.url}/v1/models", headers=AUTH, timeout=30)
        assert [entry["id"] for entry in answer.json()["data"]] == ["tiny.en"]
        assert answer.headers["X-Unavailable-Backends"] == "llm"

    def test_unknown(self, house: House) -> None:
        answer = requests.get(f"{house.url}/v1/models/org/none", headers=AUTH, timeout=30)
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "model_not_found"

    async def test_unknown_model_names_what_exists(self, house: House) -> None:
        for path in ("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/api/chat", "/generate"):
            async with post(house, path, {"model": "gpt-4"}) as response:
                assert response.status == 404
                assert MODEL in await response.text()

    @staticmethod
    async def _get(house: House, path: str) -> dict[str, Any]:
        answer = await asyncio.to_thread(requests.get, house.url + path, headers=AUTH, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def test_the_document_has_every_route(house: House) -> None:
    """S0.1: /docs for the whole door, with a schema for every body."""
    document = requests.get(f"{house.url}/openapi.json", headers=AUTH, timeout=30).json()
    assert document["openapi"].startswith("3.1")
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(route.method, route.path) for route in TABLE} <= described
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    ids = [operation["operationId"] for operation in operations if "operationId" in operation]
    assert len(ids) == len(set(ids)) == len(TABLE + ADMIN_TABLE)
    known = set(document["components"]["schemas"])
    used = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert used == known
    for route in TABLE + ADMIN_TABLE:
        operation = document["paths"][route.path][route.method.lower()]
        assert operation["summary"]
        assert ("requestBody" in operation) == (route.method != "GET" and not route.refused)
        assert (operation.get("security") == []) == (route.path in OPEN)


def test_docs_work_offline_in_a_browser(house: House) -> None:
    page = requests.get(f"{house.url}/docs", auth=("me", KEY), timeout=30)
    assert page.headers["content-type"].startswith("text/html")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/")
        assert requests.get(house.url + address, auth=("me", KEY), timeout=30).status_code == 200
    asked = requests.get(f"{house.url}/docs", headers={"Accept": "text/html"}, timeout=30)
    assert asked.headers["WWW-Authenticate"].count("Basic realm=") == 1
    root = requests.get(f"{house.url}/", headers=AUTH, timeout=30)
    assert root.url.endswith("/docs")


def test_logs_and_metrics_hold_templates_not_paths(house: House) -> None:
    requests.get(f"{house.url}/v1/models/secret-name", headers=AUTH, timeout=30)
    requests.get(f"{house.url}/secret-path?secret-query", headers=AUTH, timeout=30)
    metrics = requests.get(f"{house.url}/metrics", headers=AUTH, timeout=30).text
    assert 'route="/v1/models/{id}"' in metrics
    log = house.gateway.log.read_text()
    assert '"route":"/v1/models/{id}"' in log
    for text in (metrics, log):
        assert "secret" not in text
        assert KEY not in text
