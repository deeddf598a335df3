"""S0.10: the commands that the documentation prints work on a deployed host, as printed, for who logs in by SSH.

Those of the certificate are in test_front.py, those of the GPU in test_nvidia.py.
"""

from __future__ import annotations

import json

import pytest

from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("S0.10"), pytest.mark.timeout(600)]

FOLLOW = "timeout --preserve-status -s INT 3 "  # who follows a log ends it with Ctrl-C


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("cd /opt/ai && docker compose ps", "gateway"),
        (f"cd /opt/ai && {FOLLOW}docker compose logs -f whisper-api", "whisper-api"),
        (f"cd /opt/ai && {FOLLOW}docker compose logs -f ollama", "ollama"),
        ("docker exec ollama ollama list", "gemma3:270m"),
        (f"{FOLLOW}docker logs ollama -f 2>&1", "Listening"),
    ],
    ids=lambda value: value.replace(FOLLOW, "") if " " in value else "",
)
def test_a_printed_command_works(deployed_host: Deployed, command: str, says: str) -> None:
    done = deployed_host.ssh().run(command)
    assert done.rc in ((0, 130) if FOLLOW in command else (0,)), f"{done.rc}: {done.stdout}{done.stderr}"
    assert says in done.stdout + done.stderr


def test_a_model_is_pulled_by_hand(deployed_host: Deployed) -> None:
    """Removed first, so that something is really fetched."""
    shell, model = deployed_host.ssh(), deployed_host.operator.settings["ai_ollama_model"]
    assert shell.run(f"docker exec ollama ollama rm {model}").rc == 0
    done = shell.run(f"docker exec ollama ollama pull {model}")
    assert done.rc == 0, done.stderr[-600:]
    assert model in shell.run("docker exec ollama ollama list").stdout


def test_a_model_is_warmed_by_hand(deployed_host: Deployed) -> None:
    model = deployed_host.operator.settings["ai_ollama_model"]
    body = json.dumps({"model": model, "prompt": "Hi", "stream": False})
    answer = deployed_host.curl("/generate", "-X", "POST", "-d", body)
    assert json.loads(answer.text)["done"] is True
