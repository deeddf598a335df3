"""The certificate: what is served, until when, and whether it will be renewed."""

from __future__ import annotations

from ai_services.doctor.checks.door import domain_of
from ai_services.doctor.verdict import Fix, Seen, Verdict, check, failed, ok, skipped, warning

GROUP = "certificate"
# Renewal comes at two thirds of a certificate's life; later than three quarters it has failed to come.
# Source of the short lives to come: facts.md, "Let's Encrypt lifetimes shrink": hence fractions, not days.
LATE_FRACTION = 0.25
FAILED_DAYS = 3
DAY_S = 86_400


def _tls(seen: Seen) -> str:
    return str((seen["release"] or {}).get("settings", {}).get("ai_tls", ""))


@check("certificate", GROUP)
def certificate(seen: Seen) -> Verdict:
    """Is the served certificate valid: days left, name, chain, and is it the newest one on disk?

    Seen as a client sees it, by a TLS connection to this machine with the domain's name. Failed when it is expired, has
    another name, ends in less than three days, or cannot be traced to an authority this machine trusts. Warning when
    less than a quarter of its life is left: renewal did not come in time, and `certbot renew` shows why.
    A newer one on disk than the one served wants `systemctl reload nginx`; `--fix` does that.
    """
    if _tls(seen) == "off":
        return skipped("TLS is off (ai_tls=off): everything on the network can be read along")
    domain = domain_of(seen)
    found = seen["certificate"]
    if not found["served"]:
        return failed(f"no TLS on port 443 for {domain}: {found['why']}", "`systemctl status nginx`, `nginx -t`")
    days = found["left_s"] / DAY_S
    renew = (
        f"`certbot renew --cert-name {domain}` and read what it says"
        if _tls(seen) == "letsencrypt"
        else ("Put a valid one into ai_tls_certificate_file and ai_tls_key_file, then `./ai deploy HOST`")
    )
    if found["disk_differs"]:
        return failed(
            f"nginx serves another certificate than the one on disk (served: {days:.0f} days left)",
            "`systemctl reload nginx`",
            Fix("reload-unit", "nginx.service"),
        )
    if days < 0:
        return failed(f"expired {-days:.0f} days ago" if days < -1 else "expired", renew)
    if found["not_yet_s"] > 0:
        return failed("it becomes valid only in the future", "Check the clock (`timedatectl`), else " + renew)
    if not found["name_matches"]:
        return failed(
            f"it is for {', '.join(found['names'][:4]) or 'nobody'}, not for {domain}",
            "`./ai deploy HOST` with the right ai_domain" if _tls(seen) == "letsencrypt" else renew,
        )
    if found["verify_error"]:
        return failed(
            f"clients will not trust it: {found['verify_error']}",
            "Serve the whole chain (fullchain.pem); clients must know a private authority (ai_extra_ca_file)",
        )
    said = f"{domain}, {days:.0f} days left, from {found['issuer'] or 'an unnamed issuer'}"
    if days < FAILED_DAYS:
        return failed(said, renew)
    if found["left_s"] < found["life_s"] * LATE_FRACTION:
        return warning(f"{said}: renewal is overdue", renew)
    return ok(said)


@check("renewal", GROUP)
def renewal(seen: Seen) -> Verdict:
    """Will the certificate be renewed: is the timer on, did its last run succeed, does certbot know the domain?

    The timer is Debian's `certbot.timer`, twice a day. `--fix` enables and starts it. The last run's own words are in
    `/var/log/letsencrypt/letsencrypt.log`; `certbot renew --dry-run` tries it all without changing anything.
    """
    if _tls(seen) != "letsencrypt":
        return skipped("the certificate is not made by certbot here")
    found = seen["renewal"]
    timer = found["timer"]
    if timer["load"] != "loaded":
        return failed("certbot.timer is not there: nothing renews the certificate", "`./ai deploy HOST` installs it")
    if timer["enabled"] not in ("enabled", "static") or timer["active"] != "active":
        how = "disabled" if timer["enabled"] not in ("enabled", "static") else "stopped"
        return failed(
            f"certbot.timer is {how}: nothing renews the certificate",
            "`systemctl enable --now certbot.timer`",
            Fix("enable-unit", "certbot.timer"),
        )
    if not found["configured"]:
        return failed(f"certbot has no renewal settings for {domain_of(seen)}", "`./ai deploy HOST` obtains it anew")
    if found["last_failed"]:
        return failed(
            f"the last renewal failed: {found['last_said'] or 'no reason given'}",
            "`certbot renew --dry-run`; usual: the Cloudflare token was revoked, or the CA cannot be reached",
        )
    return ok(f"certbot.timer is on, last run {found['last_said'] or 'has not been yet'}")


@check("renewal-hook", GROUP)
def renewal_hook(seen: Seen) -> Verdict:
    """Will nginx take the new certificate after a renewal?

    Without a deploy hook nginx goes on serving the old one until it expires. The hook lies in
    `/etc/letsencrypt/renewal-hooks/deploy/` (or is named in the renewal settings), is executable and reloads nginx.
    """
    if _tls(seen) != "letsencrypt":
        return skipped("the certificate is not made by certbot here")
    hooks = seen["renewal"]["hooks"]
    good = [hook["path"] for hook in hooks if hook["executable"] and hook["reloads"]]
    if good:
        return ok(", ".join(good))
    dull = [hook["path"] for hook in hooks if hook["reloads"]]
    if dull:
        return failed(f"{dull[0]} is not executable", f"`chmod 0755 {dull[0]}`", Fix("chmod-0755", dull[0]))
    return failed("no hook reloads nginx after a renewal", "`./ai deploy HOST` puts it back")
