"""As much of X.509 as the doctor needs: validity, names and issuer of a certificate in DER.

The standard library shows a certificate's content only after it has verified it, and the ones a doctor must look into
are those that do not verify. Structure: RFC 5280, section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

_SEQUENCE, _SET, _OID, _EXPLICIT_0, _EXPLICIT_3, _OCTETS = 0x30, 0x31, 0x06, 0xA0, 0xA3, 0x04
_UTC_TIME, _DNS_NAME, _IP_ADDRESS = 0x17, 0x82, 0x87
_COMMON_NAME, _ORGANISATION = bytes.fromhex("550403"), bytes.fromhex("55040a")
_ALTERNATIVE_NAMES = bytes.fromhex("551d11")


@dataclass(frozen=True)
class Certificate:
    """What is in it: times in UTC, the DNS names (and addresses) it is for, the issuer's organisation or name."""

    not_before: datetime
    not_after: datetime
    names: tuple[str, ...]
    issuer: str

    def is_for(self, domain: str) -> bool:
        """Tell whether it covers `domain`; a wildcard stands for exactly one label."""
        domain = domain.lower().rstrip(".")
        parent = domain.partition(".")[2]
        return any(name == domain or (name.startswith("*.") and name[2:] == parent) for name in self.names)


def parse(der: bytes) -> Certificate:
    """Read one certificate.

    Raises:
        ValueError: it is none.
    """
    try:
        (_, certificate), *_ = _items(der)
        (_, tbs), *_ = _items(certificate)
        fields = [item for item in _items(tbs) if item[0] != _EXPLICIT_0]
        # serial, algorithm, issuer, validity, subject, key, then optional ones
        issuer, validity, subject = fields[2][1], fields[3][1], fields[4][1]
        begin, end = (_time(tag, value) for tag, value in list(_items(validity))[:2])
        names = list(_alternative_names(fields[6:]))
    except (IndexError, StopIteration, TypeError) as error:
        raise ValueError(f"not a certificate: {error}") from None
    attributes = dict(_attributes(subject))
    if not names and _COMMON_NAME in attributes:
        names = [attributes[_COMMON_NAME].lower()]
    by = dict(_attributes(issuer))
    return Certificate(begin, end, tuple(names), by.get(_ORGANISATION) or by.get(_COMMON_NAME, ""))


def _items(der: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(der):
        tag, length = der[position], der[position + 1]
        position += 2
        if length & 0x80:
            size = length & 0x7F
            if size > 4:
                raise ValueError("not a certificate: a length of more than four bytes")
            length = int.from_bytes(der[position : position + size], "big")
            position += size
        if position + length > len(der):
            raise ValueError("not a certificate: cut off")
        yield tag, der[position : position + length]
        position += length


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii", "replace")
    # Two digits of a year mean 1950 to 2049 (RFC 5280, 4.1.2.5.1), which is what strptime takes from 1969 on.
    form = "%y%m%d%H%M%SZ" if tag == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def _attributes(name: bytes) -> Iterator[tuple[bytes, str]]:
    for _, group in _items(name):
        for _, pair in _items(group):
            (_, oid), (_, value) = list(_items(pair))[:2]
            yield oid, value.decode("utf-8", "replace")


def _alternative_names(fields: list[tuple[int, bytes]]) -> Iterator[str]:
    for tag, value in fields:
        if tag != _EXPLICIT_3:
            continue
        (_, extensions), *_ = _items(value)
        for _, extension in _items(extensions):
            parts = list(_items(extension))
            if parts[0][1] != _ALTERNATIVE_NAMES:
                continue
            (_, names), *_ = _items(parts[-1][1])
            for kind, text in _items(names):
                if kind == _DNS_NAME:
                    yield text.decode("ascii", "replace").lower()
                elif kind == _IP_ADDRESS and len(text) == 4:
                    yield ".".join(map(str, text))
