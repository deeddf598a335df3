"""What the tests of this folder share: the real Ollama where there is one, and real stacks.

Each stack is started once, and xdist keeps the tests of one stack in one process. `stack` runs llama.cpp and is shared:
a test leaves it as it found it. `either_stack` is that one, and then one over the real Ollama. `frail_stack` is there
to be broken. Tests of starting and stopping bring their own.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import audio, speech
from support.stack import Stack, running

NO_OLLAMA = "no Ollama binary: .ci/build-ollama builds one, AI_TEST_OLLAMA=/path/to/ollama names one"

# fixture -> the group of tests that must share a process, so that the fixture is made once
GROUPS = {"frail_stack": "frail", "ollama_stack": "ollama", "stack": "llama"}
STACK_FOLDERS = tuple(Path(__file__).parent / name for name in ("stack", "snippets", "monitoring"))


# A shell lets its background jobs ignore Ctrl-C, and what we start would inherit that: under `bash .ci/run &` tests of
# Ctrl-C would wait in vain.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a stack, and put the tests of one stack into one process."""
    for item in items:
        if not any(folder in item.path.parents for folder in STACK_FOLDERS):
            continue
        item.add_marker(pytest.mark.stack)
        assert isinstance(item, pytest.Function)
        if "either_stack" in item.fixturenames:
            chosen = item.callspec.params["either_stack"]
            item.add_marker(pytest.mark.xdist_group("ollama" if chosen == "ollama" else "llama"))
            if chosen == "ollama":
                item.add_marker(pytest.mark.ollama)
            continue
        for fixture, group in GROUPS.items():
            if fixture in item.fixturenames:
                item.add_marker(pytest.mark.xdist_group(group))
                if fixture == "ollama_stack":
                    item.add_marker(pytest.mark.ollama)
                break


@pytest.fixture(scope="session")
def ollama_binary() -> Path:
    """The Ollama to test against: AI_TEST_OLLAMA, or the one on PATH. Skips where there is neither."""
    named = os.environ.get("AI_TEST_OLLAMA")
    if named and not os.access(named, os.X_OK):
        pytest.fail(f"AI_TEST_OLLAMA={named} is no program")
    found = named or shutil.which("ollama")
    if not found:
        pytest.skip(NO_OLLAMA)
    return Path(found)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The shared stack over llama.cpp. Leave it as you found it."""
    with running("llama.cpp") as up:
        yield up


@pytest.fixture(scope="session")
def ollama_stack(ollama_binary: Path) -> Iterator[Stack]:
    """The shared stack over the real Ollama."""
    with running("ollama", ollama=ollama_binary) as up:
        yield up


@pytest.fixture(scope="session", params=["llama.cpp", "ollama"])
def either_stack(request: pytest.FixtureRequest) -> Stack:
    """Both kinds of backend, one after the other: what clients see must not depend on it."""
    chosen = request.getfixturevalue("stack" if request.param == "llama.cpp" else "ollama_stack")
    assert isinstance(chosen, Stack)
    return chosen


@pytest.fixture(scope="session")
def frail_stack() -> Iterator[Stack]:
    """A stack of its own for tests that kill parts of it. Each test waits until all is well again."""
    with running("llama.cpp") as up:
        yield up


@pytest.fixture(scope="session")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A short WAV file and the words in it."""
    said = speech.say_sentences(2)
    return audio.write(tmp_path_factory.mktemp("spoken") / "spoken.wav", said.pcm, said.rate), said.text
