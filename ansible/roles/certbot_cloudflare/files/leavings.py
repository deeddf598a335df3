"""Remove what `certbot delete` leaves of a lineage: `leavings.py NAME [ROOT]` prints a line for each file that went.

certbot before 3.0 (Debian 12) keeps a copy of every private key, and its signing request, beside the lineage. Those of
other certificates are told apart by the key itself.
"""

import subprocess
import sys
from pathlib import Path


def main():
    """Remove them."""
    name, root = sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else "/etc/letsencrypt")
    own = {path.read_bytes() for path in (root / "archive" / name).glob("privkey*.pem")}
    keys = [path for path in sorted((root / "keys").glob("*_key-certbot.pem")) if path.read_bytes() in own]
    public = {openssl("pkey", "-in", path, "-pubout") for path in keys} - {""}
    requests = [
        path
        for path in sorted((root / "csr").glob("*_csr-certbot.pem"))
        if openssl("req", "-in", path, "-noout", "-pubkey") in public
    ]
    # Requests first: without the key nobody would find them again.
    for path in requests + keys:
        path.unlink()
        sys.stdout.write(f"{path}\n")


def openssl(*command):
    """What openssl prints; nothing where it fails."""
    done = subprocess.run(["openssl", *map(str, command)], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


main()
