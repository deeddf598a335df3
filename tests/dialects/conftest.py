"""Gateways over every kind of backend that this machine can run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dialects import harness


@pytest.fixture(scope="session")
def llama_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with harness.llama_cpp(tmp_path_factory.mktemp("llama")) as line:
        yield line


@pytest.fixture(scope="session")
def ollama_line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    binary = harness.find_ollama()
    if binary is None:
        pytest.skip(harness.NO_OLLAMA)
    with harness.ollama(binary, tmp_path_factory.mktemp("ollama")) as line:
        yield line


@pytest.fixture(scope="session")
def over_llama(llama_line: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with harness.gateway(tmp_path_factory.mktemp("gateway"), [llama_line]) as running:
        yield running.url


@pytest.fixture(scope="session")
def over_ollama(ollama_line: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with harness.gateway(tmp_path_factory.mktemp("gateway"), [ollama_line]) as running:
        yield running.url


BOTH = (
    pytest.param("llama.cpp", marks=pytest.mark.xdist_group("dialects-llama")),
    pytest.param("ollama", marks=[pytest.mark.xdist_group("dialects-ollama"), pytest.mark.ollama]),
)


@pytest.fixture(scope="session", params=BOTH)
def door(request: pytest.FixtureRequest) -> str:
    """The URL of a gateway; every test that asks for it runs over llama.cpp and over Ollama."""
    url: str = request.getfixturevalue("over_llama" if request.param == "llama.cpp" else "over_ollama")
    return url
