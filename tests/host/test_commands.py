"""S0.10: the commands that the documentation prints work on a deployed host, as printed, for who logs in by SSH."""

from __future__ import annotations

import json
import socket
import ssl

import pytest

from host.lab import engine, hosts
from host.story import Deployed

pytestmark = [pytest.mark.host, pytest.mark.promise("S0.10"), pytest.mark.timeout(600)]

FOLLOW = "timeout --preserve-status -s INT 3 "  # who follows a log ends it with Ctrl-C


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("cd /opt/ai && docker compose ps", "gateway"),
        (f"cd /opt/ai && {FOLLOW}docker compose logs -f whisper-api", "whisper-api"),
        (f"cd /opt/ai && {FOLLOW}docker compose logs -f ollama", "ollama"),
        ("docker exec ollama ollama list", "gemma3:270m"),
        (f"{FOLLOW}docker logs ollama -f 2>&1", "Listening"),
        ("sudo certbot certificates", "Certificate Name"),
        ("sudo certbot renew --dry-run", "succeeded"),
    ],
    ids=lambda value: value.replace(FOLLOW, "") if " " in value else "",
)
def test_a_printed_command_works(deployed_host: Deployed, command: str, says: str) -> None:
    done = deployed_host.ssh().run(command)
    assert done.rc in ((0, 130) if FOLLOW in command else (0,)), f"{done.rc}: {done.stdout}{done.stderr}"
    assert says in done.stdout + done.stderr


def test_a_model_is_pulled_by_hand(deployed_host: Deployed) -> None:
    """Removed first, so that something is really fetched."""
    shell, model = deployed_host.ssh(), deployed_host.operator.settings["ai_ollama_model"]
    assert shell.run(f"docker exec ollama ollama rm {model}").rc == 0
    done = shell.run(f"docker exec ollama ollama pull {model}")
    assert done.rc == 0, done.stderr[-600:]
    assert model in shell.run("docker exec ollama ollama list").stdout


def test_a_model_is_warmed_by_hand(deployed_host: Deployed) -> None:
    model = deployed_host.operator.settings["ai_ollama_model"]
    body = json.dumps({"model": model, "prompt": "Hi", "stream": False})
    answer = deployed_host.curl("/generate", "-X", "POST", "-d", body)
    assert json.loads(answer.text)["done"] is True


def test_a_forced_renewal_puts_the_new_certificate_before_the_door(deployed_host: Deployed) -> None:
    """Without a restart: the deploy hook reloads nginx, and it serves what certbot fetched."""
    before = _served(deployed_host)
    done = deployed_host.ssh().run(
        "sudo certbot certonly --dns-cloudflare --dns-cloudflare-credentials /etc/letsencrypt/cloudflare.ini "
        f"-d {deployed_host.operator.domain} --force-renewal"
    )
    assert done.rc == 0, done.stdout + done.stderr
    stored = engine.run_in(
        deployed_host.container, ["cat", f"/etc/letsencrypt/live/{deployed_host.operator.domain}/cert.pem"]
    )
    assert _served(deployed_host) == ssl.PEM_cert_to_DER_cert(stored) != before
    # and for the next run that is how it should be
    outcome = deployed_host.deploy("run after a forced renewal")
    assert "nothing had to be changed" in outcome.text, outcome.text


def test_the_renewal_timer_does_what_it_is_for(deployed_host: Deployed) -> None:
    """The unit that the timer starts is run now: it ends well, and leaves a certificate alone that is not due."""
    before = _served(deployed_host)
    container = deployed_host.container
    timers = engine.run_in(container, ["systemctl", "list-timers", "--all", "--no-legend", "certbot.timer"])
    assert "certbot.service" in timers
    engine.run_in(container, ["systemctl", "start", "certbot.service"])
    assert engine.run_in(container, ["systemctl", "show", "-P", "Result", "certbot.service"]).strip() == "success"
    assert _served(deployed_host) == before


def _served(host: Deployed) -> bytes:
    """The certificate that a client is shown, DER."""
    own = hosts.address_of(host.lab, host.operator.host)
    context = ssl.create_default_context(cafile=str(host.lab.trusted))
    with (
        socket.create_connection((own, 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host.operator.domain) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    assert shown is not None
    return shown
