"""Certificates to test with: a small authority with an intermediate, made anew each time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self, password: bytes | None = None) -> bytes:
        cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)


def signed(
    name: str,
    by: Signed | None = None,
    *,
    names: tuple[str, ...] = (),
    begins: datetime = NOW - timedelta(days=1),
    ends: datetime = NOW + timedelta(days=90),
    fetchable: bool = False,
) -> Signed:
    """A certificate for `names`, or an authority's when there are none; signed by itself without `by`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    if fetchable:
        location = x509.UniformResourceIdentifier("http://authority.test/issuer.crt")
        issuer = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
        builder = builder.add_extension(x509.AuthorityInformationAccess([issuer]), False)
    return Signed(builder.sign(by.key if by else key, hashes.SHA256()), key)


def write(folder: Path, name: str, chain: tuple[Signed, ...], key: Signed | None = None) -> tuple[Path, Path]:
    """NAME.crt with a chain and NAME.key with the key of its first certificate, or another's."""
    certificate, private = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_bytes(b"".join(each.pem for each in chain))
    private.write_bytes((key or chain[0]).key_pem())
    return certificate, private
