"""One request of each kind that the load generator sends: sent, read to its end, and judged by what it holds."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import requests

Form = Literal["openai", "ollama"]
POLL_EVERY_S = 0.5


class Failed(Exception):  # noqa: N818 - a judgement, not an error of this program
    """An answer that a caller would call a failure; `cut` when it began and did not end."""

    def __init__(self, what: str, *, cut: bool = False) -> None:
        super().__init__(what)
        self.cut = cut


@dataclass(frozen=True)
class Upload:
    """A recording to one of the speech routes; `expect` (a regular expression) must be in the text that comes back.

    `then` is for an API that answers with a task: this address, `{task_id}` filled in, is asked until the task's
    `status` is `finished`. `part` is the form's field with the file; `text` names the member of the JSON answer with
    the words, "" takes the whole answer.
    """

    file: str
    expect: str
    path: str = "/transcribe"
    part: str = "file"
    form: dict[str, str] = field(default_factory=dict)
    text: str = "text"
    then: str = ""
    workers: int = 1
    name: str = "transcription"

    def send(self, session: requests.Session, url: str, timeout_s: float) -> requests.Response:
        """The answer, when it is right. Raises Failed."""
        with Path(self.file).open("rb") as opened:
            files = {self.part: (Path(self.file).name, opened, "audio/wav")}
            response = session.post(url + self.path, files=files, data=self.form, timeout=timeout_s)
        members = _checked(response)
        if self.then:
            members = self._await_task(session, url, str(members.get("task_id")), timeout_s)
        said = str(members.get(self.text)) if self.text else response.text
        if not re.search(self.expect, said, re.IGNORECASE):
            raise Failed(f"the text {said[:200]!r} holds no {self.expect!r}")
        return response

    def _await_task(self, session: requests.Session, url: str, task: str, timeout_s: float) -> dict[str, Any]:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            members = _checked(session.get(url + self.then.format(task_id=task), timeout=timeout_s))
            if members.get("status") == "finished":
                return members
            if members.get("status") == "failed":
                raise Failed(f"task {task} failed")
            time.sleep(POLL_EVERY_S)
        raise Failed(f"task {task} was not finished within {timeout_s:.0f} s")


@dataclass(frozen=True)
class Chat:
    """A streamed chat, read to its end: it must be whole and hold some text. `form` is the dialect of the route."""

    model: str
    prompt: str = "What is the capital of France?"
    path: str = "/v1/chat/completions"
    form: Form = "openai"
    max_tokens: int = 16
    workers: int = 1
    name: str = "chat"

    def send(self, session: requests.Session, url: str, timeout_s: float) -> requests.Response:
        """The answer, when it is right. Raises Failed."""
        body: dict[str, Any] = {"model": self.model, "messages": [{"role": "user", "content": self.prompt}]}
        # Left to chance, the smallest of models now and then has nothing to say: that would look like a failure.
        body |= {"stream": True, "max_tokens": self.max_tokens, "temperature": 0}
        if self.form == "ollama":
            body = {**body, "options": {"num_predict": body.pop("max_tokens"), "temperature": body.pop("temperature")}}
        response = session.post(url + self.path, json=body, stream=True, timeout=timeout_s)
        if response.status_code != 200:
            raise Failed(f"status {response.status_code}: {response.text[:200]}")
        try:
            text = (_events if self.form == "openai" else _lines)(response)
        except requests.RequestException as error:
            raise Failed(f"the stream was cut: {_reason(error)}", cut=True) from error
        if not text:
            raise Failed("the stream holds no text")
        return response


@dataclass(frozen=True)
class Get:
    """A cheap look-up."""

    path: str = "/v1/models"
    workers: int = 1
    name: str = "get"

    def send(self, session: requests.Session, url: str, timeout_s: float) -> requests.Response:
        """The answer, when it is right. Raises Failed."""
        response = session.get(url + self.path, timeout=timeout_s)
        if response.status_code != 200:
            raise Failed(f"status {response.status_code}: {response.text[:200]}")
        return response


Kind = Upload | Chat | Get
KINDS: dict[str, type[Upload] | type[Chat] | type[Get]] = {"upload": Upload, "chat": Chat, "get": Get}


def described(error: Exception) -> Failed:
    """What `error` means to a caller."""
    if isinstance(error, Failed):
        return error
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return Failed(f"the answer was cut: {_reason(error)}", cut=True)
    return Failed(f"{type(error).__name__}: {_reason(error)}")


def _reason(error: BaseException) -> str:
    """The innermost exception's words: requests wraps three times."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return f"{error}"[:200] or type(error).__name__


def _checked(response: requests.Response) -> dict[str, Any]:
    if response.status_code != 200:
        raise Failed(f"status {response.status_code}: {response.text[:200]}")
    try:
        members = response.json()
    except ValueError:
        return {}
    return members if isinstance(members, dict) else {}


def _events(response: requests.Response) -> str:
    """The text of an OpenAI stream. Raises Failed where it holds an error or no end."""
    text = ""
    for line in response.iter_lines():
        if not line.startswith(b"data:"):
            continue  # comments and blank lines
        data = line[5:].strip()
        if data == b"[DONE]":
            for _ in response.iter_content(65536):
                pass
            return text
        event = json.loads(data)
        if "error" in event:
            raise Failed(f"the stream says: {json.dumps(event['error'])[:200]}")
        text += "".join((choice.get("delta") or {}).get("content") or "" for choice in event.get("choices", ()))
    raise Failed("the stream ended without [DONE]", cut=True)


def _lines(response: requests.Response) -> str:
    """The text of an Ollama stream. Raises Failed where it holds an error or no end."""
    text = ""
    done = False
    for line in response.iter_lines():
        record = json.loads(line)
        if "error" in record:
            raise Failed(f"the stream says: {record['error'][:200]}")
        text += (record.get("message") or {}).get("content") or record.get("response") or ""
        done = done or record.get("done") is True
    if not done:
        raise Failed("the stream ended without done", cut=True)
    return text
