"""The certificate's life on a real host: real certbot, real ACME server, real DNS, real nginx (S0.6, S0.10)."""

from __future__ import annotations

import contextlib
import re
import ssl
import sys
import time
from collections.abc import Iterator

import pytest

from host.lab import engine
from host.lab.place import LabError
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]


@pytest.fixture(params=["deployed_host", "bookworm_host"])
def host(request: pytest.FixtureRequest) -> Deployed:
    """Debian 13 with certbot 4, and Debian 12 with certbot 2.1."""
    chosen = request.getfixturevalue(request.param)
    assert isinstance(chosen, Deployed)
    return chosen


def run(host: Deployed, *command: str) -> str:
    return engine.run_in(host.container, command)


def typed(host: Deployed, line: str) -> str:
    """A command as it is printed, typed at a terminal. (Without one `certbot renew` waits up to eight minutes.)"""
    return run(host, "script", "--quiet", "--return", "--command", line, "/dev/null")


def stored(host: Deployed) -> str:
    """The certificate in the file that nginx was told, as PEM."""
    return run(host, "openssl", "x509", "-in", f"/etc/letsencrypt/live/{host.operator.domain}/cert.pem").strip()


def served(host: Deployed) -> str:
    """The certificate that is served on port 443, as PEM."""
    domain = host.operator.domain
    shown = run(
        host, "sh", "-c", f"openssl s_client -connect 127.0.0.1:443 -servername {domain} </dev/null 2>/dev/null"
    )
    found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", shown, re.DOTALL)
    assert found, shown
    return found[0]


def same(one: str, other: str) -> bool:
    return ssl.PEM_cert_to_DER_cert(one) == ssl.PEM_cert_to_DER_cert(other)


def wait_until_served(host: Deployed, certificate: str) -> None:
    """A reload is done when the workers of before take no more connections."""
    deadline = time.monotonic() + 30
    while not same(served(host), certificate):
        assert time.monotonic() < deadline, "nginx still serves the old certificate"
        time.sleep(0.2)


def test_the_served_certificate_is_from_the_authority_and_for_the_name(host: Deployed) -> None:
    """Checked by curl from outside, which trusts the lab's roots alone."""
    answer = host.curl("/health")
    assert answer.status == 0, answer.text
    issuer = run(
        host, "openssl", "x509", "-in", f"/etc/letsencrypt/live/{host.operator.domain}/cert.pem", "-noout", "-issuer"
    )
    assert "Pebble" in issuer


def test_no_challenge_is_left_in_dns(host: Deployed) -> None:
    asked = (
        "import dns.resolver\n"
        f"try: print(*dns.resolver.resolve('_acme-challenge.{host.operator.domain}', 'TXT'))\n"
        "except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer): print('nothing')\n"
    )
    assert host.operator.run(sys.executable, "-c", asked).text.strip() == "nothing"


def test_the_commands_of_the_manual_work_as_printed(host: Deployed) -> None:
    domain = host.operator.domain
    shown = typed(host, "sudo certbot certificates")
    assert f"Certificate Name: {domain}" in shown
    assert "VALID" in shown
    assert "all simulated renewals succeeded" in typed(host, "sudo certbot renew --dry-run")


def test_a_forced_renewal_as_printed_is_served_at_once(host: Deployed) -> None:
    before = stored(host)
    typed(
        host,
        "sudo certbot certonly --dns-cloudflare --dns-cloudflare-credentials /etc/letsencrypt/cloudflare.ini "
        f"-d {host.operator.domain} --force-renewal",
    )
    assert not same(stored(host), before)
    wait_until_served(host, stored(host))


@contextlib.contextmanager
def due(host: Deployed) -> Iterator[None]:
    """Make the certificate due for renewal: certbot is told to renew a century before its end."""
    settings = f"/etc/letsencrypt/renewal/{host.operator.domain}.conf"
    kept = run(host, "cat", settings)
    changed = re.sub(r"^#? *renew_before_expiry.*\n", "", kept, flags=re.MULTILINE)
    engine.run_in(host.container, ["tee", settings], stdin=f"renew_before_expiry = 36500 days\n{changed}")
    try:
        yield
    finally:
        engine.run_in(host.container, ["tee", settings], stdin=kept)


def test_the_timer_renews_and_nginx_serves_the_new_one(host: Deployed) -> None:
    """What the timer starts, started now."""
    assert run(host, "systemctl", "is-enabled", "certbot.timer").strip() == "enabled"
    assert run(host, "systemctl", "is-active", "certbot.timer").strip() == "active"
    before = stored(host)
    with due(host):
        run(host, "systemctl", "start", "certbot.service")
    assert not same(stored(host), before)
    wait_until_served(host, stored(host))


def test_a_certificate_that_is_not_due_is_left_alone(host: Deployed) -> None:
    before = stored(host)
    run(host, "systemctl", "start", "certbot.service")
    assert same(stored(host), before)


def test_a_broken_configuration_is_not_loaded_by_a_renewal(host: Deployed) -> None:
    """The hook asks `nginx -t` first: the old certificate stays, the site stays up, and the log says what to do."""
    broken = "/etc/nginx/sites-enabled/broken"
    before = served(host)
    engine.run_in(host.container, ["tee", broken], stdin="server { listen nowhere; }\n")
    try:
        with due(host), contextlib.suppress(LabError):
            run(host, "systemctl", "start", "certbot.service")
        assert same(served(host), before)
        assert not same(stored(host), before)
        assert "nginx keeps serving the old one" in run(host, "cat", "/var/log/letsencrypt/letsencrypt.log")
    finally:
        run(host, "rm", "-f", broken)
    run(host, "systemctl", "reload", "nginx")
    wait_until_served(host, stored(host))


def test_the_renewal_comes_at_a_third_of_its_life(host: Deployed) -> None:
    """certbot 4 does so by itself; older ones are told in hours, anew after each renewal."""
    version = run(host, "certbot", "--version")
    settings = run(host, "cat", f"/etc/letsencrypt/renewal/{host.operator.domain}.conf")
    told = re.search(r"^renew_before_expiry = (\d+) hours$", settings, re.MULTILINE)
    if version.startswith("certbot 4"):
        assert told is None
    else:
        assert told
        dates = run(
            host, "sh", "-c", f"openssl x509 -in /etc/letsencrypt/live/{host.operator.domain}/cert.pem -noout -dates"
        )
        begins, ends = (ssl.cert_time_to_seconds(line.partition("=")[2]) for line in dates.splitlines())
        assert int(told[1]) == (ends - begins) // 3600 // 3


def test_the_token_is_for_root_alone(host: Deployed) -> None:
    assert run(host, "stat", "--format", "%a %U", "/etc/letsencrypt/cloudflare.ini").strip() == "600 root"
