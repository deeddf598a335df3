"""Every setting with a wrong value is refused by its name, through both doors, before the host is touched."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.doors import Untouched, ansible
from typer.testing import CliRunner

from ai_services.cli import app
from ai_services.host.settings_kinds import File
from ai_services.host.settings_load import SettingsError, load
from ai_services.host.settings_table import renamed, variables

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"

# One wrong value for every setting there is, and a word of what must be said to it.
WRONG: dict[str, tuple[Any, str]] = {
    "ai_domain": ("https://ai.example.com/", "an address, not a name"),
    "ai_tls": ("selfsigned", "letsencrypt, own or off"),
    "ai_tls_certificate_file": ("/nonexistent/fullchain.pem", "is not there"),
    "ai_tls_key_file": ("/nonexistent/key.pem", "is not there"),
    "ai_acme_email": ("nobody", "not an e-mail address"),
    "ai_acme_directory": ("http://acme.example.com/dir", "https://"),
    "ai_cloudflare_token_file": ("/nonexistent/token", "is not there"),
    "ai_dns_propagation_s": ("soon", "not a whole number"),
    "ai_allowed_networks": (["192.168.20.30/24"], "192.168.20.0/24"),
    "ai_firewall": ("ufw", "on or off"),
    "ai_extra_ca_file": ("/nonexistent/ca.pem", "is not there"),
    "ai_github_owner": ("not/an/owner", "not a GitHub user"),
    "ai_ghcr_token": ("two words", "not a token"),
    "ai_ghcr_token_file": ("/nonexistent/token", "is not there"),
    "ai_registry": ("https://ghcr.io", "registry's host name"),
    "ai_version": (1.2, "in quotes"),
    "ai_gateway_image": ("gateway", "full name with a tag"),
    "ai_whisper_api_image": ("ghcr.io/owner/Whisper:1", "full name with a tag"),
    "ai_ollama_image": ("ollama:latest", "full name with a tag"),
    "ai_refresh_images": ("newest", "true or false"),
    "ai_accelerator": ("amd", "auto, nvidia or cpu"),
    "ai_driver_branch": ("newest", "580"),
    "ai_driver_source": ("runfile", "auto, nvidia, distribution or none"),
    "ai_container_toolkit_version": ("1.17.7-1", "at least 1.17.8"),
    "ai_gpu_mode": ("runtime", "auto, cdi or reservation"),
    "ai_reboot": ("always", "auto, allowed or never"),
    "ai_docker_source": ("snap", "auto, distribution or docker"),
    "ai_repository_fingerprints": (["abc"], "40 hex digits"),
    "ai_whisper_model": ("large v3", "not a model's name"),
    "ai_whisper_compute_type": ("float8", "float16"),
    "ai_whisper_unload_after_s": (-1, "out of range"),
    "ai_ollama_model": ("qwen2.5:", "not a model's name"),
    "ai_ollama_extra_models": (["qwen 2.5"], "not a model's name"),
    "ai_huggingface_endpoint": ("hub.example.com", "https://"),
    "ai_huggingface_token_file": ("/nonexistent/token", "is not there"),
    "ai_api_keys_file": ("/nonexistent/keys", "is not there"),
    "ai_max_upload_mib": (0, "1 to"),
    "ai_max_json_mib": (2048, "1 to 1024"),
    "ai_max_task_queue_size": (-1, "0 to"),
    "ai_max_connections_per_address": (-1, "0 to"),
    "ai_max_requests_per_s_per_address": ("many", "not a whole number"),
    "ai_upstream_connect_timeout_s": (0, "1 to 300"),
    "ai_upstream_first_byte_timeout_s": ("15m", "not a whole number"),
    "ai_upstream_idle_timeout_s": (True, "not a whole number"),
    "ai_gateway_memory_mib": ("1g", "not a whole number"),
    "ai_whisper_api_memory_mib": (-5, "out of range"),
    "ai_ollama_memory_mib": ([], "not a whole number"),
    "ai_pids_limit": (10, "64 to"),
    "ai_profiles": (["monitor"], "Give monitoring"),
    "ai_grafana_port": (80, "1024 to 65535"),
    "ai_prometheus_image": ("prometheus", "full name with a tag"),
    "ai_grafana_image": ("grafana", "full name with a tag"),
    "ai_node_exporter_image": ("node", "full name with a tag"),
    "ai_gpu_exporter_image": ("gpu", "full name with a tag"),
    "ai_old_api": (["whisperx"], "asr, speaches, whisper_api or seed"),
    "ai_old_api_keyless": ("perhaps", "true or false"),
    "ai_old_api_listeners": ([{"port": 99999}], "a port"),
    "ai_old_api_url": ("https://127.0.0.1:9000", "http://"),
    "ai_backup_recipients": (["AGE-SECRET-KEY-1"], "public key"),
    "ai_backup_to": ("backups", "a directory of the host, or s3://"),
    "ai_backup_at": ("; rm", "OnCalendar"),
    "ai_backup_keep": (-1, "0 to 100000"),
    "ai_backup_s3_endpoint": ("s3.example.com", "https://"),
    "ai_backup_s3_credentials_file": ("/nowhere/s3", "/nowhere/s3 is not there"),
    "ai_keep_data": ("maybe", "true or false"),
}


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings with which nothing is wrong; the environment says nothing."""
    for name in list(os.environ):
        if name.startswith(("TF_VAR_ai_", "AI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    token = tmp_path / "token"
    token.write_text("a-cloudflare-token\n")
    token.chmod(0o600)
    return {"ai_domain": "ai.example.com", "ai_github_owner": "octo-org", "ai_cloudflare_token_file": str(token)}


def test_every_setting_has_its_wrong_value_here() -> None:
    assert list(WRONG) == list(variables())


def test_the_sound_settings_are_sound(sound: dict[str, Any]) -> None:
    assert load(sound).ai_domain == "ai.example.com"


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_through_ai_deploy(
    name: str, sound: dict[str, Any], untouched: Untouched, tmp_path: Path
) -> None:
    """Show: every variable with a wrong value is refused by name before the host is touched."""
    value, words = WRONG[name]
    config = tmp_path / "wrong.yml"
    config.write_text(yaml.safe_dump(sound | {name: value}))
    done = CliRunner().invoke(app, ["deploy", f"127.0.0.1:{untouched.port}", "--config", str(config)])
    assert done.exit_code == 2
    lines = [line for line in done.stderr.splitlines() if line.startswith(f"  {name}: ")]
    assert len(lines) == 1, done.stderr
    assert words in lines[0]
    assert f"(from {config})" in lines[0]
    assert "the host was not touched" in done.stderr
    assert not untouched.was_contacted()


def test_a_wrong_value_through_ansible_playbook(sound: dict[str, Any], untouched: Untouched, tmp_path: Path) -> None:
    """The same table in one run: a host for each setting, each with one wrong value."""
    place = {"ansible_host": "127.0.0.1", "ansible_port": untouched.port, "ansible_user": "nobody"}
    hosts = {name.replace("_", "-"): place | sound | {name: value} for name, (value, _) in WRONG.items()}
    inventory, events = tmp_path / "hosts.json", tmp_path / "events"
    inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
    done = ansible("site.yml", "-i", str(inventory), events=events)
    assert done.returncode == 2, done.stdout
    said = {
        event["host"].replace("-", "_"): event["message"]
        for event in map(json.loads, events.read_text().splitlines())
        if event["event"] == "result"
    }
    assert said.keys() == WRONG.keys()
    for name, (_, words) in WRONG.items():
        line = next((line for line in said[name].splitlines() if line.startswith(f"{name}: ")), "")
        assert words in line, (name, said[name])
    assert not untouched.was_contacted()


def test_ansible_playbook_refuses_what_roles_would_read_otherwise(sound: dict[str, Any], untouched: Untouched) -> None:
    """key=value is always text to Ansible, and nothing is stronger than an extra variable."""
    pairs = [word for name, value in sound.items() for word in ("-e", f"{name}={value}")]
    place = ["-i", "127.0.0.1,", "-e", f"ansible_port={untouched.port}"]
    done = ansible("preflight.yml", *place, *pairs, "-e", "ai_dns_propagation_s=5", "-e", '{"ai_tls": false}')
    assert done.returncode == 2
    assert """ai_dns_propagation_s: is understood, but roles would read it as '5' and not as 5""" in done.stdout
    assert """-e '{"ai_dns_propagation_s": 5}'""" in done.stdout
    assert """ai_tls: is understood, but roles would read it as False and not as 'off'""" in done.stdout
    assert not untouched.was_contacted()


def test_everything_wrong_is_said_at_once(sound: dict[str, Any]) -> None:
    wrong = {
        "ai_tls": "own",
        "ai_domian": "x",
        "ai_grafana_port": 1,
        "ai_driver_branch": "new",
        "ai_github_owner": None,
    }
    with pytest.raises(SettingsError) as caught:
        load({name: value for name, value in sound.items() if name != "ai_github_owner"} | wrong)
    names = [problem.name for problem in caught.value.problems]
    assert sorted(names) == sorted(
        [
            "ai_domian",
            "ai_driver_branch",
            "ai_github_owner",
            "ai_grafana_port",
            "ai_tls_certificate_file",
            "ai_tls_key_file",
        ]
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ai_domian": "x"}, "Did you mean ai_domain?"),
        ({"ai_hf_endpoint": "https://hub"}, "is called ai_huggingface_endpoint now"),
        ({"ai_cloudflare_token": "secret"}, "give that file's path as ai_cloudflare_token_file"),
        ({"something_else": "x"}, "is not a setting"),
        ({"ai_domain": None}, "ai_domain: is needed"),
        ({"ai_domain": "192.168.20.30"}, "certificates are for names"),
        ({"ai_cloudflare_token_file": None}, "ai_cloudflare_token_file: is needed"),
        ({"ai_tls": "off", "ai_allowed_networks": "any"}, "would cross the internet in the clear"),
        ({"ai_github_owner": None}, "ai_github_owner: is needed"),
        ({"ai_allowed_networks": []}, "nobody could reach the host"),
        ({"ai_allowed_networks": ["any", "10.0.0.0/8"]}, "beside networks"),
    ],
)
def test_what_is_said(given: dict[str, Any], said: str, sound: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=said.replace("?", r"\?")):
        load(sound | given)


def test_every_former_name_teaches_todays(sound: dict[str, Any]) -> None:
    assert renamed()
    for old, new in renamed().items():
        with pytest.raises(SettingsError, match=f"{old}: is called {new} now"):
            load(sound | {old: "x"})


@pytest.mark.parametrize(
    ("name", "given", "form"),
    [
        ("ai_tls", False, "off"),
        ("ai_firewall", True, "on"),
        ("ai_driver_branch", 580, "580"),
        ("ai_driver_branch", "auto", "auto"),
        ("ai_dns_propagation_s", "7", 7),
        ("ai_allowed_networks", "any", ["any"]),
        ("ai_allowed_networks", "10.1.0.0/16, fd00::/8", ["10.1.0.0/16", "fd00::/8"]),
        ("ai_ollama_extra_models", "a:1,b:2", ["a:1", "b:2"]),
        ("ai_profiles", "[monitoring]", ["monitoring"]),
        ("ai_old_api_listeners", "9000,80 old.example.com", ["9000", "80 old.example.com"]),
        (
            "ai_old_api_listeners",
            [{"port": 443, "names": ["a.example.com"], "certificate": "/etc/ssl/a.pem", "key": "/etc/ssl/a.key"}],
            ["443 a.example.com certificate=/etc/ssl/a.pem key=/etc/ssl/a.key"],
        ),
        ("ai_keep_data", "no", False),
        ("ai_whisper_unload_after_s", "", None),
        ("ai_domain", "AI.Example.COM.", "ai.example.com"),
    ],
)
def test_one_form_whatever_was_written(name: str, given: Any, form: Any, sound: dict[str, Any]) -> None:
    values = sound | {name: given} | ({"ai_cloudflare_token_file": None} if name == "ai_tls" else {})
    assert getattr(load(values), name) == form


def test_defaults_are_in_their_one_form_already() -> None:
    for row in variables().values():
        assert row.kind.take(row.default) == row.default if row.default is not None else row.kind.optional, row.name


class TestFiles:
    """Files are looked at before anything begins."""

    @pytest.fixture
    def secret(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text("content\n")
        path.chmod(0o600)
        return path

    @pytest.mark.parametrize(
        "name", [row.name for row in variables().values() if row.about.secret and row.given_as_file]
    )
    def test_a_secret_that_all_may_read_is_refused(self, name: str, secret: Path, sound: dict[str, Any]) -> None:
        secret.write_text("-----BEGIN PRIVATE KEY-----\n")
        secret.chmod(0o644)
        with pytest.raises(SettingsError, match=f"{name}: .* can be read by every user.*chmod 600 {secret}"):
            load(sound | {name: str(secret)})

    def test_an_empty_one(self, secret: Path, sound: dict[str, Any]) -> None:
        secret.write_text("\n")
        with pytest.raises(SettingsError, match="is empty"):
            load(sound | {"ai_api_keys_file": str(secret)})

    def test_a_key_in_the_certificates_place(self, secret: Path, sound: dict[str, Any]) -> None:
        with pytest.raises(SettingsError, match='holds no "-----BEGIN CERTIFICATE"'):
            load(sound | {"ai_extra_ca_file": str(secret)})

    def test_a_relative_path_is_meant_from_here(self, secret: Path, sound: dict[str, Any]) -> None:
        assert load(sound | {"ai_api_keys_file": "secret"}).ai_api_keys_file == str(secret)

    def test_to_destroy_no_file_needs_to_be_left(self) -> None:
        settings = load({"ai_cloudflare_token_file": "/nonexistent", "ai_tls": "own"}, "destroy")
        assert settings.ai_cloudflare_token_file is None

    def test_every_path_is_a_file(self) -> None:
        for row in variables().values():
            assert isinstance(row.kind, File) is row.given_as_file, row.name
