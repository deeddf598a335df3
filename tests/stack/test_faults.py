"""Every component killed under load: it comes back, nothing queued is lost, and nobody is told something wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
import requests
from support import audio, speech
from support.speech import word_error_rate
from support.stack import Stack, wait_until

# What a client may be told while a part is being replaced. Anything else is either a right answer or a fault of ours.
MAY_BE_SAID = {502, 503, 504}


@dataclass
class Load:
    """Answers that came while something was broken."""

    right: int = 0
    excused: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: requests.Response | requests.RequestException, right: bool) -> None:
        """Count one answer; a cut connection is excused like a 503 is."""
        with self.lock:
            if isinstance(answer, requests.RequestException) or answer.status_code in MAY_BE_SAID:
                self.excused += 1
            elif right:
                self.right += 1
            else:
                self.wrong.append(f"{answer.status_code} {answer.text[:200]}")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """Six files, each with other words, so that a mixed-up answer is seen."""
    folder = tmp_path_factory.mktemp("load")
    found = []
    for number in range(6):
        said = speech.say_sentences(1, first=number)
        found.append((audio.write(folder / f"{number}.wav", said.pcm, said.rate), said.text))
    return found


@pytest.fixture(autouse=True)
def whole_before_and_after(frail_stack: Stack) -> Iterator[None]:
    """Each test begins and ends with a stack that says it is well."""
    wait_until(frail_stack.ready, "the stack is well before the test", 120)
    yield
    wait_until(frail_stack.ready, "the stack is well after the test", 120)


def kill(pid: int) -> None:
    """kill -9."""
    psutil.Process(pid).kill()


def engine_of(stack: Stack) -> psutil.Process:
    """The process that holds the speech model: whisper-api's child with the most memory."""
    children = psutil.Process(stack.component("whisper-api")["pid"]).children(recursive=True)
    assert children, "whisper-api has no child, so the engine is not a process of its own"
    return max(children, key=lambda process: process.memory_info().rss)


@contextmanager
def load(stack: Stack, files: list[tuple[Path, str]]) -> Iterator[Load]:
    """Transcriptions and chats, over and over, while the block runs."""
    seen, over = Load(), threading.Event()
    auth, model = stack.auth, stack.model

    def speak(number: int) -> None:
        while not over.is_set():
            path, words = files[number % len(files)]
            number += 1
            try:
                answer = stack.transcribe(path)
                right = answer.status_code == 200 and word_error_rate(words, answer.json()["text"]) <= 0.35
                seen.note(answer, right)
            except (requests.RequestException, OSError):
                seen.note(requests.ConnectionError(), right=False)
                over.wait(0.2)

    def chat() -> None:
        while not over.is_set():
            try:
                answer = requests.post(
                    f"{stack.url}/v1/chat/completions",
                    headers=auth,
                    json={
                        "model": model,
                        "messages": [{"role": "user", "content": "What is the capital of France?"}],
                        "temperature": 0,
                        "max_tokens": 12,
                    },
                    timeout=120,
                )
                seen.note(answer, answer.status_code == 200 and "Paris" in answer.text)
            except requests.RequestException as error:
                seen.note(error, right=False)
            over.wait(0.1)

    workers = [
        threading.Thread(target=speak, args=(0,)),
        threading.Thread(target=speak, args=(3,)),
        threading.Thread(target=chat),
    ]
    for worker in workers:
        worker.start()
    try:
        wait_until(lambda: seen.right >= 3, "the load runs")
        yield seen
    finally:
        over.set()
        for worker in workers:
            worker.join(120)


@pytest.mark.parametrize("component", ["whisper-api", "llm", "gateway"])
def test_a_killed_component_comes_back(frail_stack: Stack, files: list[tuple[Path, str]], component: str) -> None:
    before = frail_stack.status()["components"]
    pids = {row["name"]: row["pid"] for row in before}
    with load(frail_stack, files) as seen:
        kill(pids[component])

        def replaced() -> bool:
            row = frail_stack.component(component)
            return bool(row["pid"]) and row["pid"] != pids[component] and frail_stack.ready()

        wait_until(replaced, f"{component} is replaced and all is well", 120)
        so_far = seen.right
        wait_until(lambda: seen.right >= so_far + 4, "the load runs again")
    assert seen.wrong == []
    after = {row["name"]: row for row in frail_stack.status()["components"]}
    assert after[component]["pid"] != pids[component]
    assert {name: row["pid"] for name, row in after.items() if name != component} == {
        name: pid for name, pid in pids.items() if name != component
    }


def test_a_killed_engine_loses_no_task(frail_stack: Stack, files: list[tuple[Path, str]]) -> None:
    """S3.2: what runs is tried again, what waits stays in line, and every caller gets his own words."""
    server = frail_stack.component("whisper-api")["pid"]
    engine = engine_of(frail_stack)
    with ThreadPoolExecutor(len(files)) as pool:
        asked: list[tuple[Future[requests.Response], str]] = [
            (pool.submit(frail_stack.transcribe, path), words) for path, words in files
        ]
        wait_until(lambda: _waiting(frail_stack) >= 2, "tasks wait in line", 30)
        engine.kill()
        answers = [(future.result(), words) for future, words in asked]
    assert [answer.status_code for answer, _ in answers] == [200] * len(files)
    for answer, words in answers:
        assert word_error_rate(words, answer.json()["text"]) <= 0.35
    assert engine_of(frail_stack).pid != engine.pid
    assert frail_stack.component("whisper-api")["pid"] == server


def test_speech_lives_while_the_model_is_dead(frail_stack: Stack, files: list[tuple[Path, str]]) -> None:
    """One part down is one part down: the front door says which, with Retry-After, and the other part answers."""
    stopped = psutil.Process(frail_stack.component("llm")["pid"])
    kill(stopped.pid)
    refused = requests.post(
        f"{frail_stack.url}/v1/chat/completions",
        headers=frail_stack.auth,
        json={"model": frail_stack.model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2},
        timeout=120,
    )
    assert refused.status_code in {200, 503}
    if refused.status_code == 503:
        assert int(refused.headers["Retry-After"]) > 0
        assert "llm" in refused.json()["error"]["message"]
    path, words = files[0]
    answer = frail_stack.transcribe(path)
    assert answer.status_code == 200
    assert word_error_rate(words, answer.json()["text"]) <= 0.35


def _waiting(stack: Stack) -> int:
    found = requests.get(f"{stack.url}/queue/status", headers=stack.auth, timeout=30).json()
    return int(found["waiting"])
