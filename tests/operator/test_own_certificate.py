"""An own certificate that will not do is refused with the settings, through both doors, before the host is touched."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from front.certificates import NOW, Signed, signed, write
from support.doors import Untouched, ansible
from typer.testing import CliRunner

from ai_services.cli import app
from ai_services.host.settings_load import load

pytestmark = pytest.mark.promise("S0.6")

DOMAIN = "ai.example.com"
ROOT = signed("Root")
MIDDLE = signed("Middle", ROOT)
LEAF = signed(DOMAIN, MIDDLE, names=(DOMAIN,), fetchable=True)
EXPIRED = signed(DOMAIN, names=(DOMAIN,), begins=NOW - timedelta(days=90), ends=NOW - timedelta(days=1))
OTHER = signed("other.example.com", names=("other.example.com",))
CERTIFICATE, KEY = "ai_tls_certificate_file", "ai_tls_key_file"

# the chain, the key (that of its first certificate, unless another is given), which setting is wrong, and why
WRONG: dict[str, tuple[tuple[Signed, ...], Signed | None, str, str]] = {
    "expired": ((EXPIRED,), None, CERTIFICATE, "ended on"),
    "of-another-name": ((OTHER,), None, CERTIFICATE, f"is for other.example.com, not for {DOMAIN}"),
    "out-of-order": ((LEAF, ROOT, MIDDLE), None, CERTIFICATE, "did not issue certificate 1"),
    "without-its-intermediate": ((LEAF,), None, CERTIFICATE, "lacks the intermediate certificate (CN=Middle)"),
    "with-another-key": ((LEAF, MIDDLE), MIDDLE, KEY, "is not the key of the first certificate"),
}


def settings(folder: Path, case: str) -> dict[str, Any]:
    """Settings that are right but for the certificate; its files are in `folder`."""
    chain, key, _, _ = WRONG[case]
    return own(folder, case, chain, key)


def own(folder: Path, name: str, chain: tuple[Signed, ...], key: Signed | None = None) -> dict[str, Any]:
    certificate, private = write(folder, name, chain, key)
    private.chmod(0o600)
    files = {CERTIFICATE: str(certificate), KEY: str(private)}
    return {"ai_domain": DOMAIN, "ai_github_owner": "octo-org", "ai_tls": "own", **files}


def test_a_good_one_is_taken(clean: Path) -> None:
    assert load(own(clean, "good", (LEAF, MIDDLE))).ai_tls == "own"


@pytest.mark.parametrize("case", WRONG)
def test_one_that_will_not_do_is_refused_by_ai_deploy(case: str, clean: Path, untouched: Untouched) -> None:
    config = clean / "own.yml"
    config.write_text(yaml.safe_dump(settings(clean, case)))
    done = CliRunner().invoke(app, ["deploy", f"127.0.0.1:{untouched.port}", "--config", str(config)])
    assert done.exit_code == 2
    _, _, name, words = WRONG[case]
    [line] = [line for line in done.stderr.splitlines() if line.startswith("  ai_")]
    assert line.startswith(f"  {name}: ")
    assert words in line
    assert "the host was not touched" in done.stderr
    assert not untouched.was_contacted()


def test_those_that_will_not_do_are_refused_by_ansible_playbook(clean: Path, untouched: Untouched) -> None:
    """All in one run: a host for each."""
    place = {"ansible_host": "127.0.0.1", "ansible_port": untouched.port, "ansible_user": "nobody"}
    inventory, events = clean / "hosts.json", clean / "events"
    inventory.write_text(json.dumps({"all": {"hosts": {case: place | settings(clean, case) for case in WRONG}}}))
    done = ansible("site.yml", "-i", str(inventory), events=events)
    assert done.returncode == 2, done.stdout
    rows = [json.loads(line) for line in events.read_text().splitlines()]
    said = {row["host"]: row["message"] for row in rows if row["event"] == "result"}
    assert said.keys() == WRONG.keys()
    for case, (_, _, name, words) in WRONG.items():
        [line] = [line for line in said[case].splitlines() if line.startswith("ai_")]
        assert line.startswith(f"{name}: "), line
        assert words in line
    assert not untouched.was_contacted()


def test_what_is_wrong_with_the_domain_is_said_alone(clean: Path) -> None:
    """Without a name there is nothing to compare the certificate with."""
    config = clean / "own.yml"
    config.write_text(yaml.safe_dump(own(clean, "good", (LEAF, MIDDLE)) | {"ai_domain": "https://x/"}))
    done = CliRunner().invoke(app, ["deploy", "127.0.0.1", "--config", str(config)])
    assert [line.split(":")[0].strip() for line in done.stderr.splitlines() if line.startswith("  ai_")] == [
        "ai_domain"
    ]
