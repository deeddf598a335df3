"""Use the front door from the host itself, and say what is not as it should be.

Right after a reload old workers may still answer for a moment, so what is wrong is looked at again for some seconds.
"""

import argparse
import http.client
import socket
import ssl
import sys
import time
from pathlib import Path

PATIENCE_S = 15


def main():
    """Exit with 0 when all is well, with 1 and one line for each thing that is not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--domain", default="")
    parser.add_argument("--tls", required=True)
    parser.add_argument("--certificate", default="")
    parser.add_argument("--unknown-http", action="store_true")
    parser.add_argument("--unknown-https", action="store_true")
    wanted = parser.parse_args()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        wrong = list(problems(wanted))
        if not wrong:
            return
        if time.monotonic() > deadline:
            sys.exit("\n".join(wrong))
        time.sleep(0.2)


def problems(wanted):
    """What is not as it should be."""
    if wanted.tls == "off":
        status, _ = plain(wanted.domain or "localhost", "/health")
        if status is None:
            yield "nginx does not answer on port 80; journalctl -u nginx says why."
    else:
        served = served_certificate(wanted.domain)
        there = ssl.PEM_cert_to_DER_cert(first(Path(wanted.certificate).read_text()))
        if served != there:
            yield f"nginx does not serve {wanted.certificate} for {wanted.domain}; systemctl reload nginx."
        # A path that no old API has: those may be answered on port 80, as before a migration.
        status, location = plain(wanted.domain, "/?x=1")
        if (status, location) != (308, f"https://{wanted.domain}/?x=1"):
            yield f"Port 80 does not lead to https for {wanted.domain}: it said {status} {location}."
    if wanted.unknown_http and plain("unknown.invalid", "/")[0] is not None:
        yield "Port 80 answers for names that are not ours."
    if wanted.unknown_https and served_certificate("unknown.invalid") is not None:
        yield "Port 443 shows a certificate to who asks for another name."


def plain(host, path):
    """Status and Location on port 80; (None, None) when the connection is closed without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location")
    except (OSError, http.client.HTTPException):
        return None, None
    finally:
        connection.close()


def served_certificate(name):
    """The certificate that port 443 shows for a name, in DER; None when it refuses."""
    context = ssl.create_default_context()
    context.check_hostname = False
    # Compared with the file byte by byte; whether it is trusted is asked from outside.
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", 443), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=name) as secured,
        ):
            return secured.getpeercert(binary_form=True)
    except OSError:
        return None


def first(pem):
    """The first certificate of a PEM file."""
    end = "-----END CERTIFICATE-----"
    return pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(end) + len(end)]


main()
