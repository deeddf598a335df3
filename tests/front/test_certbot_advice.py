"""What certbot says when Cloudflare or the authority refuses becomes a sentence with the next step (S0.6).

certbot_said.json was recorded on 2026-11-21 from certbot 2.1.0 and 4.0.0 with their Cloudflare plugins (Debian 12 and
13) against the stand-in for Cloudflare and pebble.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from front import render

_SPEC = importlib.util.spec_from_file_location(
    "certbot_advice", render.ROOT / "ansible/roles/certbot_cloudflare/filter_plugins/certbot_advice.py"
)
assert _SPEC
assert _SPEC.loader
MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(MODULE)

# What was recorded: certbot's version -> what was wrong -> all that it printed.
RECORDED: dict[str, dict[str, str]] = json.loads((Path(__file__).parent / "certbot_said.json").read_text())
TOLD = {
    "unknown": "does not know the API token",
    "malformed": "does not know the API token",
    "stranger": "sees no zone",
    "reader": "permission Zone, DNS, Edit",
    "limited": "Wait five minutes",
    "cloudflare-out": "does not reach Cloudflare's API",
    "acme-out": "does not reach the certificate authority",
    "acme-refused": "does not reach the certificate authority",
    "acme-nodir": "does not lead to the directory",
    "acme-untrusted": "name the root certificate in ai_extra_ca_file",
}
# What the real services say and ours do not: Let's Encrypt's words from its documentation and from its users' reports.
REPORTED = {
    "left-over record": (
        "Error communicating with the Cloudflare API: An identical record already exists.",
        "Delete it in the dashboard",
    ),
    "rate limited": (
        "Error creating new order :: too many certificates (5) already issued for this exact set of domains in the "
        "last 168h0m0s, retry after 2026-11-23 10:00:00 UTC",
        "too many certificates for ai.lab.test",
    ),
    "CAA": (
        "urn:ietf:params:acme:error:caa :: Certification Authority Authorization (CAA) records forbid the CA from "
        "issuing a certificate :: While processing CAA for ai.lab.test: CAA record for lab.test prevents issuance",
        "A CAA record in DNS forbids",
    ),
    "record not seen": (
        "Certbot failed to authenticate some domains (authenticator: dns-cloudflare). The Certificate Authority "
        "reported these problems:\n  Domain: ai.lab.test\n  Type:   unauthorized\n  Detail: No TXT record found at "
        "_acme-challenge.ai.lab.test\nHint: The Certificate Authority failed to verify the DNS TXT records created by "
        "--dns-cloudflare.",
        "raise ai_dns_propagation_s",
    ),
    "forgotten account": (
        "urn:ietf:params:acme:error:accountDoesNotExist :: The request specified an account that does not exist :: "
        "Account https://acme.lab.test/my-account/1a40dab08a921954 not found.",
        "no longer knows this host's account",
    ),
    "another certbot": ("Another instance of Certbot is already running.", "Another certbot runs"),
    "disk full": ("OSError: [Errno 28] No space left on device: '/etc/letsencrypt/archive'", "disk is full"),
}
CASES = {f"{version}: {what}": (said, TOLD[what]) for version, each in RECORDED.items() for what, said in each.items()}
CASES |= REPORTED


@pytest.mark.parametrize(("said", "told"), CASES.values(), ids=CASES)
def test_an_error_becomes_a_sentence_with_the_next_step(said: str, told: str) -> None:
    advice = MODULE.certbot_advice(said, "ai.lab.test")
    assert told in advice
    for noise in ("{domain}", "community.letsencrypt.org", "Saving debug log", "self.cf", "!!"):
        assert noise not in advice
    assert "certbot said: " in advice


def test_what_nobody_foresaw_is_shown_as_it_is() -> None:
    advice = MODULE.certbot_advice("The moon is in the wrong house.\n", "ai.lab.test")
    assert advice.startswith("certbot obtained no certificate for ai.lab.test: The moon is in the wrong house.")
    assert "letsencrypt.log" in advice
    assert len(MODULE.certbot_advice("x " * 5000, "ai.lab.test")) < 900
