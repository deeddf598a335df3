"""Say what certbot has here: `lineages.py DOMAIN DIRECTORY_URL` prints one JSON object.

`wanted`: why a certificate has to be obtained ('' when the one here will do); `ours`: whether it is renewed by
Cloudflare's DNS; `foreign_servers`: the authorities of this host's other certificates that are not DIRECTORY_URL.
"""

import json
import re
import subprocess
import sys
from pathlib import Path


def main():
    """Print the object."""
    domain, directory = sys.argv[1:3]
    settings = {path.stem: read(path) for path in Path("/etc/letsencrypt/renewal").glob("*.conf")}
    own = settings.pop(domain, None)
    foreign = sorted({each.get("server", "") for each in settings.values()} - {directory})
    ours = own is None or own.get("authenticator") == "dns-cloudflare"
    state = {"wanted": wanted(own, ours, domain, directory), "ours": ours, "foreign_servers": foreign}
    sys.stdout.write(json.dumps(state))


def wanted(own, ours, domain, directory):
    """Why a certificate has to be obtained, or ''."""
    if own is None:
        return "there is none yet"
    if ours and own.get("server") != directory:
        return "it is from another certificate authority"
    certificate = f"/etc/letsencrypt/live/{domain}/cert.pem"
    if "does match" not in openssl(certificate, "-checkhost", domain).stdout:
        return "it is not for this name"
    return "" if openssl(certificate, "-checkend", "86400").returncode == 0 else "it ends within a day"


def openssl(certificate, *question):
    """What openssl answers to one question about a certificate."""
    command = ["openssl", "x509", "-in", certificate, "-noout", *question]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def read(path):
    """The options of a renewal file; its sections matter to nobody here."""
    return dict(re.findall(r"^(\w+) = (.*)$", path.read_text(), re.MULTILINE))


main()
