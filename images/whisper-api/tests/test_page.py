"""The page at /, the API's description, the probes."""

from __future__ import annotations

import re

import pytest
import requests
from support.whisper import KEY, WhisperServer


@pytest.mark.promise("S3.1")
def test_the_page_is_whole_without_the_internet(server: WhisperServer) -> None:
    """It loads nothing from anywhere, and its policy lets it talk to this server only."""
    page = requests.get(server.url + "/", auth=("anybody", KEY), timeout=10)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert 'type="file"' in page.text
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    assert not re.findall(r"""(?:src|href)\s*=|https?://|@import""", page.text)
    for keeps in ("localStorage", "sessionStorage", "document.cookie", "indexedDB"):
        assert keeps not in page.text
    assert "set-cookie" not in page.headers


@pytest.mark.promise("S3.1")
def test_a_browser_is_asked_for_the_key(server: WhisperServer) -> None:
    answer = requests.get(server.url + "/", headers={"Accept": "text/html"}, timeout=10)
    assert answer.status_code == 401
    assert "Basic" in answer.headers["www-authenticate"]


@pytest.mark.promise("S3.1")
def test_the_description_names_every_field(server: WhisperServer) -> None:
    described = server.get("/openapi.json").json()["paths"]
    assert {"/transcribe", "/transcribe/url", "/v1/audio/transcriptions", "/queue/status", "/health"} <= set(described)
    form = described["/v1/audio/transcriptions"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == {
        "file",
        "model",
        "prompt",
        "temperature",
        "response_format",
        "language",
        "timestamp_granularities[]",
    }
    assert form["required"] == ["file", "model"]
    assert "swagger-ui" in server.get("/docs").text


@pytest.mark.promise("S0.1")
def test_health_is_open_and_says_what_runs(server: WhisperServer) -> None:
    health = server.health()
    assert health["status"] == "ok"
    assert (health["model"], health["device"], health["compute_type"]) == ("tiny.en", "cpu", "int8")
    assert health["engine"]["state"] == "ready"
    assert health["engine"]["pid"] in {child.pid for child in server.children()}
    assert health["queue"]["max_queue_size"] == 128
    assert requests.get(server.url + "/readyz", timeout=5).status_code == 200
