"""A restored host has the settings of the archive, and the files that they name out of the host's own (issue 6)."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from ai_services import __version__
from ai_services.backup import restored_settings
from ai_services.backup.comparing import differences, is_of
from ai_services.exits import OperatorError
from ai_services.host.settings_backup import Place

from .archives import manifest

CONTENTS = {
    "secrets/api.key": b"a-key\n",
    "secrets/docker/config.json": json.dumps(
        {"auths": {"ghcr.io": {"auth": base64.b64encode(b"octo-org:ghp_canary:with:colons").decode()}}}
    ).encode(),
    "secrets/huggingface/token": b"hf_canary\n",
    "letsencrypt/cloudflare.ini": b"# x\ndns_cloudflare_api_token = cf_canary\n",
    "ca/extra.crt": b"-----BEGIN CERTIFICATE-----\n",
}
SETTINGS = {
    "ai_domain": "ai.example.com", "ai_github_owner": "octo-org", "ai_ollama_model": "m:1", "ai_tls": "letsencrypt",
    "ai_cloudflare_token_file": "/home/ann/cloudflare", "ai_api_keys_file": "/home/ann/keys",
}  # fmt: skip


def settings(folder: Path, over: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    about = manifest(CONTENTS, (), **{"settings": SETTINGS, **more})
    return restored_settings.settings(about, CONTENTS, over or {}, folder).model_dump()


def test_files_of_another_machine_come_out_of_the_archive(tmp_path: Path) -> None:
    found = settings(tmp_path)
    texts = {name: Path(path).read_text().strip() for name, path in found.items() if name.endswith("_file") and path}
    assert texts == {
        "ai_cloudflare_token_file": "cf_canary", "ai_ghcr_token_file": "ghp_canary:with:colons",
        "ai_huggingface_token_file": "hf_canary", "ai_extra_ca_file": "-----BEGIN CERTIFICATE-----",
    }  # fmt: skip
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    # The keys themselves are laid out on the host: they are not made a setting of.
    assert found["ai_api_keys_file"] is None


def test_the_hosts_settings_win_over_the_operators_and_what_is_said_now_over_both(tmp_path: Path) -> None:
    given = {"ai_ollama_model": "other:1", "ai_max_json_mib": 64}
    found = settings(tmp_path, {"ai_domain": "new.example.com"}, given=given)
    assert (found["ai_ollama_model"], found["ai_max_json_mib"], found["ai_domain"]) == ("m:1", 64, "new.example.com")


def test_settings_that_this_version_has_not_are_left_out(tmp_path: Path) -> None:
    assert "ai_of_tomorrow" not in settings(tmp_path, settings={**SETTINGS, "ai_of_tomorrow": 1})


def test_what_is_left_out_can_be_said(tmp_path: Path) -> None:
    about = manifest(CONTENTS, (), settings={**SETTINGS, "ai_of_tomorrow": 1})
    assert restored_settings.left_out(about) == ["ai_of_tomorrow"]


def test_a_setting_that_has_another_name_today_keeps_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored_settings, "renamed", lambda: {"ai_llm": "ai_ollama_model"})
    old = {**{name: value for name, value in SETTINGS.items() if name != "ai_ollama_model"}, "ai_llm": "of-then:1"}
    assert settings(tmp_path, settings=old)["ai_ollama_model"] == "of-then:1"
    assert restored_settings.left_out(manifest(CONTENTS, (), settings=old)) == []


@pytest.mark.parametrize(("was", "becomes"), [("0.0.9", __version__), (__version__, __version__), ("my-tag", "my-tag")])
def test_an_older_host_comes_back_with_this_checkouts_version(was: str, becomes: str, tmp_path: Path) -> None:
    """Its roles and the images of another version were never tried together; a tag of one's own is kept."""
    assert settings(tmp_path, settings={**SETTINGS, "ai_version": was})["ai_version"] == becomes


def test_a_host_of_a_later_version_is_refused_and_may_be_forced(tmp_path: Path) -> None:
    later = {**SETTINGS, "ai_version": "999.0.0"}
    with pytest.raises(OperatorError, match=r"of version 999\.0\.0, and this checkout is") as raised:
        settings(tmp_path, settings=later)
    assert f"--set ai_version={__version__}" in raised.value.hint
    assert settings(tmp_path, {"ai_version": __version__}, settings=later)["ai_version"] == __version__


def test_what_does_not_make_a_host_is_said(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"(?s)do not make a host.*ai_github_owner"):
        settings(tmp_path, settings={**SETTINGS, "ai_github_owner": None})


def test_an_archive_is_one_of_a_host_by_its_domain_or_by_its_machine() -> None:
    here, there = manifest(domain=""), manifest(domain="", id="ffff00000123abcd")
    assert is_of(manifest(), manifest(host="its new machine", id="ffff00000123abcd"))
    assert not is_of(manifest(), manifest(domain="other.example.com"))
    assert is_of(here, manifest(domain="", id=here.id[:8] + "00000000"))
    assert not is_of(here, there)


def test_differences_are_named() -> None:
    saved = manifest({"secrets/api.key": b"1", "secrets/salt": b"2", "letsencrypt/lineages/a.b/cert.pem": b"3",
                      "letsencrypt/renewal/a.b.conf": b"4"}, ())  # fmt: skip
    there = manifest({"secrets/api.key": b"other", "secrets/salt": b"2", "letsencrypt/renewal/a.b.conf": b"other"}, (),
                     settings={"ai_domain": "other.example.com", "ai_tls": "own"})  # fmt: skip
    assert differences(saved, there).words() == [
        "keys and secrets: api.key",
        "certificates: a.b",
        "settings: ai_domain",
    ]
    assert differences(saved, saved).words() == []


@pytest.mark.parametrize(
    ("place", "good"),
    [
        ("/var/backups/ai-services", True), ("/mnt/nas/.data/a..i", True), ("s3://bucket/a..b", True),
        ("/srv/../home/ann", False), ("/srv/..", False), ("/..", False), ("/srv/./x", False), ("/srv/", False),
    ],
)  # fmt: skip
def test_a_place_leads_where_it_says(place: str, good: bool) -> None:
    """What is refused below homes, and in /opt/ai, is compared by how it begins."""
    assert bool(re.fullmatch(Place.pattern, place)) is good
