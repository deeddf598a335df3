"""The lab's certificate authority: it vouches for every outside name that `internet` plays, on this machine only."""

from __future__ import annotations

import os
from pathlib import Path

import trustme
from cryptography import x509
from filelock import FileLock

from host.lab.place import ACME, MACHINE, PLAYED

FOLDER = MACHINE / "ca"


def certificate() -> str:
    """The authority's own certificate, PEM."""
    return _authority().cert_pem.bytes().decode()


def write_server(folder: Path) -> None:
    """Write server.pem (chain) and server.key, good for all played names, unless they are there."""
    chain, key, authority = folder / "server.pem", folder / "server.key", folder / "ca.pem"
    names, ours = {*PLAYED, ACME}, certificate()
    if key.exists() and authority.exists() and authority.read_text() == ours and _names(chain) == names:
        return
    issued = _authority().issue_cert(*sorted(names))
    chain.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    _private(key, issued.private_key_pem.bytes())
    authority.write_text(ours)


def issue(*names: str) -> tuple[str, str]:
    """A certificate (chain) and key, PEM, good for `names`: what a host of the lab may have bought somewhere."""
    issued = _authority().issue_cert(*names)
    return "".join(part.bytes().decode() for part in issued.cert_chain_pems), issued.private_key_pem.bytes().decode()


def _names(chain: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(alternatives.get_values_for_type(x509.DNSName))


def _authority() -> trustme.CA:
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    cert, key = FOLDER / "ca.pem", FOLDER / "ca.key"
    with FileLock(FOLDER / "lock"):
        if not (cert.exists() and key.exists()):
            fresh = trustme.CA(organization_name="ai-services lab")
            _private(key, fresh.private_key_pem.bytes())
            cert.write_bytes(fresh.cert_pem.bytes())
    return trustme.CA.from_pem(cert.read_bytes(), key.read_bytes())


def _private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(content)
