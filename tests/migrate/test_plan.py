"""What a migration would do with each old host, and what it refuses: with figures, and with a way out."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import pytest

from ai_services.exits import OperatorError
from ai_services.migrate import compose
from ai_services.migrate.plan_types import MigrationPlan
from ai_services.migrate.recognise import recognise

from .worlds import Seen, another, container, planned, seen, with_ollama


def codes(plan: MigrationPlan) -> list[str]:
    return [note.code for note in plan.refusals]


class TestEachKind:
    @pytest.mark.parametrize(
        ("kind", "listeners", "url", "domain"),
        [
            ("asr-run", ["9000"], "http://host.docker.internal:9000", None),
            ("speaches-open", ["8000"], "http://host.docker.internal:8000", None),
            ("venv-sites", ["80 whisper-{host}.lab.test"], None, "whisper-{host}.lab.test"),
            (
                "seed-compose",
                [
                    "80 whisper-{host}.lab.test",
                    "443 whisper-{host}.lab.test certificate=/etc/nginx/ssl/whisper.crt key=/etc/nginx/ssl/whisper.key",
                ],
                None,
                "whisper-{host}.lab.test",
            ),
        ],
    )
    def test_the_settings_that_the_host_tells(
        self, kind: str, listeners: list[str], url: str | None, domain: str | None
    ) -> None:
        world = seen(kind)
        found, plan = planned(world)
        named = next((name for site in found.front.sites for name in site.names if name.startswith("whisper-")), "")
        host = named.removeprefix("whisper-").removesuffix(".lab.test")
        assert plan.settings["ai_old_api_listeners"] == [text.format(host=host) for text in listeners]
        assert plan.settings.get("ai_old_api_url") == url
        assert plan.settings.get("ai_domain") == (domain.format(host=host) if domain else None)
        assert plan.settings["ai_old_api_keyless"] is True
        assert set(plan.reasons) == set(plan.settings)
        assert codes(plan) == []

    def test_what_was_given_wins(self) -> None:
        _, plan = planned(seen("seed-compose"), ai_domain="ai.example.com", ai_whisper_model="small")
        assert not {"ai_domain", "ai_whisper_model"} & set(plan.settings)
        assert any("ai.example.com" in line for line in plan.answers)

    @pytest.mark.parametrize("kind", ["asr-run", "seed-compose", "speaches-open", "venv-sites"])
    def test_it_goes_to_json_and_back(self, kind: str) -> None:
        _, plan = planned(seen(kind))
        content = json.loads(json.dumps(plan.as_dict()))
        assert MigrationPlan.read(content) == plan
        assert all(entry["diff"].startswith("---") for entry in content["files"])

    def test_all_steps_in_their_order(self) -> None:
        _, plan = planned(seen("asr-run"))
        assert [step.name for step in plan.steps] == [
            "look", "plan", "lock", "backup", "prepare", "beside", "front", "certificate", "whisper", "ollama",
            "verify", "retire",
        ]  # fmt: skip
        assert [step.name for step in plan.steps if step.waits] == ["whisper"]

    def test_other_sites_and_containers_stay(self) -> None:
        _, plan = planned(seen("venv-sites"))
        assert [line.split(" (")[1] for line in plan.stays if "site" in line] == [
            "/etc/nginx/conf.d/notes.conf)",
            "/etc/nginx/sites-available/family)",
        ]
        world = seen("full-disk")
        world["facts"]["disks"][-1]["free_mib"] = 50_000
        _, plan = planned(world)
        assert any("paperless" in line for line in plan.stays)
        assert plan.retire == ("whisper-asr",)

    def test_the_old_site_becomes_ours_as_a_diff(self) -> None:
        _, plan = planned(seen("seed-compose"), ai_domain="ai.example.com")
        change = next(change for change in plan.files if change.path.startswith("/etc/nginx/sites-enabled"))
        assert change.path == "/etc/nginx/sites-enabled/whisper"
        assert "-        proxy_pass http://127.0.0.1:8000;" in change.diff()
        assert "+        proxy_pass http://$ai_gateway;" in change.diff()

    def test_what_takes_the_place_of_the_compose_file(self) -> None:
        _, plan = planned(seen("seed-compose"))
        change = plan.files[0]
        assert (change.was, change.path) == ("/opt/whisper/docker-compose.yml", "/opt/ai/current/compose.yaml")
        assert "+    image: ghcr.io/octo-org/gateway:" in change.diff()
        assert "\n-" in change.diff()

    def test_a_site_that_only_sends_to_https_is_no_door_of_our_own_name(self) -> None:
        """Ours sends there, too; under other names it must answer, for nobody else would."""
        found = recognise(seen("seed-compose"), "gpu-1")
        assert found.service
        assert [door.port for door in compose.doors(found, found.service, found.front.sites[0].names[0])] == [443]
        assert [door.port for door in compose.doors(found, found.service, "ai.example.com")] == [80, 443]

    def test_a_key_that_callers_use_is_kept(self) -> None:
        world = seen("speaches-open")
        container(world, "speaches")["environment_names"].append("API_KEY")
        _, plan = planned(world)
        assert plan.settings["ai_old_api_keyless"] is False
        assert any("with the key they use today (API_KEY)" in line for line in plan.answers)

    def test_the_wait_is_longer_for_a_larger_model(self) -> None:
        _, small = planned(seen("asr-run"))
        _, large = planned(seen("asr-run"), ai_whisper_model="large-v3")
        assert small.waiting
        assert large.waiting
        assert small.waiting.high_s < large.waiting.high_s
        assert "MiB/s" in large.waiting.how


def _mixed_site(world: Seen) -> None:
    path = next(path for path in world["nginx"]["files"] if path.endswith("/whisper"))
    text = world["nginx"]["files"][path]
    last = text.rindex("location / {")
    world["nginx"]["files"][path] = (
        f"{text[:last]}location /wiki {{ proxy_pass http://127.0.0.1:7000; }}\n{text[last:]}"
    )


def _mixed_file(world: Seen) -> None:
    path = next(path for path in world["nginx"]["files"] if path.endswith("/whisper"))
    world["nginx"]["files"][path] += "server { listen 80; server_name wiki.lab.test; root /var/www/wiki; }\n"


def _broken_nginx(world: Seen) -> None:
    world["nginx"] |= {"sound": False, "error": 'unknown directive "lisen"'}


def _site(world: Seen, before: str, after: str) -> None:
    path = next(path for path in world["nginx"]["files"] if path.endswith("/whisper"))
    text = world["nginx"]["files"][path]
    assert before in text
    world["nginx"]["files"][path] = text.replace(before, after)


def _password(world: Seen) -> None:
    _site(world, "client_max_body_size", "auth_basic x; auth_basic_user_file /etc/nginx/users; client_max_body_size")


def _networks(world: Seen) -> None:
    _site(world, "proxy_set_header Host", "allow 10.1.0.0/16; deny all; proxy_set_header Host")


def _prefix(world: Seen) -> None:
    _site(
        world,
        "location / {\n        proxy_pass http://127.0.0.1:3001;",
        "location /w/ {\n proxy_pass http://127.0.0.1:3001/;",
    )


def language_too(world: Seen) -> None:
    """As the first version of ai-services itself: one site for both."""
    with_ollama(world)
    _site(
        world,
        "location / {\n",
        "location /generate { proxy_pass http://127.0.0.1:11434/api/generate; }\n    location / {\n",
    )


def _full(world: Seen) -> None:
    world["facts"]["disks"][-1]["free_mib"] = 700


def _caddy(world: Seen) -> None:
    world["nginx"] = None
    world["listeners"] = [one for one in world["listeners"] if one["port"] != 80]
    world["listeners"].append({"port": 80, "address": "::", "process": "caddy", "pid": 7, "command": ["caddy", "run"]})
    routes = [{"listen": [":80"], "names": ["whisper.lab.test"], "targets": ["127.0.0.1:3001"]}]
    world["caddy"] = {"version": "v2.6.2", "files": {"/etc/caddy/Caddyfile": ""}, "routes": routes}


def _traefik(world: Seen) -> None:
    ports = [{"address": "0.0.0.0", "port": 80, "inside": 80}]
    another(world, "traefik", image="traefik:v3", command=["traefik"], ports=ports, compose={})


def _by_hand(world: Seen) -> None:
    for one in world["listeners"]:
        one["unit"] = "session-3.scope"
    world["units"] = []


def _name_taken(world: Seen) -> None:
    another(world, "gateway", image="example.com/other:1", command=["other"])


def _goes_when_it_stops(world: Seen) -> None:
    container(world, "whisper-asr")["auto_remove"] = True


def _own_port(world: Seen) -> None:
    container(world, "whisper-asr")["ports"][0]["port"] = 8080
    world["answers"]["127.0.0.1:8080"] = world["answers"].pop("127.0.0.1:9000")


def _old_docker(world: Seen) -> None:
    world["facts"]["docker"]["version"] = "20.10.24"


def _already_ours(world: Seen) -> None:
    world["release"] = "848b99099e46"


def _no_sudo(world: Seen) -> None:
    world["facts"] |= {"sudo": False, "root": False}


@pytest.mark.parametrize(
    ("kind", "change", "code", "words"),
    [
        ("asr-run", _full, "disk", ["700 MiB free", "11.3 GiB are needed", "images 6.8 GiB", "ai_ollama_model"]),
        ("venv-sites", _mixed_site, "mixed_site", ["/wiki", "server block"]),
        ("venv-sites", _mixed_file, "mixed_file", ["wiki.lab.test", "file of its own"]),
        ("venv-sites", _password, "guarded_site", ["auth_basic", "--ask-key"]),
        ("venv-sites", _networks, "guarded_site", ["allow, deny"]),
        ("venv-sites", _prefix, "moved_paths", ["/w/"]),
        ("seed-compose", language_too, "ollama_site", ["/generate", "--ask-key"]),
        ("venv-sites", _broken_nginx, "nginx_broken", ['unknown directive "lisen"', "nginx -t"]),
        ("venv-sites", _caddy, "front", ["caddy", "stop caddy"]),
        ("asr-run", _traefik, "front", ["traefik", "container traefik"]),
        ("venv-sites", _by_hand, "by_hand", ["systemd unit"]),
        ("asr-run", _name_taken, "name_taken", ["docker rename gateway gateway-old"]),
        ("asr-run", _goes_when_it_stops, "auto_remove", ["without --rm"]),
        ("asr-run", _own_port, "port_8080", ["itself listens on port 8080"]),
        ("asr-run", _old_docker, "docker_old", ["20.10.24", "docker-ce", "restarts every container (whisper-asr)"]),
        ("asr-run", _already_ours, "already_ours", ["848b99099e46", "./ai upgrade"]),
        ("asr-run", _no_sudo, "sudo", ["passwordless sudo"]),
    ],
)
def test_what_is_refused(kind: str, change: Callable[[Seen], None], code: str, words: list[str]) -> None:
    world = seen(kind)
    change(world)
    _, plan = planned(world, **({"ai_domain": "ai.example.com"} if kind == "asr-run" else {}))
    assert codes(plan) == [code]
    (note,) = plan.refusals
    said = f"{note.what} {note.why} {note.nearest}"
    assert [word for word in words if word not in said] == [], said


def test_a_guarded_site_with_keys_from_now_on() -> None:
    world = seen("venv-sites")
    _password(world)
    assert codes(planned(world, ai_old_api_keyless=False)[1]) == []


def test_one_site_for_speech_and_language_with_keys_from_now_on() -> None:
    world = seen("seed-compose")
    language_too(world)
    _, plan = planned(world, ai_old_api_keyless=False)
    assert codes(plan) == []
    assert plan.retire == ("whisper-api", "ollama")
    assert [step.name for step in plan.steps if step.waits] == ["whisper"]
    assert "Ollama start" in next(step.words for step in plan.steps if step.name == "beside")
    assert codes(planned(world, ai_old_api_keyless=False, ai_domain="ai.example.com")[1]) == ["ollama_site"]


def test_what_could_be_freed_is_told_with_its_size() -> None:
    world = seen("asr-run")
    _full(world)
    world["reclaimable"] = {"unused images": 2048, "volume old, which no container has": 5 * 1024}
    (note,) = planned(world)[1].refusals
    assert "volume old, which no container has: 5.0 GiB; unused images: 2.0 GiB" in note.why
    assert "docker image prune -a" in note.nearest


class TestWarned:
    def of(self, world: Seen, **given: Any) -> list[str]:
        return [note.code for note in planned(world, **given)[1].warnings]

    def test_callers_from_outside_the_allowed_networks(self) -> None:
        world = seen("asr-run")
        world["clients"] = [{"address": "203.0.113.7", "port": 9000, "count": 2}]
        assert "callers_shut_out" in self.of(world)
        assert "callers_shut_out" not in self.of(world, ai_allowed_networks=["203.0.113.0/24"])
        world["clients"] = [{"address": "192.168.20.5", "port": 9000, "count": 2}]
        assert "callers_shut_out" not in self.of(world)

    def test_a_certificate_at_its_end(self) -> None:
        world = seen("seed-compose")
        assert "certificate_ends" not in self.of(world)
        for one in world["certificates"]:
            one["not_after"] = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)).isoformat()
        assert "certificate_ends" in self.of(world)

    @pytest.mark.parametrize(
        ("old", "new", "warned"),
        [
            ("large-v2", "large-v3-turbo", True),
            ("", "large-v3-turbo", True),
            ("large-v2", "large-v3", False),
            ("turbo", "large-v3-turbo", False),
            ("tiny.en", "large-v3-turbo", False),
        ],
    )
    def test_a_model_that_cannot_translate(self, old: str, new: str, warned: bool) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr")["environment"] = {"ASR_MODEL": old}
        for store in world["stores"].values():
            store["models"] = []
        assert ("no_translation" in self.of(world, ai_whisper_model=new)) is warned

    def test_a_volume_of_the_same_name(self) -> None:
        world = seen("asr-run")
        container(world, "whisper-asr")["mounts"][0]["name"] = "huggingface"
        assert "same_volume" in self.of(world)

    def test_ollamas_own_port_closes(self) -> None:
        world = seen("asr-run")
        with_ollama(world)
        assert "ollama_port" not in self.of(world)
        world = seen("asr-run")
        with_ollama(world, "0.0.0.0")
        assert "ollama_port" in self.of(world)

    def test_a_port_beside_the_apis_own(self) -> None:
        """Metrics, mostly: it is no door of the old API, and it ends."""
        world = seen("asr-run")
        container(world, "whisper-asr")["ports"].append({"address": "0.0.0.0", "port": 9090, "inside": 9090})
        _, plan = planned(world)
        assert [door.port for door in plan.listeners] == [9000]
        assert plan.ends == ("port 9090, which is not the API's",)

    def test_routes_that_ours_has_not(self) -> None:
        world = seen("speaches-open")
        paths = world["answers"]["127.0.0.1:8000"]["/openapi.json"]["paths"]
        paths += ["/v1/audio/speech", "/v1/models/{model_id}", "/health"]
        _, plan = planned(world)
        assert "/v1/audio/speech" in plan.ends
        assert not {"/v1/audio/transcriptions", "/v1/audio/translations", "/v1/models", "/health"} & set(plan.ends)
        assert "routes_end" in [note.code for note in plan.warnings]
        for kind in ("asr-run", "seed-compose", "venv-sites"):
            assert planned(seen(kind))[1].ends == (), kind

    def test_an_unknown_api_ends(self) -> None:
        world = seen("asr-run")
        world["answers"]["127.0.0.1:9000"]["/openapi.json"]["paths"] = ["/inference"]
        _, plan = planned(world, service="whisper-asr")
        assert "unknown_api" in [note.code for note in plan.warnings]
        assert "ai_old_api" not in plan.settings


def test_what_is_missing_is_asked_for() -> None:
    """Nothing on the host tells a token: it is said what is needed, by its name."""
    with pytest.raises(OperatorError, match="ai_cloudflare_token_file"):
        planned(seen("seed-compose"), ai_tls=None)
