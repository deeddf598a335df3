"""BACKENDS_FILE: what may stand in it, and which backend a model leads to (S0.12, S2.4)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.registry import Backend, Registry, RegistryError
from gateway.routing import TABLE, Router
from service_kit.errors import ServiceError

LLM: dict[str, Any] = {"name": "llm", "kind": "openai", "url": "http://127.0.0.1:1", "models": ["a:latest", "b/c:4"]}
OLLAMA: dict[str, Any] = {"name": "ollama", "kind": "ollama", "url": "http://127.0.0.1:2"}
WHISPER: dict[str, Any] = {"name": "w", "kind": "whisper", "url": "http://127.0.0.1:3", "models": ["tiny.en"]}


def registry(*backends: dict[str, Any]) -> Registry:
    return Registry(tuple(Backend.model_validate(backend) for backend in backends))


class TestChoice:
    @pytest.mark.parametrize("model", ["a:latest", "a", "b/c:4", None, ""])
    def test_known_names_with_and_without_tag(self, model: str | None) -> None:
        assert registry(WHISPER, LLM).serving("llm", model).name == "llm"

    def test_a_speech_model_is_no_language_model(self) -> None:
        with pytest.raises(ServiceError, match=r"Model 'tiny\.en' not found") as caught:
            registry(WHISPER, LLM).serving("llm", "tiny.en")
        assert caught.value.status == 404
        assert caught.value.hint
        assert "a:latest, b/c:4" in caught.value.hint

    def test_what_nobody_names_is_asked_of_ollama(self) -> None:
        both = registry(LLM, OLLAMA)
        assert both.serving("llm", "a").name == "llm"
        assert both.serving("llm", "qwen2.5:3b").name == "ollama"
        assert both.serving("llm", None).name == "llm"

    def test_no_backend(self) -> None:
        with pytest.raises(ServiceError) as caught:
            registry(WHISPER).serving("llm", "a")
        assert caught.value.status == 503

    def test_a_hostile_name_is_not_echoed_whole(self) -> None:
        with pytest.raises(ServiceError) as caught:
            registry(LLM).serving("llm", "x" * 10_000)
        assert len(caught.value.message) < 200


class TestFile:
    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ("", "JSON"),
            ("{", "JSON"),
            ("[]", "the file"),
            ('{"backends": 5}', "backends"),
            ('{"backends": [], "more": 1}', "more"),
            (json.dumps({"backends": [{**LLM, "kind": "vllm"}]}), "backends.0.kind"),
            (json.dumps({"backends": [{**LLM, "models": []}]}), "must name the models"),
            (json.dumps({"backends": [{**LLM, "models": [""]}]}), "empty name"),
            (json.dumps({"backends": [{**LLM, "name": "L L M"}]}), "backends.0.name"),
            (json.dumps({"backends": [{**LLM, "url": "ftp://x"}]}), "backends.0.url"),
            (json.dumps({"backends": [{**LLM, "url": "http://x/v1"}]}), "scheme, host and port only"),
            (json.dumps({"backends": [{**LLM, "url": "http://user:secret@x"}]}), "scheme, host and port only"),
            (json.dumps({"backends": [{**LLM, "api_keys": "x"}]}), "backends.0.api_keys"),
            (json.dumps({"backends": [LLM, LLM]}), "must differ"),
        ],
    )
    def test_mistakes_are_named(self, tmp_path: Path, content: str, said: str) -> None:
        path = tmp_path / "backends.json"
        path.write_text(content)
        with pytest.raises(RegistryError) as caught:
            Registry.read(path)
        assert said in str(caught.value)
        assert "secret" not in str(caught.value)

    def test_keys_come_from_files(self, tmp_path: Path) -> None:
        key_file = tmp_path / "key"
        backend = Backend.model_validate({**LLM, "api_key_file": str(key_file)})
        with pytest.raises(RegistryError, match="cannot read api_key_file"):
            backend.api_key()
        key_file.write_text("\n")
        with pytest.raises(RegistryError, match="no usable key"):
            backend.api_key()
        key_file.write_text("the-key\n")
        assert backend.api_key() == "the-key"
        assert Backend.model_validate(LLM).api_key() is None


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "BACKENDS_FILE"),
        ({"BACKENDS_FILE": "/nonexistent"}, "/nonexistent"),
        ({"BACKENDS_FILE": "{file}"}, "no API key is set"),
        ({"BACKENDS_FILE": "{file}", "AUTH": "off", "MAX_JSON_MIB": "-1"}, "MAX_JSON_MIB"),
        ({"BACKENDS_FILE": "{file}", "API_KEYS_FILE": "/nonexistent"}, "/nonexistent"),
    ],
)
def test_wrong_settings_end_with_one_clear_line(tmp_path: Path, environment: dict[str, str], said: str) -> None:
    path = tmp_path / "backends.json"
    path.write_text(json.dumps({"backends": [LLM]}))
    filled = {name: value.format(file=path) for name, value in environment.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "gateway"],
        env={"PATH": os.environ["PATH"], **filled},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


class TestTable:
    def test_rows_are_whole(self) -> None:
        """Every row either belongs to the gateway, or says what happens over each kind of its capability."""
        kinds = {"speech": {"whisper"}, "llm": {"openai", "ollama"}}
        for route in TABLE:
            if route.capability is None:
                assert not route.over
                assert not route.upstream_path
            else:
                assert set(route.over) == kinds[route.capability], route.path
                assert route.upstream_path.startswith("/")
                assert "{" not in route.upstream_path

    def test_rows_differ(self) -> None:
        names = [(route.method, route.path) for route in TABLE]
        assert len(set(names)) == len(names)

    def test_jobs_and_administration_are_left_free(self) -> None:
        """The decided collision: /api/v1, /api/admin, /api/audio and /api/diarization are not Ollama's."""
        for path in ("/api/v1/jobs", "/api/admin/status", "/api/audio/transcribe", "/api/diarization/process"):
            with pytest.raises(ServiceError) as caught:
                Router().find("GET", path)
            assert caught.value.status == 404
