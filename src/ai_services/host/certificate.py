"""The operator's own certificate (ai_tls=own): looked at on the operator's machine, before any host is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

_SOON_DAYS = 7


@dataclass(frozen=True)
class Flaw:
    """Why a file will not do: which of the two, what it is, what would be right."""

    file: Literal["certificate", "key"]
    what: str
    right: str

    def __str__(self) -> str:
        return f"{self.what}. {self.right}"


def problems(certificate: Path, key: Path, domain: str, *, now: datetime | None = None) -> list[Flaw]:
    """Why these two PEM files cannot serve `domain`, each with what to do; [] when they can.

    `certificate` holds the server's certificate first and then every intermediate, each followed by the one that
    issued it; `key` its private key, not encrypted. Nothing of the key is ever part of an answer.
    """
    found: list[Flaw] = []
    chain = _chain(certificate, found)
    public = _public_key(key, found)
    if not chain:
        return found
    leaf = chain[0]
    if public is not None and public != _spki(leaf):
        found.append(
            Flaw(
                "key",
                f"{key} is not the key of the first certificate in {certificate}",
                "Give the key that the certificate was requested with; the server's own certificate must come first.",
            )
        )
    found += [*_times(certificate, leaf, now or datetime.now(UTC)), *_name(certificate, leaf, domain)]
    found += _order(certificate, chain)
    return found


def _chain(path: Path, found: list[Flaw]) -> list[x509.Certificate]:
    pem = _read(path, found, "certificate")
    if pem is None:
        return []
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        found.append(
            Flaw(
                "certificate",
                f"{path} holds no certificate in PEM form",
                "Give the file that begins with -----BEGIN CERTIFICATE-----, the server's certificate first, then the "
                "intermediates (often called fullchain.pem).",
            )
        )
        return []


def _public_key(path: Path, found: list[Flaw]) -> bytes | None:
    pem = _read(path, found, "key")
    if pem is None:
        return None
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        what = f"{path} is encrypted, and nobody is there to type its password when nginx starts"
        found.append(Flaw("key", what, "Decrypt it."))
    except (ValueError, UnsupportedAlgorithm):
        what = f"{path} holds no private key in PEM form"
        found.append(Flaw("key", what, "Give the file with -----BEGIN … PRIVATE KEY-----."))
    else:
        return key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    return None


def _read(path: Path, found: list[Flaw], file: Literal["certificate", "key"]) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        found.append(Flaw(file, f"{path} cannot be read: {error.strerror}", "Name a file that this user may read."))
        return None


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _times(path: Path, leaf: x509.Certificate, now: datetime) -> list[Flaw]:
    begins, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begins:
        what = f"the certificate in {path} is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        return [Flaw("certificate", what, "Wait, or check the clock.")]
    if now >= ends:
        what = f"the certificate in {path} ended on {ends:%Y-%m-%d %H:%M} UTC"
    elif (ends - now).days < _SOON_DAYS:
        what = f"the certificate in {path} ends on {ends:%Y-%m-%d %H:%M} UTC, within {_SOON_DAYS} days"
    else:
        return []
    return [Flaw("certificate", what, "Get a new one.")]


def _name(path: Path, leaf: x509.Certificate, domain: str) -> list[Flaw]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        names = []
    if any(_covers(name.lower(), domain.lower()) for name in names):
        return []
    there = ", ".join(names) or "no name at all (browsers do not look at the common name)"
    what = f"the certificate in {path} is for {there}, not for {domain}"
    return [Flaw("certificate", what, "Get one for it, or correct ai_domain.")]


def _covers(name: str, domain: str) -> bool:
    if name.startswith("*."):
        # a wildcard stands for exactly one label
        return domain.partition(".")[2] == name[2:]
    return name == domain


def _order(path: Path, chain: list[x509.Certificate]) -> list[Flaw]:
    for number, (lower, upper) in enumerate(pairwise(chain), start=1):
        try:
            lower.verify_directly_issued_by(upper)
        except (ValueError, TypeError, InvalidSignature):
            issuer, issued = upper.subject.rfc4514_string(), lower.subject.rfc4514_string()
            what = f"in {path}, certificate {number + 1} ({issuer}) did not issue certificate {number} ({issued})"
            return [Flaw("certificate", what, "Put the server's certificate first, then each one's issuer.")]
    leaf = chain[0]
    if len(chain) == 1 and leaf.issuer != leaf.subject and not _known_root(leaf):
        issuer = leaf.issuer.rfc4514_string()
        what = f"{path} lacks the intermediate certificate ({issuer}), without which most clients refuse it"
        return [Flaw("certificate", what, "Append what the authority gave along with it (often called chain.pem).")]
    return []


def _known_root(leaf: x509.Certificate) -> bool:
    """Whether the issuer names no issuer of its own to fetch: a private root may well sign servers directly."""
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return True
    return not any(each.access_method == x509.oid.AuthorityInformationAccessOID.CA_ISSUERS for each in access)
