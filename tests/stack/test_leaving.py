"""B.7: a client that leaves stops the language model's work, before its first token too."""

from __future__ import annotations

import json
import re
import socket

import pytest
import requests
from support.stack import Stack, wait_until

# Minutes of work on this kind of machine: that it stops within seconds is no coincidence.
MUCH = {"prompt": "One, two, three,", "max_tokens": 7000, "ignore_eos": True, "temperature": 0}


@pytest.fixture(params=["streamed", "whole"])
def streamed(request: pytest.FixtureRequest) -> bool:
    """Whether the answer is asked for as a stream."""
    return bool(request.param == "streamed")


@pytest.mark.promise("B.7")
def test_the_model_rests_when_its_client_left(stack: Stack, streamed: bool) -> None:
    body = json.dumps({"model": stack.model, "stream": streamed, **MUCH}).encode()
    wait_until(lambda: _working(stack) == 0, "the model rests before the test")
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as connection:
        connection.sendall(
            f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {stack.key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_until(lambda: _working(stack) == 1, "the model works")
        if streamed:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: _working(stack) == 0, "the model rests", 60)
    answer = requests.post(
        f"{stack.url}/v1/completions",
        headers=stack.auth,
        json={"model": stack.model, "prompt": "Hello", "max_tokens": 2},
        timeout=60,
    )
    assert answer.status_code == 200


def _working(stack: Stack) -> int:
    """Requests that llama.cpp computes at this moment, in its own words."""
    internal = (stack.home / "secrets" / "internal.key").read_text().split()[0]
    metrics = requests.get(
        f"http://127.0.0.1:{stack.component('llm')['port']}/metrics",
        headers={"Authorization": f"Bearer {internal}"},
        timeout=30,
    ).text
    (told,) = re.findall(r"^llamacpp:requests_processing (\d+)", metrics, re.MULTILINE)
    return int(told)
