"""Each old host is told by what it says and how it was started; what is not understood is not guessed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ai_services.migrate import plan
from ai_services.migrate.found import Found
from ai_services.migrate.recognise import recognise

from .worlds import KINDS, another, container, seen, with_ollama

# kind -> name, api, how, address, port, front, names of its sites, others that must survive
TRUTH: dict[str, tuple[str, str, str, str, int, str, int]] = {
    "asr-run": ("whisper-asr", "asr", "docker", "0.0.0.0", 9000, "none", 0),
    "compose-v1": ("whisper_whisper-api_1", "whisper_api", "compose_v1", "127.0.0.1", 3001, "nginx", 0),
    "full-disk": ("whisper-asr", "asr", "docker", "0.0.0.0", 9000, "none", 1),
    "seed-compose": ("whisper-api", "seed", "compose_v2", "127.0.0.1", 8000, "nginx", 0),
    "speaches-open": ("speaches", "speaches", "compose_v2", "0.0.0.0", 8000, "none", 0),
    "venv-sites": ("whisper_api", "whisper_api", "systemd", "127.0.0.1", 3001, "nginx", 2),
}


def of(world: dict[str, Any], service: str | None = None) -> Found:
    return recognise(world, "gpu-1", service)


def test_every_recording_has_its_truth() -> None:
    assert set(KINDS) == set(TRUTH)


@pytest.mark.parametrize("kind", TRUTH)
def test_the_six_old_hosts(kind: str) -> None:
    found = of(seen(kind))
    service = found.service
    assert service is not None
    assert service.port is not None
    others = len(found.others) + len([site for site in found.front.others(service) if site.names])
    assert (
        service.name, service.api, service.how, service.port.address, service.port.port, found.front.kind, others
    ) == TRUTH[kind]  # fmt: skip
    assert service.model == "tiny.en"
    assert service.healthy
    assert all(fact.what and fact.evidence for fact in service.facts)
    assert found.unseen == ()


@pytest.mark.parametrize("kind", TRUTH)
def test_it_goes_to_json_and_back(kind: str) -> None:
    """So that another machine can go on with a migration."""
    found = of(seen(kind))
    assert Found.read(json.loads(json.dumps(found.as_dict()))) == found


class TestWhatItIsCalledIsNotWhatItIs:
    def test_another_name_and_image_with_the_same_routes(self) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr").update(image="registry.example.com/speech:3", command=["/start"])
        assert of(world).service
        assert [one.api for one in of(world).candidates] == ["asr"]

    def test_the_image_of_one_with_the_routes_of_another(self) -> None:
        world = seen("asr-run")
        world["answers"]["127.0.0.1:9000"]["/openapi.json"]["paths"] = ["/inference", "/load"]
        (candidate,) = of(world).candidates
        assert candidate.api == "unknown"
        assert of(world).service is None
        assert any("its routes are not those of asr" in fact.what for fact in candidate.facts)

    def test_an_image_that_runs_another_program(self) -> None:
        """As the papers of full-disk do: the same image, served by http.server."""
        assert [one.name for one in of(seen("full-disk")).candidates] == ["whisper-asr"]

    def test_nothing_answers_yet(self) -> None:
        """While it loads its model, image and command tell."""
        world = seen("asr-run")
        world["answers"] = {}
        service = of(world).service
        assert service is not None
        assert (service.api, service.healthy) == ("asr", None)

    def test_our_own_release_is_none(self) -> None:
        world = seen("seed-compose")
        for one in world["containers"]:
            one["compose"]["files"] = "/opt/ai/releases/848b99099e46/compose.yaml"
        assert of(world).candidates == ()

    def test_the_first_version_lay_in_the_same_folder(self) -> None:
        world = seen("seed-compose")
        container(world, "whisper-api")["compose"] |= {"folder": "/opt/ai", "files": "/opt/ai/docker-compose.yml"}
        service = of(world).service
        assert service is not None
        assert (service.api, service.folder) == ("seed", "/opt/ai")


class TestNeverGuessed:
    def test_several(self) -> None:
        world = seen("asr-run")
        another(world, "second", ports=[{"address": "0.0.0.0", "port": 9001, "inside": 9000}])
        world["answers"]["127.0.0.1:9001"] = world["answers"]["127.0.0.1:9000"]
        found = of(world)
        assert found.service is None
        (note,) = plan.unchosen(found, None)
        assert note.code == "several_services"
        assert "whisper-asr" in note.why
        assert "second" in note.why
        chosen = of(world, "second").service
        assert chosen is not None
        assert chosen.name == "second"

    def test_one_that_is_not_there(self) -> None:
        (note,) = plan.unchosen(of(seen("asr-run"), "other"), "other")
        assert note.code == "no_such_service"
        assert "whisper-asr" in note.why

    def test_one_that_is_not_known(self) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr").update(image="ghcr.io/ggml-org/whisper.cpp:main", command=["whisper-server"])
        world["answers"]["127.0.0.1:9000"] = {"/openapi.json": {"status": 404}}
        found = of(world)
        assert found.service is None
        (note,) = plan.unchosen(found, None)
        assert note.code == "unknown_api"
        assert "ghcr.io/ggml-org/whisper.cpp:main" in note.why
        chosen = of(world, "whisper-asr").service
        assert chosen is not None
        assert chosen.api == "unknown"

    def test_none_but_one_that_is_stopped(self) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr")["state"] = "exited"
        world["answers"] = {}
        world["listeners"] = [one for one in world["listeners"] if one["port"] != 9000]
        (note,) = plan.unchosen(of(world), None)
        assert note.code == "no_service"
        assert "docker start whisper-asr" in note.nearest


class TestWhatIsAround:
    def test_a_neighbour_of_another_port_is_no_proxy_of_it(self) -> None:
        found = of(seen("venv-sites"))
        assert {site.serves for site in found.front.sites if site.names and "notes" in site.names[0]} == {""}

    def test_an_upstream_block_and_a_snippet_are_followed(self) -> None:
        world = seen("venv-sites")
        files = world["nginx"]["files"]
        path = next(path for path in files if path.endswith("/whisper"))
        files[path] = (
            "upstream speech { server 127.0.0.1:3001 max_fails=0; keepalive 8; }\n"
            "server { listen [::]:80; listen 80; server_name a.example.com b.example.com;\n"
            "  include snippets/tls.conf; location / { include snippets/proxy.conf; } }\n"
        )
        files["/etc/nginx/snippets/tls.conf"] = "ssl_certificate /c.pem; ssl_certificate_key /k.pem;"
        files["/etc/nginx/snippets/proxy.conf"] = "set $up speech; proxy_pass http://$up;"
        found = of(world)
        assert found.service is not None
        (site,) = found.front.of(found.service)
        assert (site.names, site.certificate, site.key) == (("a.example.com", "b.example.com"), "/c.pem", "/k.pem")

    def test_the_plain_site_belongs_to_the_one_it_sends_to(self) -> None:
        found = of(seen("seed-compose"))
        assert found.service is not None
        assert [(site.redirects, site.tls) for site in found.front.of(found.service)] == [(True, False), (False, True)]

    def test_compose_reads_env_by_itself(self) -> None:
        service = of(seen("seed-compose")).service
        assert service is not None
        assert service.files == ("/opt/whisper/docker-compose.yml", "/opt/whisper/.env")

    def test_an_ollama_beside_it(self) -> None:
        world = seen("seed-compose")
        with_ollama(world)
        found = of(world)
        assert found.ollama is not None
        assert (found.ollama.name, found.service and found.service.name) == ("ollama", "whisper-api")
        assert found.others == ()

    def test_the_network_of_the_host(self) -> None:
        """`--network host`: nothing is published, and its process listens by itself."""
        world = seen("asr-run")
        one = container(world, "whisper-asr")
        one.update(ports=[], addresses=[], network_mode="host")
        listening = {"port": 9000, "address": "0.0.0.0", "proto": "tcp", "process": "python", "pid": 4242}
        world["listeners"] = [{**listening, "container": one["id"], "command": ["python"]}]
        service = of(world).service
        assert service is not None
        assert service.container is not None
        assert [(port.address, port.port) for port in service.ports] == [("0.0.0.0", 9000)]

    @pytest.mark.parametrize(
        ("environment", "model"),
        [
            ({"ASR_MODEL": "large"}, "large-v3"),
            ({"ASR_MODEL": "turbo"}, "large-v3-turbo"),
            ({"ASR_MODEL": ""}, "tiny.en"),
        ],
    )
    def test_the_model_by_its_name_of_today(self, environment: dict[str, str], model: str) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr")["environment"] = environment
        service = of(world).service
        assert service is not None
        assert service.model == model

    def test_a_key_that_callers_need(self) -> None:
        world = seen("speaches-open")
        container(world, "speaches")["environment_names"] += ["API_KEY", "CHAT_COMPLETION_API_KEY"]
        service = of(world).service
        assert service is not None
        assert service.key_variable == "API_KEY"
