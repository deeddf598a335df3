"""Real services under constant load: an old one with real speech, our whisper-api, and a gateway that swaps them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from dialects.harness import ADMIN_KEY, KEY, GatewayProcess, await_answer, free_port, gateway, stop
from host.lab.old import locally
from host.load import Get, Load, Plan, Upload
from support.whisper import KEY as WHISPER_KEY
from support.whisper import whisper_server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("takeover-live"), pytest.mark.timeout(600)]

ADMIN = {"Authorization": f"Bearer {ADMIN_KEY}"}


def admin(house: GatewayProcess, method: str, path: str, **members: Any) -> dict[str, Any]:
    answer = requests.request(
        method, f"{house.url}/api/admin/backends{path}", headers=ADMIN, json=members or None, timeout=30
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@contextlib.contextmanager
def old_service(port: int, folder: Path) -> Iterator[None]:
    """A service of before, of the first version's API, up and able to transcribe."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(locally.TESTS),
        "OLD_MODEL": str(locally.MODEL_FOLDER),
        "OLD_THREADS": "1",
    }
    log = folder / "old.log"
    with log.open("ab") as opened:
        process = subprocess.Popen(
            [sys.executable, "-m", "host.lab.old.old_service", "seed", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=opened,
            stderr=opened,
        )
    try:
        await_answer(f"http://127.0.0.1:{port}/openapi.json", process, log)
        yield
    finally:
        stop(process)


def test_no_transcription_fails_while_ours_takes_over_and_gives_back(tmp_path: Path) -> None:
    """A migration and its rollback, as the steps do it: pause, wait until idle, exchange, prove, resume."""
    recording = tmp_path / "sentence.wav"
    recording.write_bytes(locally.files(tmp_path)["wav"])
    key_file = tmp_path / "internal.key"
    key_file.write_text(WHISPER_KEY + "\n")
    old_port, our_port = free_port(), free_port()
    line = {
        "name": "whisper-api",
        "kind": "whisper",
        "url": f"http://127.0.0.1:{our_port}",
        "api_key_file": str(key_file),
        "models": ["tiny.en"],
        "standby": {"url": f"http://127.0.0.1:{old_port}", "api": "seed"},
    }
    kinds = (Upload(str(recording), "window"), Get("/queue/status"))
    with contextlib.ExitStack() as old, gateway(tmp_path / "gateway", [line]) as house:
        old.enter_context(old_service(old_port, tmp_path))

        def pause_until_idle() -> None:
            while admin(house, "POST", "/whisper-api/pause", owner="test", why="exchange", lease_s=120)["in_flight"]:
                time.sleep(0.05)

        def proven_and_resumed() -> bool:
            with recording.open("rb") as opened:
                answer = requests.post(f"{house.url}/transcribe", headers=ADMIN, files={"file": opened}, timeout=120)
            assert answer.status_code == 200, answer.text
            active: bool = admin(house, "POST", "/whisper-api/resume", owner="test")["standby"]["active"]
            return active

        with Load(Plan(house.url, kinds, key=KEY, timeout_s=300)) as load:
            load.until_each(2)
            pause_until_idle()
            old.close()
            with whisper_server(tmp_path, PORT=str(our_port)):
                assert proven_and_resumed() is False
                load.until_each(2)
                pause_until_idle()
            with old_service(old_port, tmp_path):
                assert proven_and_resumed() is True
                load.until_each(2)
                load.stop()  # while there is somebody to answer
    load.result.assert_no_failure(least=6)
