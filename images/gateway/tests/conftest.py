"""Gateways in front of backends that do as the test says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from dialects.house import House, house_over


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """In front of whisper-api and an OpenAI-speaking backend; small limits of size."""
    with house_over(tmp_path_factory.mktemp("house"), MAX_JSON_MIB="1", MAX_UPLOAD_MIB="300") as running:
        yield running


@pytest.fixture(scope="module")
def ollama_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """In front of whisper-api and an Ollama-speaking backend."""
    with house_over(tmp_path_factory.mktemp("ollama-house"), "ollama") as running:
        yield running


@pytest.fixture(scope="module")
def impatient_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Every phase may take a second."""
    with house_over(
        tmp_path_factory.mktemp("impatient-house"),
        CLIENT_BODY_TIMEOUT_S="1",
        UPSTREAM_CONNECT_TIMEOUT_S="1",
        UPSTREAM_FIRST_BYTE_TIMEOUT_S="1",
        UPSTREAM_IDLE_TIMEOUT_S="1",
        MAX_UPLOAD_MIB="32",
    ) as running:
        yield running


@pytest.fixture(scope="module")
def house_without_admins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """No ADMIN_KEYS_FILE."""
    with house_over(tmp_path_factory.mktemp("house-without-admins"), ADMIN_KEYS_FILE="") as running:
        yield running


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
