"""The compose file of a host: every service shut in, nothing published beyond 127.0.0.1 (S0.6, S0.12, B.4)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ai_stack.releases import plan

from ai_services import __version__
from host.stack_render import Rendered, render

pytestmark = pytest.mark.long

GPU = {"accelerator": "nvidia", "whisper": {"compute_type": "int8", "image_variant": "cuda"}}
CASES: dict[str, dict[str, Any]] = {
    "cpu": {},
    "cdi": {"ai_plan": {**GPU, "gpu_mode": "cdi"}, "ai_profiles": ["monitoring"]},
    "reservation": {"ai_plan": {**GPU, "gpu_mode": "reservation"}},
    "monitoring": {"ai_profiles": ["monitoring"], "ai_grafana_port": 3333},
    "limits": {"ai_gateway_memory_mib": 0, "ai_ollama_memory_mib": 4096, "ai_pids_limit": 99},
    "settings": {"ai_whisper_unload_after_s": 0, "ai_max_upload_mib": 77, "ai_max_json_mib": 5,
                 "ai_max_task_queue_size": 3, "ai_upstream_idle_timeout_s": 61,
                 "ai_whisper_model": "Systran/faster-whisper-small"},
    "old engine": {"ai_stack_images_found": {"api": "1.43"}},
    "authority": {"ai_extra_ca_file": "AUTHORITY"},
}  # fmt: skip
SERVICES = {
    "cpu": {"gateway", "whisper-api", "ollama"},
    "cdi": {"gateway", "whisper-api", "ollama", "prometheus", "grafana", "node-exporter", "gpu-exporter"},
    "monitoring": {"gateway", "whisper-api", "ollama", "prometheus", "grafana", "node-exporter"},
}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """Every case, rendered once."""
    folder = tmp_path_factory.mktemp("rendered")
    authority = folder / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----\n")
    cases = {
        name: {k: str(authority) if v == "AUTHORITY" else v for k, v in case.items()} for name, case in CASES.items()
    }
    return render(folder, cases)


def every_service(rendered: dict[str, Rendered]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(case, name, service) for case, r in rendered.items() for name, service in r.compose["services"].items()]


@pytest.mark.parametrize("case", SERVICES)
def test_a_host_runs_what_was_asked_for_and_no_more(rendered: dict[str, Rendered], case: str) -> None:
    assert set(rendered[case].compose["services"]) == SERVICES[case]


@pytest.mark.promise("S0.12")
def test_every_service_is_shut_in(rendered: dict[str, Rendered]) -> None:
    for case, name, service in every_service(rendered):
        where = f"{name} ({case})"
        assert re.fullmatch(r"[1-9]\d*:\d+", service["user"]), f"{where} runs as root"
        assert service["read_only"] is True, where
        assert service["cap_drop"] == ["ALL"], where
        assert "cap_add" not in service, where
        assert "privileged" not in service, where
        assert service["security_opt"] == ["no-new-privileges:true"], where
        assert service["pids_limit"] > 0, where
        assert service["restart"] == "unless-stopped", where
        assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}, where
        assert service["healthcheck"]["test"][0] == "CMD", where
        assert service["image"].count("@sha256:") == 1, f"{where} is not pinned"
        # The gateway has none: a new one starts beside the old.
        assert service.get("container_name") == (None if name == "gateway" else name), where
        for mount in service.get("tmpfs", []):
            assert "noexec,nosuid,nodev" in mount, where
            assert "size=" in mount, where


@pytest.mark.promise("S0.12")
def test_only_gateway_and_grafana_are_published_and_only_to_the_host_itself(rendered: dict[str, Rendered]) -> None:
    published = {name for _, name, service in every_service(rendered) if "ports" in service}
    assert published == {"gateway", "grafana"}
    for case, name, service in every_service(rendered):
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), f"{name} ({case})"
        assert "network_mode" not in service
    assert rendered["monitoring"].compose["services"]["grafana"]["ports"] == ["127.0.0.1:3333:3000"]


def test_ollama_which_asks_nobody_for_a_key_is_met_by_the_gateway_alone(rendered: dict[str, Rendered]) -> None:
    for case, r in rendered.items():
        neighbours = {name for name, service in r.compose["services"].items() if "llm" in service["networks"]}
        assert neighbours == {"gateway", "ollama"}, case


def test_no_secret_is_in_the_environment(rendered: dict[str, Rendered]) -> None:
    for case, name, service in every_service(rendered):
        for variable, value in service.get("environment", {}).items():
            if re.search(r"KEY|TOKEN|PASSWORD|SECRET", variable):
                assert str(value).startswith("/run/secrets/"), f"{variable} of {name} ({case})"
    for r in rendered.values():
        files = {secret["file"] for secret in r.compose["secrets"].values()}
        owners = [path.split("/")[4] for path in files]
        assert all(path.startswith("/opt/ai/secrets/") for path in files)
        assert set(owners) <= set(r.compose["services"]), "a secret is copied for a service that does not run"


@pytest.mark.promise("B.4")
@pytest.mark.parametrize(("case", "device"), [
    ("cdi", {"driver": "cdi", "device_ids": ["nvidia.com/gpu=all"], "capabilities": ["gpu"]}),
    ("reservation", {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}),
])  # fmt: skip
def test_on_a_gpu_host_engines_get_the_gpu_and_the_gateway_does_not(
    rendered: dict[str, Rendered], case: str, device: dict[str, Any]
) -> None:
    services = rendered[case].compose["services"]
    for name in {"whisper-api", "ollama", "gpu-exporter"} & set(services):
        assert services[name]["deploy"]["resources"]["reservations"]["devices"] == [device], name
    assert "deploy" not in services["gateway"]
    assert services["whisper-api"]["environment"]["COMPUTE_TYPE"] == "int8"
    assert services["whisper-api"]["image"].startswith(f"ghcr.io/octo-org/whisper-api:{__version__}-cuda@")


@pytest.mark.promise("B.4")
def test_a_host_without_gpu_has_no_word_of_one(rendered: dict[str, Rendered]) -> None:
    assert "deploy" not in rendered["cpu"].files["compose.yaml"]
    whisper = rendered["cpu"].compose["services"]["whisper-api"]
    assert whisper["environment"]["USE_GPU_IF_AVAILABLE"] == "false"
    assert whisper["image"].startswith(f"ghcr.io/octo-org/whisper-api:{__version__}@")
    assert "gpu-exporter" not in rendered["monitoring"].config["prometheus"]["prometheus.yml"]


def test_limits_are_as_asked_for_and_zero_is_none(rendered: dict[str, Rendered]) -> None:
    services = rendered["limits"].compose["services"]
    assert "mem_limit" not in services["gateway"]
    assert services["ollama"]["mem_limit"] == "4096m"
    assert {service["pids_limit"] for service in services.values()} == {99}
    assert rendered["cpu"].compose["services"]["gateway"]["mem_limit"] == "1024m"


def test_settings_reach_the_services_under_their_own_names(rendered: dict[str, Rendered]) -> None:
    gateway, whisper = (
        rendered["settings"].compose["services"][name]["environment"] for name in ("gateway", "whisper-api")
    )
    assert (gateway["MAX_UPLOAD_MIB"], gateway["MAX_JSON_MIB"], gateway["UPSTREAM_IDLE_TIMEOUT_S"]) == ("77", "5", "61")
    assert (whisper["MAX_UPLOAD_MIB"], whisper["MAX_TASK_QUEUE_SIZE"], whisper["UNLOAD_MODEL_AFTER_S"]) == (
        "77",
        "3",
        "0",
    )
    assert "UNLOAD_MODEL_AFTER_S" not in rendered["cpu"].compose["services"]["whisper-api"]["environment"]
    backends = json.loads(rendered["settings"].config["gateway"]["backends.json"])["backends"]
    assert backends[0]["models"] == ["small"], "the gateway calls the model as whisper-api does"


def test_every_setting_that_is_given_to_a_service_is_one_that_it_reads(rendered: dict[str, Rendered]) -> None:
    from gateway.settings import GatewaySettings
    from whisper_api.settings import WhisperSettings

    elsewhere = {"HF_HOME", "HF_HUB_OFFLINE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"}
    for name, model in (("gateway", GatewaySettings), ("whisper-api", WhisperSettings)):
        known = {field.upper() for field in model.model_fields} | elsewhere
        for case in rendered:
            assert set(rendered[case].compose["services"][name]["environment"]) <= known, f"{name} ({case})"


def test_a_service_has_more_time_to_stop_than_it_takes_for_its_last_requests(rendered: dict[str, Rendered]) -> None:
    for name in ("gateway", "whisper-api"):
        service = rendered["cpu"].compose["services"][name]
        assert int(service["stop_grace_period"].rstrip("s")) > int(service["environment"]["SHUTDOWN_GRACE_S"])


def test_an_extra_authority_reaches_every_service_that_calls_outside(rendered: dict[str, Rendered]) -> None:
    services = rendered["authority"].compose["services"]
    for name in ("whisper-api", "ollama"):
        assert services[name]["environment"]["SSL_CERT_FILE"] == "/etc/ssl/certs/ca-certificates.crt"
        assert "/etc/ssl/certs/ca-certificates.crt:/etc/ssl/certs/ca-certificates.crt:ro" in services[name]["volumes"]
    assert "SSL_CERT_FILE" not in rendered["cpu"].files["compose.yaml"]


def test_engines_that_do_not_know_a_start_interval_are_not_told_one(rendered: dict[str, Rendered]) -> None:
    assert "start_interval" not in rendered["old engine"].files["compose.yaml"]
    assert rendered["cpu"].compose["services"]["gateway"]["healthcheck"]["start_interval"] == "1s"


@pytest.mark.parametrize("case", CASES)
def test_docker_compose_takes_it(rendered: dict[str, Rendered], case: str, tmp_path: Path) -> None:
    """With the compose that this machine has; tests/host/test_stack.py asks Debian's own on a host."""
    docker = shutil.which("docker")
    if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not here; the hosts of the lab have it, and take the file there")
    whole = plan(tmp_path, rendered[case].files, rendered[case].config)
    for name, content in whole.files.items():
        (tmp_path / name).write_text(content)
    done = subprocess.run(
        [docker, "compose", "--project-directory", str(tmp_path), "config", "--format", "json"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["services"]) == set(rendered[case].compose["services"])
