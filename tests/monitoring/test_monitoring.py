"""The profile `monitoring`: rules that speak when they should, and no panel that is empty by mistake (S2.5)."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from host.stack_render import Rendered, render
from support.stack import Stack, free_port, wait_until

from monitoring import tools

ROOT = Path(__file__).parents[2]
DASHBOARDS = ROOT / "bootstrap" / "ai" / "monitoring" / "grafana"
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def programs() -> Path:
    """Folder of the real prometheus, promtool and node exporter."""
    found = tools.folder()
    if found is None:
        pytest.skip("no Prometheus here and no apt to fetch Debian's: the rules and dashboards were not asked anything")
    return found


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """What a GPU host with monitoring gets."""
    plan = {"accelerator": "nvidia", "gpu_mode": "cdi", "whisper": {"compute_type": "int8", "image_variant": "cuda"}}
    case = {"ai_profiles": ["monitoring"], "ai_plan": plan}
    return render(tmp_path_factory.mktemp("monitoring"), {"gpu": case})["gpu"]


def panels() -> list[Any]:
    """Every query of every dashboard, named by where it stands."""
    return [
        pytest.param(target["expr"], id=f"{path.stem}: {panel['title']} {target['refId']}")
        for path in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(path.read_text())["panels"]
        for target in panel["targets"]
    ]


def test_the_configuration_and_the_rules_are_taken_by_prometheus(
    programs: Path, rendered: Rendered, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("x")
    for name, text in rendered.config["prometheus"].items():
        (tmp_path / name).write_text(text.replace("/run/secrets/scrape_key", str(key)))
    done = subprocess.run(
        [str(programs / "promtool"), "check", "config", str(tmp_path / "prometheus.yml")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "12 rules found" in done.stdout


def test_each_alert_speaks_when_it_should_and_only_then(programs: Path, tmp_path: Path) -> None:
    shutil.copy(ROOT / "bootstrap" / "ai" / "monitoring" / "rules.yml", tmp_path)
    shutil.copy(HERE / "alerts.yml", tmp_path)
    done = subprocess.run(
        [str(programs / "promtool"), "test", "rules", "alerts.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_says_what_to_do() -> None:
    groups = yaml.safe_load((ROOT / "bootstrap" / "ai" / "monitoring" / "rules.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["annotations"].keys() == {"summary", "action"}, rule["alert"]
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_the_services_are_asked_with_a_key_of_prometheus_own(rendered: Rendered) -> None:
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load(rendered.config["prometheus"]["prometheus.yml"])["scrape_configs"]
    }
    for name in ("gateway", "whisper-api"):
        assert jobs[name]["authorization"] == {"credentials_file": "/run/secrets/scrape_key"}
    assert jobs.keys() == {"gateway", "whisper-api", "node", "gpu", "prometheus"}
    assert rendered.compose["services"]["prometheus"]["secrets"] == [
        {"source": "prometheus_key", "target": "scrape_key"}
    ]


def test_grafana_finds_its_source_and_every_dashboard(rendered: Rendered) -> None:
    files = rendered.config["grafana"]
    source = yaml.safe_load(files["datasources/prometheus.yml"])["datasources"][0]
    boards = {name: json.loads(text) for name, text in files.items() if name.endswith(".json")}
    assert len({board["uid"] for board in boards.values()}) == len(boards) == 3
    for board in boards.values():
        numbers = [panel["id"] for panel in board["panels"]]
        assert len(set(numbers)) == len(numbers)
        for panel in board["panels"]:
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {source["uid"]}
    mounted = "/etc/grafana/provisioning"
    environment = rendered.compose["services"]["grafana"]["environment"]
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].removeprefix(mounted + "/")
    assert home in files


# -- a real Prometheus asks the real services -------------------------------------------------------------------------


class _Recorded(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = (HERE / "gpu_metrics.txt").read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def prometheus(
    programs: Path, rendered: Rendered, stack: Stack, spoken: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of a Prometheus with the product's configuration; only where things are is another than on a host."""
    folder = tmp_path_factory.mktemp("prometheus")
    exporter_port, port = free_port(), free_port()
    gpu = ThreadingHTTPServer(("127.0.0.1", 0), _Recorded)
    threading.Thread(target=gpu.serve_forever, daemon=True).start()
    keys = {"gateway": folder / "gateway.key", "whisper-api": folder / "whisper.key"}
    keys["gateway"].write_text(stack.key)
    keys["whisper-api"].write_text((stack.home / "secrets" / "internal.key").read_text().split()[0])
    places = {
        "gateway": str(stack.port), "whisper-api": str(stack.component("whisper-api")["port"]),
        "node": str(exporter_port), "gpu": str(gpu.server_address[1]), "prometheus": str(port),
    }  # fmt: skip
    wanted = yaml.safe_load(rendered.config["prometheus"]["prometheus.yml"])
    wanted["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for job in wanted["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{places[job['job_name']]}"]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(keys[job["job_name"]])
    (folder / "prometheus.yml").write_text(yaml.safe_dump(wanted))
    (folder / "rules.yml").write_text(rendered.config["prometheus"]["rules.yml"])
    with (folder / "log").open("wb") as log:
        start = partial(subprocess.Popen[bytes], stdout=log, stderr=log, cwd=folder)
        exporter = start(
            [str(programs / "prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{exporter_port}"]
        )
        server = start([
            str(programs / "prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            f"--web.listen-address=127.0.0.1:{port}",
        ])  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: all(value == 1 for value in ask(url, "up")) and len(ask(url, "up")) == 5, "all five are up")
        # A rate needs two looks with something between them.
        for _ in range(2):
            heard = partial(ask, url, "sum(whisper_audio_seconds_total)")
            before = heard()
            assert stack.transcribe(spoken[0]).status_code == 200
            requests.post(f"{stack.url}/generate", json={"model": stack.model, "prompt": "Hi", "stream": False},
                          headers=stack.auth, timeout=120)  # fmt: skip
            requests.get(f"{stack.url}/nowhere", headers=stack.auth, timeout=10)
            wait_until(partial(_differs, heard, before), "it was seen")
        yield url
    finally:
        for process in (server, exporter):
            process.terminate()
            process.wait(30)
        gpu.shutdown()


def _differs(look: Callable[[], list[float]], before: list[float]) -> bool:
    return look() != before


def ask(url: str, expression: str) -> list[float]:
    """Values of an instant query; none while Prometheus does not answer yet."""
    try:
        answer = requests.get(f"{url}/api/v1/query", params={"query": expression}, timeout=10)
    except requests.ConnectionError:
        return []
    if answer.status_code == 503:
        return []
    assert answer.status_code == 200, answer.text
    return [float(found["value"][1]) for found in answer.json()["data"]["result"]]


@pytest.mark.long
@pytest.mark.parametrize("expression", panels())
def test_no_panel_is_empty(prometheus: str, expression: str) -> None:
    values = wait_until(
        lambda: [value for value in ask(prometheus, expression) if not math.isnan(value)],
        "the panel shows something",
        20,
    )
    assert values
