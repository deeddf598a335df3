"""What certbot said, in plain words: what happened, to what, what to do next."""

from __future__ import annotations

import re
from collections.abc import Callable

# (what certbot, its Cloudflare plugin or the authority print, what it means and what to do), first match wins.
# Cloudflare's codes: 6003/6111 malformed, 9109 unknown token, 10000 no permission, 971/10429 too many requests.
TABLE: tuple[tuple[str, str], ...] = (
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "The host does not trust the certificate of a server that it asks: Cloudflare's API, or the authority in "
        "ai_acme_directory. Behind a proxy that re-signs TLS, or with an authority of your own, name the root "
        "certificate in ai_extra_ca_file.",
    ),
    (
        r"error from Cloudflare was: 0 |host='api\.cloudflare\.com'|CFnetworkError",
        "The host does not reach Cloudflare's API (https://api.cloudflare.com). Check its way out: DNS, proxy, "
        "firewall.",
    ),
    (
        r"Error determining zone_id: (?:6003|9109|9103)|Invalid access token|Invalid request headers",
        "Cloudflare does not know the API token (mistyped, revoked or expired). Make a new one (My Profile, API "
        'Tokens, template "Edit zone DNS", limited to the zone of {domain}), put it into the file that '
        "ai_cloudflare_token_file names, and run the deployment again.",
    ),
    (
        r"Unable to determine zone_id.*(?:429|971|10429|throttling)|throttling your request speed",
        "Cloudflare answers no more for now: more than 1200 requests in five minutes came with this token. Wait "
        "five minutes and run the deployment again.",
    ),
    (
        r"Unable to determine zone_id for",
        "The API token sees no zone at Cloudflare that {domain} belongs to. Either the zone is not in this "
        "account, or the token is limited to other zones: give it the permission Zone, DNS, Edit for this zone, "
        "and check ai_domain for a slip.",
    ),
    (
        r"Error communicating with the Cloudflare API: (?:Authentication error|.*permission)",
        "Cloudflare's token may see the zone of {domain} but not change its DNS. Give it the permission Zone, "
        "DNS, Edit for this zone and run the deployment again.",
    ),
    (
        r"Error communicating with the Cloudflare API: (?:An identical record|The record already|Record already)",
        "A record _acme-challenge.{domain} of an earlier, broken attempt is still at Cloudflare. Delete it in "
        "the dashboard (DNS, Records) and run the deployment again.",
    ),
    (
        r"rateLimited|too many (?:certificates|failed authorizations|new orders|registrations)",
        "The certificate authority has issued, or been asked for, too many certificates for {domain}, and says "
        "no for now. Its message names the time to try again. Until then use a test authority "
        "(ai_acme_directory=https://acme-staging-v02.api.letsencrypt.org/directory) or an own certificate "
        "(ai_tls=own).",
    ),
    (
        r"error:caa\b|CAA record",
        "A CAA record in DNS forbids this authority to issue for {domain}. Add one that allows it (for Let's "
        'Encrypt: CAA 0 issue "letsencrypt.org") and run the deployment again.',
    ),
    (
        r"NXDOMAIN looking up TXT|No TXT record found|Incorrect TXT record|error:dns\b|DNS problem"
        r"|error:unauthorized",
        "The certificate authority did not see the record _acme-challenge.{domain} that was written at "
        "Cloudflare. Either it needs longer (raise ai_dns_propagation_s, to 120 for instance), or the domain's "
        "name servers are not Cloudflare's: compare with 'dig NS' for the zone.",
    ),
    (
        r"Name or service not known|NameResolutionError|Temporary failure in name resolution"
        r"|Connection refused|timed? ?out|Max retries exceeded|ConnectionError|Network is unreachable",
        "The host does not reach the certificate authority (ai_acme_directory). Check its way out: DNS, proxy, "
        "firewall, and the URL.",
    ),
    (
        r"ClientError: <Response \[(?:4|5)\d\d\]>|Requesting \S+: (?!Connection refused)",
        "ai_acme_directory does not lead to the directory of a certificate authority. Check the URL: for Let's "
        "Encrypt leave it out; others print theirs in their manual.",
    ),
    (
        r"rejectedIdentifier|Cannot issue for|does not end with a valid public suffix|Policy forbids",
        "This authority issues nothing for {domain}: the name is not public or not allowed. Give a name in a "
        "public zone, or name your own authority in ai_acme_directory.",
    ),
    (
        r"invalidContact|unsupportedContact|is not a valid e-?mail|Error creating new account",
        "The certificate authority does not take ai_acme_email. Give an address that exists, or leave it out.",
    ),
    (
        r"accountDoesNotExist",
        "The certificate authority no longer knows this host's account. Move the folder that is named after the "
        "authority out of /etc/letsencrypt/accounts and run the deployment again: it registers anew.",
    ),
    (
        r"Another instance of Certbot is already running",
        "Another certbot runs on this host (the renewal, perhaps). Wait until it has ended and run the "
        "deployment again.",
    ),
    (
        r"No space left on device",
        "The host's disk is full. Make room (the folder is /etc/letsencrypt or /var/log) and run the deployment again.",
    ),
)
_NOISE = re.compile(
    r"Saving debug log to|Ask for help|See the logfile|Some challenges have failed|^- -|Encountered exception during"
    r"|^self\.cf = |^!!|PendingDeprecationWarning|An unexpected error occurred:|Simulating a certificate request"
    r"|Plugins selected|Please choose|Requesting a certificate|Account registered|Waiting \d+ seconds|Hint: "
)


def certbot_advice(output: str, domain: str) -> str:
    """One sentence of ours for what certbot printed, and its own words after it.

    `output` is all it printed (standard output and error). An output that no row knows is given as it is, with where
    to look.
    """
    for pattern, advice in TABLE:
        if re.search(pattern, output, re.IGNORECASE | re.DOTALL):
            return f"{advice.format(domain=domain)} (certbot said: {essence(output)})"
    return (
        f"certbot obtained no certificate for {domain}: {essence(output)} The whole story is on the host in "
        "/var/log/letsencrypt/letsencrypt.log."
    )


def essence(output: str) -> str:
    """The lines of certbot's output that say something, as one, at most 600 characters long."""
    lines = [line.strip() for line in output.splitlines() if line.strip() and not _NOISE.search(line.strip())]
    text = " ".join(dict.fromkeys(lines))
    return text if len(text) <= 600 else f"{text[:600]}…"


class FilterModule:
    """Ansible's door to the filter."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filters by name."""
        return {"certbot_advice": certbot_advice}
