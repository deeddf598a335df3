"""What is recorded of the old services tells one from another; that ours in the lab answer so, dialects/ asks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from host.lab.old.locally import caller, old_service
from host.lab.old.recorded import APIS, Caller, cases

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def callers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Caller]]:
    """A caller of each API, each with its service behind it."""
    folder = tmp_path_factory.mktemp("old")
    with contextlib.ExitStack() as stack:
        yield {api: caller(stack.enter_context(old_service(api, folder)), folder) for api in APIS}


def test_the_tables_notice_another_answer(callers: dict[str, Caller]) -> None:
    """Each API, asked what another one is asked."""
    asr, speaches = callers["asr"], callers["speaches"]
    assert Caller(asr.url, asr.files, "seven other words nobody ever said here").differences(cases("asr")[0])
    assert Caller(speaches.url, speaches.files, speaches.said).differences(cases("asr")[0])
    assert Caller(callers["seed"].url, asr.files, asr.said).differences(cases("whisper_api")[0])
