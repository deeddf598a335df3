"""The doors to a migration: `./ai migrate`, scripts/migrate.py, the first version's script."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ai_services.cli import app
from ai_services.exits import BLOCKED, OK, USAGE
from ai_services.host import connect
from ai_services.host.remote import Remote
from ai_services.verbs import migrate

from .worlds import Seen, seen

TOP = Path(__file__).resolve().parents[2]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Seen:
    """A host that lets us in and is seen as recorded; a test changes what is seen."""
    for name in list(os.environ):
        if name.startswith(("TF_VAR_ai_", "AI_", "SSH_USER", "SSH_KEY", "OLLAMA_MODEL")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AI_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ai.yml").write_text('ai_tls: "off"\nai_github_owner: octo-org\n')
    shown = seen("asr-run")
    monkeypatch.setattr(connect, "reach", lambda target, *_, **__: target)
    monkeypatch.setattr(Remote, "open", classmethod(lambda cls, target, screen=None: cls(target)))
    monkeypatch.setattr(migrate, "look", lambda *_: shown)
    return shown


def ai(*words: str) -> Result:
    return CliRunner().invoke(app, ["migrate", *words])


class TestDryRun:
    def test_it_says_what_is_there_and_what_would_be_done(self, world: Seen) -> None:
        done = ai("gpu-1", "--dry-run")
        assert done.exit_code == OK, done.output
        for words in (
            "onerahmet/openai-whisper-asr-webservice 1.9.1, at 0.0.0.0:9000",
            "[http://127.0.0.1:9000/openapi.json has /asr, /detect-language]",
            "9. whisper: ",
            "without a key, as today",
            "Longest wait of a caller, estimated:",
            "+    listen 9000 default_server;",
            "gpu-1 was not changed. Carry it out: ./ai migrate gpu-1",
        ):
            assert words in done.stdout

    def test_as_json(self, world: Seen) -> None:
        done = ai("gpu-1", "--dry-run", "--json")
        content = json.loads(done.stdout)
        assert (content["host"], content["plan"]["service"]) == ("gpu-1", "whisper-asr")
        assert content["found"]["service"]["api"] == "asr"
        assert [step["name"] for step in content["plan"]["steps"]][-1] == "retire"
        assert "The plan:" in done.stderr

    @pytest.mark.parametrize(
        ("words", "model"),
        [
            ([], "qwen2.5:1.5b"),
            (["--set", "ai_ollama_model=qwen2.5:7b"], "qwen2.5:7b"),
        ],
    )
    def test_the_first_versions_environment(
        self, world: Seen, monkeypatch: pytest.MonkeyPatch, words: list[str], model: str
    ) -> None:
        monkeypatch.setenv("OLLAMA_MODEL", "qwen2.5:1.5b")
        assert f"(tiny.en, {model})" in ai("gpu-1", "--dry-run", *words).stdout


class TestRefused:
    def test_each_reason_and_no_change(self, world: Seen) -> None:
        world["facts"]["disks"][-1]["free_mib"] = 700
        done = ai("gpu-1", "--yes", "--json")
        assert done.exit_code == BLOCKED
        assert [note["code"] for note in json.loads(done.stdout)["plan"]["refusals"]] == ["disk"]
        assert "One thing is in the way (disk); gpu-1 was not changed." in done.stderr

    def test_nothing_to_migrate(self, world: Seen) -> None:
        world.update(containers=[], answers={})
        done = ai("gpu-1", "--yes")
        assert done.exit_code == BLOCKED
        assert "(no_service)" in done.stderr

    def test_nobody_is_there_to_agree(self, world: Seen) -> None:
        done = ai("gpu-1")
        assert done.exit_code == USAGE
        assert "nothing was changed" in done.stderr

    def test_settings_that_nothing_tells(self, world: Seen, tmp_path: Path) -> None:
        (tmp_path / "ai.yml").unlink()
        done = ai("gpu-1", "--dry-run")
        assert done.exit_code == USAGE
        for name in ("ai_domain", "ai_cloudflare_token_file", "ai_github_owner"):
            assert f"{name}: is needed" in done.stderr

    def test_ends_that_exclude_each_other(self, world: Seen) -> None:
        assert ai("gpu-1", "--rollback", "--finalize").exit_code == USAGE


def test_one_that_was_begun_is_not_planned_anew(world: Seen) -> None:
    world["migration"] = {"id": "20261121-210000-abc", "phase": "migrated"}
    done = ai("gpu-1", "--dry-run")
    assert done.exit_code == OK
    assert "20261121-210000-abc" in done.stdout
    assert "The plan:" not in done.stdout


class TestOtherDoors:
    @pytest.fixture
    def checkout(self, tmp_path: Path) -> Path:
        """A checkout whose `ai` tells how it was called."""
        made = tmp_path / "checkout"
        for name in ("scripts/migrate.py", "bootstrap/ai/migrate-to-ai-services.sh"):
            (made / name).parent.mkdir(parents=True)
            (made / name).write_bytes((TOP / name).read_bytes())
            (made / name).chmod(0o755)
        (made / "ai").write_text('#!/bin/sh\nprintf "%s|" "$@"\nenv | grep -E "^(TF_VAR_ai_|SSH_USER)" | sort\n')
        (made / "ai").chmod(0o755)
        return made

    def call(self, *words: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], **more.pop("environment", {})}
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False, **more)

    def test_the_script_in_python(self, checkout: Path) -> None:
        done = self.call(sys.executable, checkout / "scripts/migrate.py", "192.168.20.30", "--dry-run")
        assert done.stdout == "migrate|192.168.20.30|--dry-run|"

    @pytest.mark.parametrize("way", ["argument", "stdin"])
    def test_the_first_versions_script(self, checkout: Path, way: str) -> None:
        token = "ghp_xxxx" if way == "argument" else "-"
        done = self.call(
            checkout / "bootstrap/ai/migrate-to-ai-services.sh", "192.168.20.30", "your-username", token,
            "ai.internal.example.com", "--yes", input="ghp_xxxx\n",
        )  # fmt: skip
        words, _, environment = done.stdout.rpartition("|")
        assert words.split("|") == [
            "migrate", "192.168.20.30", "--owner", "your-username", "--domain", "ai.internal.example.com", "--yes",
        ]  # fmt: skip
        assert environment.split() == ["SSH_USER=deployer", "TF_VAR_ai_ghcr_token=ghp_xxxx"]

    @pytest.mark.parametrize(("host", "user"), [("root@gpu-1", ""), ("gpu-1", "SSH_USER=me")])
    def test_who_logs_in(self, checkout: Path, host: str, user: str) -> None:
        given = {"SSH_USER": "me"} if user else {}
        done = self.call(checkout / "bootstrap/ai/migrate-to-ai-services.sh", host, "o", "t", "d", environment=given)
        assert ("SSH_USER" in done.stdout, user in done.stdout) == (bool(user), True)

    def test_too_little_is_said(self, checkout: Path) -> None:
        done = self.call(checkout / "bootstrap/ai/migrate-to-ai-services.sh", "192.168.20.30")
        assert done.returncode == USAGE
        assert "IP OWNER TOKEN DOMAIN" in done.stderr


class TestSecrets:
    def test_the_token_is_in_no_later_process(self, world: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TF_VAR_ai_ghcr_token", "ghp_xxxx")
        assert ai("gpu-1", "--dry-run").exit_code == OK
        assert "TF_VAR_ai_ghcr_token" not in os.environ

    def test_a_dry_run_leaves_no_copy_of_the_hosts_secrets(
        self, world: Seen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What an earlier run took stays: its migration wants it."""
        (tmp_path / "ai.yml").write_text("ai_github_owner: octo-org\nai_domain: ai.example.com\n")
        world["cloudflare"] = "/etc/letsencrypt/cloudflare.ini"
        monkeypatch.setattr(Remote, "get", lambda *_, **__: iter([b"dns_cloudflare_api_token = t0ken\n"]))
        kept = tmp_path / "home" / "adopted" / "gpu-1"
        assert ai("gpu-1", "--dry-run").exit_code == OK
        assert not kept.exists()
        kept.mkdir(parents=True)
        (kept / "cloudflare-token").write_text("t0ken\n")
        assert ai("gpu-1", "--dry-run").exit_code == OK
        assert [path.name for path in kept.iterdir()] == ["cloudflare-token"]

    @pytest.mark.parametrize(("said", "status"), [("ghp_xxxx", 0), ("", USAGE)])
    def test_a_token_from_a_file_without_an_end_of_line(self, tmp_path: Path, said: str, status: int) -> None:
        script = tmp_path / "bootstrap" / "ai" / "migrate.sh"
        script.parent.mkdir(parents=True)
        script.write_bytes((TOP / "bootstrap/ai/migrate-to-ai-services.sh").read_bytes())
        (tmp_path / "ai").write_text('#!/bin/sh\nprintf %s "$TF_VAR_ai_ghcr_token"\n')
        for path in (script, tmp_path / "ai"):
            path.chmod(0o755)
        done = subprocess.run(
            [script, "192.168.20.30", "o", "-", "d"], input=said, capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"]},
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (status, said)
        assert bool(done.stderr) is bool(status)
