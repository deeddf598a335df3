"""Start a stand-in by hand: `PYTHONPATH=tests python -m terraform.proxmox --port 8006`."""

from __future__ import annotations

import argparse
import tempfile
import threading
from pathlib import Path

import trustme

from terraform.proxmox.node import node
from terraform.proxmox.server import serving


def main() -> None:
    """Serve one node until Ctrl-C; says where, with which token, and what to trust."""
    parser = argparse.ArgumentParser(prog="python -m terraform.proxmox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--secret", default="00000000-0000-4000-8000-000000000000", help="of the token ai@pve!terraform"
    )
    parser.add_argument("--image", action="append", default=[], metavar="URL=FILE", help="what the node can download")
    chosen = parser.parse_args()
    there = node(secret=chosen.secret)
    for entry in chosen.image:
        url, _, file = entry.rpartition("=")
        there.storages.internet[url] = Path(file).read_bytes()
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        certificate, key, trusted = (Path(folder, name) for name in ("server.pem", "server.key", "trusted.pem"))
        issued = authority.issue_cert("127.0.0.1", "localhost")
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        authority.cert_pem.write_to_path(str(trusted))
        with serving(there, certificate, key, port=chosen.port) as endpoint:
            print(f"{endpoint} token ai@pve!terraform={chosen.secret} SSL_CERT_FILE={trusted}", flush=True)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                return


if __name__ == "__main__":
    main()
