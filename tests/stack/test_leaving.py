"""B.7: a client that leaves stops the language model's work, before its first token too."""

from __future__ import annotations

import json
import socket

import psutil
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
    connection = socket.create_connection(("127.0.0.1", stack.port), timeout=60)
    connection.sendall(
        f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {stack.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    wait_until(lambda: _busy(stack), "the model works", 60)
    if streamed:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
    connection.close()
    wait_until(lambda: not _busy(stack), "the model rests", 40)
    answer = requests.post(
        f"{stack.url}/v1/completions",
        headers=stack.auth,
        json={"model": stack.model, "prompt": "Hello", "max_tokens": 2},
        timeout=60,
    )
    assert answer.status_code == 200


def _busy(stack: Stack) -> bool:
    process = psutil.Process(stack.component("llm")["pid"])
    process.cpu_percent()
    return process.cpu_percent(interval=1.0) > 50
