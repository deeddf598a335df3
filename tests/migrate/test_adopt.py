"""What an operator would have to give, and the host has: taken over SSH, kept where only this user reads it."""

from __future__ import annotations

import shutil
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ai_services.exits import OperatorError
from ai_services.host.remote import Remote
from ai_services.host.target import Target
from ai_services.host.values import Given
from ai_services.migrate import compose
from ai_services.migrate.adopt import adopt, adopt_again
from ai_services.migrate.compose import Derived
from ai_services.migrate.found import Found
from ai_services.migrate.recognise import recognise

from .worlds import seen


def adopted(found: Found, folder: Path, **given: Any) -> Derived:
    assert found.service is not None
    derived = compose.derive(found, found.service, given)
    adopt(found, found.service, derived, given, Remote(Target("localhost", is_root=True)), folder)
    return derived


@pytest.fixture
def found(tmp_path: Path) -> Found:
    """Seed's host: its certificate was bought and lies in a file (here below `tmp_path`)."""
    world = seen("seed-compose")
    for path, text in world["nginx"]["files"].items():
        world["nginx"]["files"][path] = text.replace("/etc/nginx/ssl/", f"{tmp_path}/")
    (tmp_path / "whisper.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "whisper.key").write_text("-----BEGIN PRIVATE KEY-----\n")
    return recognise(world, "gpu-1")


def test_a_bought_certificate(found: Found, tmp_path: Path) -> None:
    derived = adopted(found, tmp_path / "kept")
    assert derived.values["ai_tls"] == "own"
    key = Path(derived.values["ai_tls_key_file"])
    assert key.read_text() == (tmp_path / "whisper.key").read_text()
    assert (stat.S_IMODE(key.stat().st_mode), stat.S_IMODE(key.parent.stat().st_mode)) == (0o600, 0o700)


def test_certbots_token_goes_before_it(found: Found, tmp_path: Path) -> None:
    ini = tmp_path / "cloudflare.ini"
    ini.write_text("# token\ndns_cloudflare_api_token = abc-DEF_123\n")
    derived = adopted(replace(found, cloudflare=str(ini)), tmp_path / "kept")
    assert "ai_tls" not in derived.values
    assert Path(derived.values["ai_cloudflare_token_file"]).read_text() == "abc-DEF_123\n"
    assert "abc-DEF_123" not in str(derived.reasons)


def test_a_global_key_is_refused(found: Found, tmp_path: Path) -> None:
    ini = tmp_path / "cloudflare.ini"
    ini.write_text("dns_cloudflare_email = a@example.com\ndns_cloudflare_api_key = 0123\n")
    with pytest.raises(OperatorError, match="holds no API token"):
        adopted(replace(found, cloudflare=str(ini)), tmp_path / "kept")


@pytest.mark.parametrize(
    "given",
    [{"ai_tls": "off"}, {"ai_cloudflare_token_file": "/t"}, {"ai_tls": "letsencrypt"}, {"ai_domain": "ai.example.com"}],
)
def test_what_was_given_is_left_alone(found: Found, tmp_path: Path, given: dict[str, Any]) -> None:
    assert "ai_tls" not in adopted(found, tmp_path / "kept", **given).values
    assert not (tmp_path / "kept").exists()


def test_a_lineage_of_certbots_is_not_bought(found: Found, tmp_path: Path) -> None:
    own = tuple(replace(one, lineage="whisper") for one in found.front.certificates)
    changed = replace(found, front=replace(found.front, certificates=own))
    assert own
    site = next(site for site in changed.front.sites if site.tls)
    front = replace(changed.front, certificates=(replace(own[0], path=site.certificate),))
    assert "ai_tls" not in adopted(replace(changed, front=front), tmp_path / "kept").values


def test_another_machine_takes_them_again(found: Found, tmp_path: Path) -> None:
    begun = adopted(found, tmp_path / "first")
    remote = Remote(Target("localhost", is_root=True))
    given = Given({}, {})
    known = {name: str(begun.values[name]) for name in begun.adopted}
    adopt_again(begun.adopted, known, given, remote, tmp_path / "second")
    assert given.values == {}, "the machine that began has them still"
    shutil.rmtree(tmp_path / "first")
    adopt_again(begun.adopted, known, given, remote, tmp_path / "second")
    assert set(given.values) == {"ai_tls_certificate_file", "ai_tls_key_file"}
    assert Path(given.values["ai_tls_key_file"]).read_text() == (tmp_path / "whisper.key").read_text()
