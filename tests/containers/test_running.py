"""How the images behave where they run: read-only, without rights, healthy by real work, gone when told."""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

import pytest
import requests

from .conftest import MODEL, TOP, WHISPER_PORT
from .daemon import KEY, Running, running

pytestmark = pytest.mark.host

SAMPLE = TOP / "src/ai_services/local/sample.ogg"
GRACE_S = 40


@pytest.mark.promise("B.6")
def test_speech_becomes_text_through_both_images(gateway: Running, whisper: Running) -> None:
    with SAMPLE.open("rb") as sound:
        answer = gateway.post("/transcribe", files={"file": ("sample.ogg", sound)})
    assert answer.status_code == 200, answer.text
    assert "remember to close the window" in answer.json()["text"]
    assert "transcribed" in whisper.log


@pytest.mark.promise("S0.12")
def test_nobody_is_served_without_a_key(gateway: Running) -> None:
    assert requests.get(gateway.url + "/v1/models", timeout=10).status_code == 401
    assert (
        requests.get(gateway.url + "/v1/models", headers={"Authorization": "Bearer x"}, timeout=10).status_code == 401
    )
    assert requests.get(gateway.url + "/readyz", timeout=10).status_code == 200
    assert KEY not in str(gateway.container.attrs)
    assert KEY not in gateway.log


@pytest.mark.promise("S0.12")
@pytest.mark.parametrize(("service", "user"), [("gateway", "10001"), ("whisper", "10002")])
def test_a_container_has_no_rights(service: str, user: str, request: pytest.FixtureRequest) -> None:
    container: Running = request.getfixturevalue(service)
    for process in container.run("cd /proc && ls -d [0-9]*").split():
        try:
            status = container.run(f"cat /proc/{process}/status")
        except AssertionError:
            continue  # it was the listing's own
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [user] * 4
        assert int(fields["CapEff"], 16) == 0
        assert fields["NoNewPrivs"] == "1"
    assert "Read-only file system" in container.attempt("sh", "-c", "echo > /opt/app/x")[1]


@pytest.mark.promise("B.2")
def test_orphans_are_taken_in(whisper: Running) -> None:
    """A decoder that is killed leaves children behind; whoever adopts them must not collect their corpses."""
    whisper.run("(sleep 0.2 & sleep 0.1 &) ; (sleep 0.1 &)")
    assert whisper.attempt("python", "-c", _KILL_DECODER) == (0, "")
    with SAMPLE.open("rb") as sound:
        assert whisper.post("/transcribe", files={"file": sound}).status_code == 200
    states = whisper.run("cat /proc/[0-9]*/stat 2>/dev/null | cut -d ' ' -f 2,3")
    assert "dumb-init" in states
    assert " Z" not in states


_KILL_DECODER = """
import os, pathlib, signal
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if b"whisper_api.decoder_process" in path.read_bytes():
        os.kill(int(path.parent.name), signal.SIGKILL)
        raise SystemExit(0)
raise SystemExit("no decoder runs")
"""


@pytest.mark.promise("B.2")
def test_health_says_why_it_is_bad(speech_image: str, key_file: Path, tmp_path: Path) -> None:
    """A model that is not one: the service answers, and is not healthy."""
    tmp_path.chmod(0o755)
    (tmp_path / "broken").mkdir(mode=0o755)
    files = {"/models/broken": tmp_path / "broken", "/run/secrets/api.key": key_file}
    settings = {"WHISPER_MODEL": "/models/broken", "API_KEYS_FILE": "/run/secrets/api.key"}
    with running(speech_image, WHISPER_PORT, files=files, **settings) as container:
        container.wait_until(lambda: container.health["Log"] and "model.bin" in container.health["Log"][-1]["Output"])
        assert container.health["Status"] != "healthy"
        assert container.health["Log"][-1]["ExitCode"] == 1


@pytest.mark.promise("B.2")
def test_health_does_not_load_a_model_that_shall_wait(speech_image: str, key_file: Path) -> None:
    files = {"/models/tiny.en": MODEL, "/run/secrets/api.key": key_file}
    settings = {
        "WHISPER_MODEL": "/models/tiny.en",
        "API_KEYS_FILE": "/run/secrets/api.key",
        "LOAD_MODEL_ON_STARTUP": "0",
    }
    with running(speech_image, WHISPER_PORT, files=files, **settings) as container:
        container.wait_healthy()
        engine = requests.get(container.url + "/health", timeout=10).json()["engine"]
        assert (engine["state"], engine["pid"]) == ("stopped", None)


@pytest.mark.promise("B.2")
def test_a_stopped_container_finishes_its_work_and_ends_with_success(speech_image: str, key_file: Path) -> None:
    files = {"/models/tiny.en": MODEL, "/run/secrets/api.key": key_file}
    settings = {"WHISPER_MODEL": "/models/tiny.en", "API_KEYS_FILE": "/run/secrets/api.key", "SHUTDOWN_GRACE_S": "30"}
    arrived = threading.Event()
    with (
        running(speech_image, WHISPER_PORT, files=files, **settings) as container,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
    ):
        container.wait_healthy()
        url = container.url

        def ask() -> requests.Response:
            with SAMPLE.open("rb") as sound:
                arrived.set()
                return requests.post(
                    url + "/transcribe",
                    files={"file": sound},
                    headers={"Authorization": f"Bearer {KEY}"},
                    timeout=60,
                )

        asked = pool.submit(ask)
        arrived.wait()
        container.wait_until(lambda: _running_now(container), 10)
        status, took_s = container.stop(GRACE_S)
        assert asked.result().status_code == 200
        assert status == 0
        assert took_s < 30


@pytest.mark.promise("B.2")
def test_an_idle_gateway_ends_at_once(gateway_image: str, key_file: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    backends = tmp_path / "backends.json"
    backends.write_text('{"backends": []}')
    files = {"/etc/gateway/backends.json": backends, "/run/secrets/api.key": key_file}
    settings = {"BACKENDS_FILE": "/etc/gateway/backends.json", "API_KEYS_FILE": "/run/secrets/api.key"}
    with running(gateway_image, 8080, files=files, **settings) as container:
        container.wait_healthy()
        status, took_s = container.stop(GRACE_S)
        assert status == 0
        assert took_s < 30, "with nothing to finish, the grace time is not waited for"


@pytest.mark.promise("S0.12")
def test_a_wrong_setting_ends_the_container_with_a_sentence(gateway_image: str) -> None:
    with running(gateway_image, 8080, MAX_JSON_MIB="plenty", BACKENDS_FILE="/nowhere") as container:
        assert container.container.wait()["StatusCode"] == 2
        assert container.log.startswith("MAX_JSON_MIB: ")


def _running_now(container: Running) -> bool:
    headers = {"Authorization": f"Bearer {KEY}"}
    status = requests.get(container.url + "/queue/status", headers=headers, timeout=10).json()
    return bool(status["running"])
