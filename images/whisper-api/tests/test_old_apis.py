"""The routes of other people's Whisper APIs, held to what is recorded of them, and to those services themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from host.lab.old.locally import caller
from host.lab.old.recorded import Caller, Case, cases
from support.whisper import WhisperServer, whisper_server

# A request takes up what an earlier one was answered: one process for all of them, in their order.
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("old-apis")]
OURS = ("asr", "speaches", "whisper_api")


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WhisperServer]:
    """Our service with all of them switched on."""
    with whisper_server(tmp_path_factory.mktemp("old"), OLD_API=",".join(OURS)) as running:
        yield running


@pytest.fixture(scope="module")
def callers(ours: WhisperServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Caller]:
    """One caller of each, with the key that the gateway sends."""
    folder = tmp_path_factory.mktemp("callers")
    return {api: caller(ours.url, folder, ours.headers) for api in (*OURS, "seed")}


@pytest.mark.promise("S0.7")
@pytest.mark.parametrize("case", [case for api in OURS for case in cases(api)], ids=str)
def test_callers_of_an_old_api_see_no_change(callers: dict[str, Caller], case: Case) -> None:
    assert callers[case.api].differences(case) == []
