"""What certbot says when Cloudflare or the authority refuses becomes a sentence with the next step (S0.6).

The outputs were recorded from certbot 2.1.0 and 4.0.0 with their Cloudflare plugins (Debian 12 and 13) against the
stand-in and pebble, shortened; those of Let's Encrypt that pebble cannot make are from its documentation of errors.
"""

from __future__ import annotations

import importlib.util

import pytest

from front import render

_SPEC = importlib.util.spec_from_file_location(
    "certbot_advice", render.ROOT / "ansible/roles/certbot_cloudflare/filter_plugins/certbot_advice.py"
)
assert _SPEC
assert _SPEC.loader
MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(MODULE)

OUTPUTS = {
    "wrong token": (
        "Error determining zone_id: 9109 Invalid access token. Please confirm that you have supplied valid Cloudflare "
        "API credentials. (Did you enter a valid Cloudflare Token?)",
        "does not know the API token",
    ),
    "malformed token": (
        "Error determining zone_id: 6003 Invalid request headers. Please confirm that you have supplied valid "
        "Cloudflare API credentials. (Did you copy your entire API token/key?)",
        "does not know the API token",
    ),
    "token without the zone": (
        "Unable to determine zone_id for ai.lab.test using zone names: ['ai.lab.test', 'lab.test', 'test']. Please "
        "confirm that the domain name has been entered correctly and is already associated with the supplied "
        "Cloudflare account.",
        "sees no zone",
    ),
    "token that may only read": (
        "Encountered CloudFlareAPIError adding TXT record: 10000 Authentication error\n"
        "Error communicating with the Cloudflare API: Authentication error",
        "permission Zone, DNS, Edit",
    ),
    "too many requests to Cloudflare": (
        "Unable to determine zone_id for ai.lab.test using zone names: ['ai.lab.test']. The error from Cloudflare was: "
        "971 More than 1200 requests per 300 seconds reached. Please wait and consider throttling your request speed.",
        "Wait five minutes",
    ),
    "left-over record": (
        "Error communicating with the Cloudflare API: An identical record already exists.",
        "Delete it in the dashboard",
    ),
    "Cloudflare out of reach": (
        "CloudFlare.exceptions.CloudFlareAPIError: network request connection error: HTTPSConnectionPool("
        "host='api.cloudflare.com', port=443): Max retries exceeded",
        "does not reach Cloudflare's API",
    ),
    "authority out of reach": (
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.lab.test', port=443): Max retries "
        "exceeded with url: /dir (Caused by NameResolutionError)",
        "does not reach the certificate authority",
    ),
    "authority not trusted": (
        "requests.exceptions.SSLError: HTTPSConnectionPool(host='acme.lab.test', port=443): Max retries exceeded with "
        "url: /dir (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate "
        "verify failed: self-signed certificate in certificate chain')))",
        "ai_extra_ca_file",
    ),
    "rate limited": (
        "An unexpected error occurred:\nError creating new order :: too many certificates (5) already issued for this "
        "exact set of domains in the last 168h0m0s, retry after 2026-11-23 10:00:00 UTC",
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
    "another certbot": ("Another instance of Certbot is already running.", "Another certbot runs"),
    "disk full": ("OSError: [Errno 28] No space left on device: '/etc/letsencrypt/archive'", "disk is full"),
}


@pytest.mark.parametrize(("said", "told"), OUTPUTS.values(), ids=OUTPUTS)
def test_an_error_becomes_a_sentence_with_the_next_step(said: str, told: str) -> None:
    noise = "Saving debug log to /var/log/letsencrypt/letsencrypt.log\nRequesting a certificate for ai.lab.test\n"
    tail = "\nAsk for help or search for solutions at https://community.letsencrypt.org. See the logfile"
    advice = MODULE.certbot_advice(noise + said + tail, "ai.lab.test")
    assert told in advice
    assert "{domain}" not in advice
    assert "community.letsencrypt.org" not in advice


def test_what_nobody_foresaw_is_shown_as_it_is() -> None:
    advice = MODULE.certbot_advice("The moon is in the wrong house.\n", "ai.lab.test")
    assert advice.startswith("certbot obtained no certificate for ai.lab.test: The moon is in the wrong house.")
    assert "letsencrypt.log" in advice
    assert len(MODULE.certbot_advice("x " * 5000, "ai.lab.test")) < 900
